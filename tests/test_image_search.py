"""The search of small structures finds, in the same order, what vesin and ASE do."""

import itertools

import numpy as np
import pytest
from ase.neighborlist import primitive_neighbor_list
from numpy.testing import assert_array_equal
from test_neighbors import EXTREME, STRUCTURES, brute_force, edge_set, parse, tuples

from acepair import _neighbors
from acepair.neighbors import NeighborList
from acepair.search import MAX_TESTS, search_by_vesin, search_pairs

PERIODICITY = [np.array(pbc) for pbc in itertools.product([False, True], repeat=3)]


def search(positions, cell, pbc, rcut, max_tests=MAX_TESTS):
    return _neighbors.search_images(positions, cell, pbc, rcut, max_tests)


def assert_same_lists(ours, others):
    for name, own, other in zip(("first", "neighbor", "owner", "shift"), ours, others, strict=True):
        assert own.dtype == other.dtype
        assert_array_equal(own, other, err_msg=name)


def random_structure(rng, pbc):
    """One to twelve atoms in a cell of any shape; what stands along non-periodic axes is arbitrary."""
    n = int(rng.integers(1, 13))
    sheared = np.eye(3) + np.tril(rng.uniform(-1.2, 1.2, (3, 3)), -1)
    cell = rng.uniform(1.2, 6.0, 3) * sheared @ np.linalg.qr(rng.normal(size=(3, 3)))[0]
    reach = rng.choice([0.0, 0.1, 3.0])  # how many cells atoms stray
    positions = rng.uniform(-reach, 1 + reach, (n, 3)) @ cell
    if rng.random() < 0.3:
        positions += rng.normal(scale=1e4, size=3)
    if rng.random() < 0.3:
        positions = positions.round()  # atoms at the boundary of the cell, and at the same place
    meaningless = rng.choice(["zero", "parallel", "kept"])
    if meaningless != "kept":
        cell[~pbc] = 0.0 if meaningless == "zero" or not pbc.any() else cell[pbc][0]
    return positions, cell, pbc, rng.uniform(1.0, 5.0)


@pytest.mark.parametrize("name", [*STRUCTURES, *EXTREME])
def test_lists_are_those_of_vesin(name):
    structure = parse((STRUCTURES | EXTREME)[name])
    assert_same_lists(search_pairs(*structure), search_by_vesin(*structure))


@pytest.mark.parametrize("pbc", PERIODICITY, ids=str)
def test_random_structures(pbc):
    rng = np.random.default_rng(2)
    n_edges = 0
    for _ in range(60):
        positions, cell, _, rcut = structure = random_structure(rng, pbc)
        found = search(*structure, max_tests=10**8)
        assert_same_lists(found, search_by_vesin(*structure))
        edges = edge_set(NeighborList(*found), positions, cell, rcut)
        assert edges == brute_force(positions, cell, pbc, rcut)
        # ASE misses pairs where it has to complete a cell whose vectors are zero
        whole = _neighbors.complete_cell(cell, pbc)[0]
        assert edges == sorted(tuples(*primitive_neighbor_list("ijS", pbc, whole, positions, rcut, max_nbins=1000)))
        n_edges += len(edges)
    assert n_edges > 500


@pytest.mark.parametrize("pbc", PERIODICITY, ids=str)
def test_moving_atoms_by_cell_vectors_changes_shifts_only(pbc):
    rng = np.random.default_rng(3)
    for _ in range(20):
        positions, cell, _, rcut = random_structure(rng, pbc)
        n = rng.integers(-3, 4, (len(positions), 3)) * pbc
        here, there = (
            NeighborList(*search(x, cell, pbc, rcut, 10**8)).edges(x, cell, rcut - 1e-6)
            for x in (positions, positions + n @ cell)
        )
        expected = here.S + n[here.i] - n[here.j]
        assert tuples(there.i, there.j, there.S) == sorted(tuples(here.i, here.j, expected))


def test_lattice_with_a_shell_near_the_cutoff():
    positions = np.array(list(itertools.product(range(2), repeat=3)), float)
    for rcut in (1.0, 2.0, 3.0):  # exactly at a shell: the margin takes it in, and every pair alike
        structure = positions, 2.0 * np.eye(3), np.ones(3, bool), rcut
        assert_same_lists(search(*structure), search_by_vesin(*structure))


def test_large_structures_are_left_to_vesin():
    positions, cell, pbc, rcut = parse(STRUCTURES["several search cells"])
    assert search(positions, cell, pbc, rcut, max_tests=1000) is None
    assert_same_lists(search_pairs(positions, cell, pbc, rcut), search(positions, cell, pbc, rcut))


@pytest.mark.parametrize(
    "structure",
    [
        (np.array([[0, 0, 0], [0, 4e10, 0]]), np.zeros((3, 3)), np.zeros(3, bool), 5.0),
        (np.array([[0, 0, 0], [0, 6e6, 0]]), 5.0 * np.eye(3), np.ones(3, bool), 5.0),
        (np.array([[0, 0, 0], [0, 4e6, 0]]), 5.0 * np.eye(3), np.ones(3, bool), 5.0),
        (np.zeros((1, 3)), np.array([[1, 0, 0], [5000, 1, 0], [-3, 2000, 0.5]]), np.ones(3, bool), 5.0),
        (np.zeros((1, 3)), 1e-9 * np.eye(3), np.ones(3, bool), 5.0),
    ],
)
def test_what_cannot_be_searched_is_left_to_vesin(structure):
    assert search(*structure) is None


def test_table_of_images_is_bounded():
    """Atoms thousands of cells apart: few distances, but many shifts that a pair could have."""
    positions = np.array([[0.0, 0, 0], [3e4, 3e4, 3e4]])
    structure = positions, 5.0 * np.eye(3), np.ones(3, bool), 4.0
    assert search(*structure) is None
    assert_same_lists(search_pairs(*structure), search_by_vesin(*structure))
