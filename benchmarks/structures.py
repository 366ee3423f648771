"""The structures every benchmark uses, and how they are timed."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from ase import Atoms
from ase.build import bulk


def rattled_diamond(cells: int, numbers: list[int]) -> Atoms:
    """Return a cells³ diamond supercell (8 atoms a cell, a = 5.43 Å) rattled by 0.1 Å, species drawn at random."""
    atoms = bulk("Si", "diamond", a=5.43, cubic=True) * (cells, cells, cells)
    atoms.rattle(0.1, seed=1)
    atoms.numbers = np.random.default_rng(0).choice(numbers, len(atoms))
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
