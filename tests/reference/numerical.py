"""Central differences of any `energy(atoms) -> float`.

Steps are small because envelopes are only C¹ at the cutoff: an edge the step carries across it costs the fourth order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
from ase import Atoms

Energy = Callable[[Atoms], float]


def _fourth_order(f: Callable[[float], float], h: float) -> float:
    """df/dx at 0, error O(h⁴)."""
    return (8 * (f(h) - f(-h)) - (f(2 * h) - f(-2 * h))) / (12 * h)


def numerical_forces(energy: Energy, atoms: Atoms, h: float = 1e-4, which: Iterable[int] | None = None) -> np.ndarray:
    """Forces (eV/Å) on the atoms `which` (all of them by default), (n, 3)."""

    def moved(atom: int, axis: int, x: float) -> float:
        copy = atoms.copy()
        copy.positions[atom, axis] += x
        return energy(copy)

    which = range(len(atoms)) if which is None else which
    return np.array(
        [[-_fourth_order(lambda x, a=a, k=k: moved(a, k, x), h) for k in range(3)] for a in which], float
    ).reshape(-1, 3)


def numerical_virial(energy: Energy, atoms: Atoms, h: float = 2e-5) -> np.ndarray:
    """−dE/dε (eV) for all nine components of the strain: positions and cell times (1 + ε)ᵀ."""

    def strained(a: int, b: int, x: float) -> float:
        strain = np.eye(3)
        strain[a, b] += x
        copy = atoms.copy()
        copy.set_cell(atoms.cell[:] @ strain.T, scale_atoms=False)
        copy.positions = atoms.positions @ strain.T
        return energy(copy)

    return np.array([[-_fourth_order(lambda x, a=a, b=b: strained(a, b, x), h) for b in range(3)] for a in range(3)])


def numerical_stress(energy: Energy, atoms: Atoms, h: float = 2e-5) -> np.ndarray:
    """ASE's Voigt stress (6,) in eV/Å³."""
    stress = -numerical_virial(energy, atoms, h) / atoms.get_volume()
    return ((stress + stress.T) / 2)[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]]
