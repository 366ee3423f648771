"""Structures that between them reach every special case of neighbour finding and evaluation.

Every builder takes the atomic numbers to use, spread over the sites by a seeded generator with each of them present
where there are sites enough, and is deterministic.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from ase import Atoms

Numbers = Sequence[int]
A = 5.2  # lattice constant (Å) of the diamond-like cells: neighbours at 2.25 Å
DIAMOND = np.array([[0, 0, 0], [1, 1, 1], [2, 2, 0], [3, 3, 1], [2, 0, 2], [3, 1, 3], [0, 2, 2], [1, 3, 3]]) / 4


def colored(n: int, numbers: Numbers, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    z = rng.choice(numbers, n)
    z[: min(n, len(numbers))] = numbers[:n]
    return rng.permutation(z)


def _rattled(atoms: Atoms, stdev: float, seed: int = 1) -> Atoms:
    atoms.positions += np.random.default_rng(seed).normal(scale=stdev, size=atoms.positions.shape)
    return atoms


def diamond(numbers: Numbers, repeat: Sequence[int] = (1, 1, 1)) -> Atoms:
    """Perfect cubic diamond lattice, 8 atoms a cell."""
    atoms = Atoms(numbers=[1] * 8, scaled_positions=DIAMOND, cell=[A] * 3, pbc=True) * tuple(repeat)
    atoms.numbers = colored(len(atoms), numbers)
    return atoms


def rocksalt(numbers: Numbers) -> Atoms:
    """Perfect simple-cubic lattice, ordered: every site has inversion symmetry and neighbours along ±x, ±y, ±z."""
    grid = np.stack(np.meshgrid(*[np.arange(2)] * 3, indexing="ij"), -1).reshape(-1, 3)
    z = np.asarray(numbers)[grid.sum(1) % 2 % len(numbers)]
    return Atoms(numbers=z, positions=2.4 * grid, cell=[4.8] * 3, pbc=True)


def fcc_primitive(numbers: Numbers) -> Atoms:
    """One atom, cell vectors of 2.5 Å: its neighbours are all its own images."""
    return Atoms(numbers=numbers[:1], positions=[[0.3, 0.1, -0.2]], cell=1.77 * (1 - np.eye(3)), pbc=True)


def triclinic(numbers: Numbers) -> Atoms:
    """Rattled, skewed cell smaller than two cutoffs, with atoms outside it."""
    atoms = diamond(numbers)
    strain = np.array([[1.03, 0.11, -0.07], [0.02, 0.96, 0.09], [-0.05, 0.04, 1.05]])
    atoms.set_cell(atoms.cell[:] @ strain, scale_atoms=True)
    _rattled(atoms, 0.1)
    atoms.positions[0] += 3 * atoms.cell[0] - 2 * atoms.cell[2]
    return atoms


def tiny(numbers: Numbers) -> Atoms:
    """Two rattled atoms in a primitive cell much smaller than the cutoff."""
    cell = A / 2 * (1 - np.eye(3))
    atoms = Atoms(numbers=colored(2, numbers), positions=[[0, 0, 0], [A / 4] * 3], cell=cell, pbc=True)
    return _rattled(atoms, 0.08)


def skewed(numbers: Numbers) -> Atoms:
    """A primitive cell described by very skewed vectors (angles far from 90°)."""
    atoms = tiny(numbers)
    atoms.set_cell(np.array([[1, 0, 0], [4, 1, 0], [-3, 5, 1]]) @ atoms.cell[:], scale_atoms=False)
    return atoms


def slab(numbers: Numbers) -> Atoms:
    """Periodic along x and y, a third cell vector present but unused."""
    atoms = _rattled(diamond(numbers), 0.1, 2)
    atoms.pbc = (True, True, False)
    return atoms


def wire(numbers: Numbers) -> Atoms:
    """Periodic along y only, with a cell of rank 1."""
    atoms = _rattled(diamond(numbers), 0.1, 3)
    atoms.set_cell([[0, 0, 0], atoms.cell[1], [0, 0, 0]], scale_atoms=False)
    atoms.pbc = (False, True, False)
    return atoms


def molecule(numbers: Numbers) -> Atoms:
    """No cell at all."""
    atoms = _rattled(diamond(numbers, (1, 1, 2)), 0.1, 4)
    return Atoms(numbers=atoms.numbers[:9], positions=atoms.positions[:9] - 20.0)


def axes(numbers: Numbers) -> Atoms:
    """One centre with neighbours exactly along ±x, ±y, ±z, at different distances."""
    directions = np.concatenate([np.eye(3), -np.eye(3)])
    positions = np.concatenate([np.zeros((1, 3)), directions * np.linspace(1.9, 2.6, 6)[:, None]])
    return Atoms(numbers=colored(7, numbers), positions=positions)


def isolated(numbers: Numbers) -> Atoms:
    return Atoms(numbers=numbers[:1], positions=[[1.0, 2.0, 3.0]])


def isolated_periodic(numbers: Numbers) -> Atoms:
    return Atoms(numbers=numbers[:1], positions=[[1.0, 2.0, 3.0]], cell=[40.0] * 3, pbc=True)


def far_apart(numbers: Numbers) -> Atoms:
    """A pair, and an atom nothing reaches: it must keep its one-body energy."""
    return Atoms(numbers=colored(3, numbers), positions=[[0, 0, 0], [1.5, 1.2, 1.3], [60.0, 0, 0]])


def empty(numbers: Numbers) -> Atoms:
    return Atoms()


def disordered(numbers: Numbers, n: int = 24, closest: float = 1.44, box: float = 6.2) -> Atoms:
    """Random sites (closest distance 0.6 r0 of silicon by default) in a periodic box."""
    rng = np.random.default_rng(11)
    sites: list[np.ndarray] = []
    while len(sites) < n:
        x = rng.uniform(0, box, 3)
        D = np.array(sites).reshape(-1, 3) - x
        D -= box * np.round(D / box)
        if not len(D) or (D**2).sum(1).min() > closest**2:
            sites.append(x)
    return Atoms(numbers=colored(n, numbers), positions=sites, cell=[box] * 3, pbc=True)


def crowded(numbers: Numbers) -> Atoms:
    """More than 1000 neighbours per atom within 5.5 Å: a squeezed primitive cell."""
    atoms = tiny(numbers)
    atoms.set_cell(atoms.cell[:] * 0.33, scale_atoms=True)
    return atoms


PERIODIC: dict[str, Callable[[Numbers], Atoms]] = {
    f.__name__: f for f in (triclinic, tiny, skewed, fcc_primitive, diamond, rocksalt, disordered, isolated_periodic)
}
OPEN: dict[str, Callable[[Numbers], Atoms]] = {
    f.__name__: f for f in (slab, wire, molecule, axes, isolated, far_apart, empty)
}
ALL = {**PERIODIC, **OPEN}
