"""Reuse of neighbour lists: when they hold, and that no pair is ever lost."""

import copy
import itertools
import pickle
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from reference.pairs import brute_force, edge_set

from acepair.neighbors import NeighborCache


def random_structure(rng, pbc):
    return rng.uniform(-2, 8, (12, 3)), 5.0 * np.eye(3) + rng.uniform(-1.5, 1.5, (3, 3)), pbc, np.full(12, 14)


def moved_and_strained(rng, positions, cell, pbc, numbers, strain, motion):
    """Positions x F + u, |u| = motion, the cell to go with them, and the least singular value of F.

    F leaves alone what is orthogonal to the periodic vectors; the others become anything.
    """
    h0 = cell[pbc]
    h = h0 @ (np.eye(3) + strain * rng.uniform(-1, 1, (3, 3)))
    F = np.eye(3) + np.linalg.pinv(h0) @ (h - h0)
    u = rng.normal(size=positions.shape)
    u *= motion / np.linalg.norm(u, axis=1, keepdims=True)
    other_cell = rng.normal(size=(3, 3))
    other_cell[pbc] = h
    return (positions @ F + u, other_cell, pbc, numbers), np.linalg.svd(F)[1].min()


@pytest.mark.parametrize("pbc", list(itertools.product([False, True], repeat=3)))
def test_reuse_never_loses_a_pair(pbc):
    rng = np.random.default_rng(1)
    rcut, skin, reuses = 4.0, 0.8, 0
    for _ in range(40):
        start = random_structure(rng, np.array(pbc))
        motion = rng.uniform(0, 0.5)
        moved, least = moved_and_strained(rng, *start, rng.choice([0.0, 0.02, 0.1]), motion)
        cache = NeighborCache(rcut, skin)
        cache.update(*start)
        neighbors = cache.update(*moved)
        positions, cell, periodic, _ = moved
        assert cache.n_reuses == (least * (rcut + skin) - 2 * motion >= rcut)
        assert edge_set(neighbors, positions, cell, rcut) == brute_force(positions, cell, periodic, rcut)
        reuses += cache.n_reuses
    assert 5 < reuses < 38


def silicon():
    sites = [[0, 0, 0], [0, 2, 2], [2, 0, 2], [2, 2, 0], [1, 1, 1], [1, 3, 3], [3, 1, 3], [3, 3, 1]]
    basis = np.array(sites, dtype=float) * 5.43 / 4
    return basis, 5.43 * np.eye(3), np.ones(3, bool), np.full(8, 14)


def test_motion_up_to_half_the_skin():
    positions, *rest = silicon()
    cache = NeighborCache(5.0, 1.0)
    made = cache.update(positions, *rest)
    for step, (rebuilds, reuses) in {0.499999: (1, 1), -0.499999: (1, 2), 0.500001: (2, 2)}.items():
        moved = positions.copy()
        moved[3, 1] += step
        assert (cache.update(moved, *rest) is made) == (rebuilds == 1)
        assert (cache.n_rebuilds, cache.n_reuses) == (rebuilds, reuses)


@pytest.mark.parametrize("seed", range(5))
def test_strain_up_to_the_skin(seed):
    positions, cell, pbc, numbers = silicon()
    F = np.eye(3) + 0.1 * np.random.default_rng(seed).normal(size=(3, 3))
    F /= np.linalg.svd(F)[1].min()
    for scale, reuses in ((1 + 1e-9, 1), (1 - 1e-9, 0)):
        cache = NeighborCache(5.0, 1.0)
        cache.update(positions, cell, pbc, numbers)
        cache.update(positions @ F * (5 / 6 * scale), cell @ F * (5 / 6 * scale), pbc, numbers)
        assert cache.n_reuses == reuses


def test_expansion_leaves_room_for_motion():
    positions, cell, pbc, numbers = silicon()
    cache = NeighborCache(5.0, 0.6)
    cache.update(positions, cell, pbc, numbers)
    moved = 1.1 * positions
    moved[0] += [0.4, 0.1, 0.05]  # more than half the skin
    neighbors = cache.update(moved, 1.1 * cell, pbc, numbers)
    assert cache.n_reuses == 1
    assert edge_set(neighbors, moved, 1.1 * cell, 5.0) == brute_force(moved, 1.1 * cell, pbc, 5.0)


@pytest.mark.parametrize("skin", [0.0, 0.6])
def test_list_of_a_small_cell_does_not_stay_for_a_large_one(skin):
    cache = NeighborCache(5.0, skin)
    for a in (2.0, 2.0 * (1.001 + skin / 5.0)):
        neighbors = cache.update(np.zeros((1, 3)), a * np.eye(3), np.ones(3, bool), np.array([14]))
    assert cache.n_rebuilds == 2
    assert neighbors.n_edges <= 4 / 3 * np.pi * ((5.0 + skin) / 2 + 1) ** 3


