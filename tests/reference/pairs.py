"""Pairs of neighbours found by trying all, and those of a list, in forms that compare."""

import itertools

import numpy as np


def brute_force(positions, cell, pbc, rcut):
    """All (i, j, S) with |r_j + S·cell − r_i| < rcut, sorted, by trying each S that could bring two atoms together."""
    periodic = np.flatnonzero(pbc)
    reciprocal = np.linalg.pinv(cell[periodic])
    reach = np.ptp(positions @ reciprocal, axis=0) + rcut * np.linalg.norm(reciprocal, axis=0)
    D0 = positions[None] - positions[:, None]
    found = []
    for shift in itertools.product(*(range(-int(n) - 1, int(n) + 2) for n in reach)):
        S = np.zeros(3, int)
        S[periodic] = shift
        inside = np.linalg.norm(D0 + S @ cell, axis=-1) < rcut
        if not S.any():
            np.fill_diagonal(inside, False)
        found += [(i, j, *S.tolist()) for i, j in np.argwhere(inside).tolist()]
    return sorted(found)


def tuples(i, j, S):
    return list(map(tuple, np.column_stack((i, j, S)).tolist()))


def edge_set(neighbors, positions, cell, rcut):
    edges = neighbors.edges(positions, cell, rcut)
    return tuples(edges.i, edges.j, edges.S)
