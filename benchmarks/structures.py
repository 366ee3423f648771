"""The structures every benchmark and every peer uses, and how calls are timed. Needs NumPy and ASE only."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence

import numpy as np
from ase import Atoms
from ase.build import bulk


def rattled_diamond(cells: int | Sequence[int], numbers: Sequence[int], *, a: float = 5.43, seed: int = 1) -> Atoms:
    """Return a diamond supercell (8 atoms a cell, cells³ or as given) rattled by 0.1 Å, species drawn at random."""
    return rattled("diamond", a, cells, numbers, seed=seed)


def rattled(lattice: str, a: float, cells: int | Sequence[int], numbers: Sequence[int], *, seed: int = 1) -> Atoms:
    """Return a supercell of a cubic lattice, rattled by 0.1 Å, species drawn at random."""
    atoms = bulk("Si", lattice, a=a, cubic=True) * ((cells,) * 3 if isinstance(cells, int) else tuple(cells))
    atoms.rattle(0.1, seed=seed)
    atoms.numbers = np.random.default_rng(seed - 1).choice(numbers, len(atoms))
    return atoms


def best(call: Callable[[], object], *, repeat: int = 10, at_least: float = 0.5) -> float:
    """Return the shortest of `repeat` or more calls (s), after one that is not counted."""
    call()
    times: list[float] = []
    while len(times) < repeat or sum(times) < at_least:
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times)


def moved_before(call: Callable[[], object], atoms: Atoms, *, by: float = 1e-5) -> Callable[[], object]:
    """Return a function that moves an atom to or fro (Å) before a call."""
    steps = itertools.cycle([by, -by])

    def moved() -> None:
        atoms.positions[0, 0] += next(steps)
        call()

    return moved


def moving_step(atoms: Atoms) -> Callable[[], object]:
    """Return a function that moves an atom a little and asks its calculator for forces, as MD does."""
    return moved_before(atoms.get_forces, atoms)