def test_no_skin_reuses_the_same_structure_only():
    positions, cell, pbc, numbers = silicon()
    cache = NeighborCache(5.0, 0.0)
    for _ in range(3):
        cache.update(positions.copy(), cell.copy(), pbc.copy(), numbers.copy())
    assert (cache.n_rebuilds, cache.n_reuses) == (1, 2)
    positions[0, 0] += 1e-12
    cache.update(positions, cell, pbc, numbers)
    assert (cache.n_rebuilds, cache.n_reuses) == (2, 2)
    cache.update(positions, cell * (1 - 1e-12), pbc, numbers)
    assert (cache.n_rebuilds, cache.n_reuses) == (3, 2)


def test_changes_that_rebuild():
    positions, cell, pbc, numbers = silicon()
    cache = NeighborCache(5.0, 1.0)
    wrapped = positions.copy()
    wrapped[2] -= cell[0]
    changes = [
        (positions, cell, pbc, numbers),
        (positions, cell, pbc, np.array([14] * 7 + [8])),
        (positions, cell, np.array([True, True, False]), numbers),
        (positions[:7], cell, pbc, numbers[:7]),
        (positions[:0], cell, pbc, numbers[:0]),
        (positions, cell, pbc, numbers),
        (wrapped, cell, pbc, numbers),
    ]
    for n, (x, h, p, z) in enumerate(changes, start=1):
        neighbors = cache.update(x, h, p, z)
        assert cache.n_rebuilds == n
        assert edge_set(neighbors, x, h, 5.0) == (brute_force(x, h, p, 5.0) if len(x) else [])
    assert cache.n_reuses == 0


def test_cell_vectors_along_non_periodic_axes_do_not_matter():
    positions, cell, _, numbers = silicon()
    for pbc, changed in (([True, True, False], [2]), ([False, True, False], [0, 2]), ([False] * 3, [0, 1, 2])):
        cache = NeighborCache(5.0, 0.0)
        cache.update(positions, cell, pbc, numbers)
        for vector in ([0, 0, 0], [5, 1, 2], [1e5, 0, 0], cell[1]):
            other = cell.copy()
            other[changed] = vector
            neighbors = cache.update(positions, other, pbc, numbers)
            expected = brute_force(positions, other, np.array(pbc), 5.0)
            assert edge_set(neighbors, positions, other, 5.0) == expected
        assert (cache.n_rebuilds, cache.n_reuses) == (1, 4)


def test_arrays_changed_in_place():
    positions, cell, pbc, numbers = silicon()
    cache = NeighborCache(5.0, 1.0)
    cache.update(positions, cell, pbc, numbers)
    positions += [[0.6, 0, 0]]
    cache.update(positions, cell, pbc, numbers)
    cell *= 0.8
    cache.update(positions, cell, pbc, numbers)
    numbers[0] = 8
    cache.update(positions, cell, pbc, numbers)
    pbc[0] = False
    cache.update(positions, cell, pbc, numbers)
    assert (cache.n_rebuilds, cache.n_reuses) == (5, 0)


def test_clear():
    cache = NeighborCache(5.0)
    cache.update(*silicon())
    cache.clear()
    cache.update(*silicon())
    assert (cache.n_rebuilds, cache.n_reuses) == (2, 0)


def test_bad_structure_leaves_the_cache_usable():
    positions, *rest = silicon()
    cache = NeighborCache(5.0, 1.0)
    cache.update(positions, *rest)
    bad = positions.copy()
    bad[5, 2] = np.nan
    with pytest.raises(ValueError, match="for atom 5"):
        cache.update(bad, *rest)
    cache.update(positions, *rest)
    assert (cache.n_rebuilds, cache.n_reuses) == (1, 1)


def test_copies_are_empty_caches():
    cache = NeighborCache(5.0, 0.5, threads=2)
    cache.update(*silicon())
    for other in (pickle.loads(pickle.dumps(cache)), copy.deepcopy(cache)):
        assert (other.rcut, other.skin, other.threads, other.n_rebuilds) == (5.0, 0.5, 2, 0)
        other.update(*silicon())
        assert other.n_rebuilds == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"rcut": 0.0}, "rcut must be finite and above 1e-06 Å, got 0.0"),
        ({"rcut": np.inf}, "rcut must be finite"),
        ({"rcut": np.nan}, "rcut must be finite"),
        ({"rcut": 5.0, "skin": -0.1}, r"skin must be finite and not negative \(Å\), got -0.1"),
        ({"rcut": 5.0, "skin": np.inf}, "skin must be finite"),
        ({"rcut": 5.0, "threads": 0}, "threads must be at least 1, got 0"),
    ],
)
def test_bad_cache_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        NeighborCache(**arguments)


def test_import_leaves_vesin_to_the_search():
    script = """
        import sys
        import acepair.neighbors
        assert not {"vesin", "scipy", "ase.neighborlist", "ase.build"} & set(sys.modules)
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=True, timeout=60)
