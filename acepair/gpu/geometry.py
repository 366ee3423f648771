"""Cells and their strains on the host, many at a time; the rules are those of cython_src/cell_geometry.hpp."""

from __future__ import annotations

import numpy as np

from .._types import BoolArray, FloatArray


def complete_cells(cells: FloatArray, pbc: BoolArray) -> FloatArray:
    """Return cells (n, 3, 3) whose non-periodic vectors (pbc (n, 3)) are unit vectors orthogonal to all others."""
    completed = cells.copy()
    for cell, periodic in zip(completed, pbc, strict=True):
        n_periodic = int(periodic.sum())
        if n_periodic == 0:
            cell[:] = np.eye(3)
        elif n_periodic == 2:
            k = int(np.flatnonzero(~periodic)[0])
            cell[k] = _unit(np.cross(_unit(cell[(k + 1) % 3]), _unit(cell[(k + 2) % 3])))
        elif n_periodic == 1:
            k = int(np.flatnonzero(periodic)[0])
            a = _unit(cell[k])
            b = _unit(np.cross(a, np.eye(3)[np.abs(a).argmin()]))
            cell[(k + 1) % 3], cell[(k + 2) % 3] = b, np.cross(a, b)
    return completed


def strains(old: FloatArray, new: FloatArray, pbc: BoolArray) -> FloatArray:
    """Return F − 1 (n, 3, 3) for the strain F that takes the periodic vectors of `old` to those of `new`.

    What is orthogonal to the periodic vectors is left alone. Exactly zero where nothing has changed.
    """
    inverse = np.linalg.inv(complete_cells(old, pbc))
    change = np.where(pbc[:, :, None], new - old, 0.0)
    return np.asarray(inverse @ change)


def motion_allowed(strain: FloatArray, rcut: float, skin: float) -> FloatArray:
    """Return how far (Å) atoms may move, apart from the strain, before a list misses pairs; negative: it may already.

    See `acepair.neighbors.NeighborCache` for the proof. A cell that has grown by more than the skin needs a new list.
    """
    F = np.eye(3) + strain
    stretch = np.linalg.svd(F, compute_uv=False)[:, -1]
    unchanged = ~strain.any(axis=(1, 2))
    limit = 0.5 * (np.where(unchanged, 1.0, stretch) * (rcut + skin) - rcut)
    outgrown = ~unchanged & (np.linalg.det(F) > (1 + skin / rcut) ** 3 * (1 + 1e-12))
    return np.where(outgrown, -1.0, limit)


def _unit(vector: FloatArray) -> FloatArray:
    return np.asarray(vector / np.linalg.norm(vector))
