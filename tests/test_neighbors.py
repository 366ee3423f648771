"""Neighbour lists against ASE and brute force."""

import itertools
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from ase.neighborlist import primitive_neighbor_list
from numpy.testing import assert_allclose, assert_array_equal
from reference.pairs import brute_force, edge_set, tuples

from acepair import _neighbors
from acepair.neighbors import NeighborList, find_neighbors

FCC = np.array([[0.0, 2.0, 2.0], [2.0, 0.0, 2.0], [2.0, 2.0, 0.0]])
SKEWED = np.array([[4.0, 0.0, 0.0], [11.0, 5.0, 0.0], [-9.0, 13.0, 6.0]])
NO_CELL = np.zeros((3, 3))


def rows(*vectors):
    return np.array(vectors, dtype=float)


def cloud(n, size, seed=0):
    return np.random.default_rng(seed).uniform(0, size, (n, 3))


#: name: positions, cell, pbc, cutoff
STRUCTURES = {
    "primitive cell far below the cutoff": (cloud(2, 1.5), FCC, "TTT", 9.0),
    "one atom, periodic": (np.zeros((1, 3)), 3.0 * np.eye(3), "TTT", 7.0),
    "one atom, one periodic axis": (rows([1, 2, 3]), np.diag([0, 2.5, 0]), "FTF", 6.0),
    "one atom": (rows([1, 2, 3]), NO_CELL, "FFF", 6.0),
    "two atoms at the same place": (np.ones((2, 3)), 5.0 * np.eye(3), "TTT", 5.5),
    "skewed": (cloud(9, 10), SKEWED, "TTT", 5.0),
    "left-handed": (cloud(9, 10), SKEWED[::-1], "TTT", 5.0),
    "several search cells": (cloud(400, 20), 20.0 * np.eye(3) + 1.5, "TTT", 3.5),
    "lattice": (rows(*itertools.product(range(4), repeat=3)) * 2.5, 10.0 * np.eye(3), "TTT", 5.01),
    "molecule without a cell": (cloud(30, 7), NO_CELL, "FFF", 3.0),
    "molecule in a cell": (cloud(30, 7), FCC, "FFF", 3.0),
    "planar molecule": (cloud(30, 7) * [1, 1, 0], NO_CELL, "FFF", 3.0),
    "slab, zero third vector": (cloud(60, 9), rows([9, 0, 0], [2, 8, 1], [0, 0, 0]), "TTF", 4.0),
    "slab, third vector in its plane": (cloud(60, 9), rows([9, 0, 0], [2, 8, 1], [11, 8, 1]), "TTF", 4.0),
    "slab, short third vector": (cloud(60, 9), rows([9, 0, 0], [2, 8, 1], [1, 0, 1]), "TTF", 4.0),
    "slab, other axes": (cloud(60, 9), rows([0, 0, 0], [7, 0, 3], [0, 6, 1]), "FTT", 8.0),
    "slab, middle axis": (cloud(60, 9), rows([3, 0, 1], [0, 0, 0], [0, 4, 0]), "TFT", 6.0),
    "wire": (cloud(40, 8), rows([0, 0, 0], [0, 0, 0], [1, 2, 5]), "FFT", 6.0),
    "wire along x": (cloud(40, 8), rows([3, 0, 0], [0, 0, 0], [9, 9, 9]), "TFF", 5.0),
    "outside of the cell": (cloud(20, 5) + 1e6 * cloud(20, 1, 1).round(), np.diag([5.0, 6, 7]) + 0.5, "TTT", 4.0),
    "thin and wide vacuum": (cloud(12, 9), np.diag([400.0, 20, 900]), "TTT", 4.0),
}

#: as above, but vesin alone would divide by zero, or ASE take long
EXTREME = {
    "molecules far apart": (np.vstack([cloud(9, 5) + rows(x, -x / 3, 0) for x in (0, 9e6, 1e7)]), NO_CELL, "FFF", 5.0),
    "plane": (cloud(9, 5) + rows([0, 0, 0], [1e4, 0, 0], [0, 1e4, 0]).repeat(3, 0), NO_CELL, "FFF", 5.0),
    "line": (rows(*[[x * 2.0**20, 0, 0] for x in range(64)], [1, 1, 1]), NO_CELL, "FFF", 5.0),
    "long cell": (cloud(20, 5), np.diag([1e6, 5, 5]) + 0.1, "TTT", 5.5),
    "wide thin cell": (cloud(20, 5), rows([3000, 0, 0], [1000, 3000, 0], [0, 1, 4]), "TTT", 5.0),
    "wide slab": (cloud(20, 5) + rows([0, 0, 0], [9e5, 0, 0]).repeat(10, 0), np.diag([1e6, 1e6, 0]), "TTF", 5.0),
    "slab and an atom far away": (np.vstack([cloud(20, 5), [[0, 0, -1e8]]]), np.diag([5, 6, 0]), "TTF", 4.0),
}


def parse(structure):
    positions, cell, pbc, rcut = structure
    return positions.astype(float), cell.astype(float), np.array([c == "T" for c in pbc]), rcut


@pytest.mark.parametrize("name", STRUCTURES)
def test_edges_are_those_of_ase(name):
    positions, cell, pbc, rcut = parse(STRUCTURES[name])
    i, j, S = primitive_neighbor_list("ijS", pbc, cell * pbc[:, None], positions, rcut)
    neighbors = find_neighbors(positions, cell, pbc, rcut)
    assert edge_set(neighbors, positions, cell, rcut) == sorted(tuples(i, j, S))


@pytest.mark.parametrize("name", EXTREME)
def test_extreme_extents(name):
    positions, cell, pbc, rcut = parse(EXTREME[name])
    neighbors = find_neighbors(positions, cell, pbc, rcut)
    expected = brute_force(positions, cell, pbc, rcut)
    assert expected
    assert edge_set(neighbors, positions, cell, rcut) == expected


@pytest.mark.parametrize("name", [*STRUCTURES, *EXTREME])
def test_list_is_sorted_compressed_and_exact(name):
    positions, cell, pbc, rcut = parse((STRUCTURES | EXTREME)[name])
    neighbors = find_neighbors(positions, cell, pbc, rcut)
    edges = neighbors.edges(positions, cell, rcut)
    assert neighbors.n_edges == len(edges.i)  # the search radius is larger only by rounding
    assert edge_set(neighbors, positions, cell, rcut) == sorted(edge_set(neighbors, positions, cell, rcut))
    assert_array_equal(neighbors.first, np.searchsorted(edges.i, np.arange(len(positions) + 1)))
    assert neighbors.max_neighbors == np.diff(neighbors.first).max()
    assert_array_equal(neighbors.owner[neighbors.neighbor], edges.j)
    assert_allclose(edges.D, positions[edges.j] + edges.S @ cell - positions[edges.i], rtol=0, atol=1e-8)
    assert_allclose(edges.d, np.linalg.norm(edges.D, axis=1), rtol=1e-15)
    images = list(map(tuple, np.column_stack((neighbors.image_owner, neighbors.image_shift)).tolist()))
    assert images == sorted(set(images))
    assert neighbors.image_shift.any(axis=1).all()
    assert set(range(len(positions), len(positions) + len(images))) <= set(neighbors.neighbor.tolist())


@pytest.mark.parametrize(
    ("size", "pbc"),
    [([4000, 4000, 4.5], "TTT"), ([4e3, 4e3, 4e3], "FFF"), ([4e3, 4e3, 4e3], "TFT"), ([4e5, 9, 9], "TTT")],
)
def test_thin_gas_of_many_molecules(size, pbc):
    """More atoms than are folded to save time; vesin alone would crash on some of these."""
    rng = np.random.default_rng(0)
    centres = rng.uniform(0, size, (800, 3))
    step = rng.normal(size=(800, 3))
    positions = np.vstack((centres, centres + step / np.linalg.norm(step, axis=1, keepdims=True)))
    positions, cell, periodic, _ = parse((positions, np.diag(np.array(size, float)), pbc, None))
    i, j, S = primitive_neighbor_list("ijS", periodic, cell * periodic[:, None], positions, 4.0, max_nbins=1e4)
    assert len(i) >= 1600
    neighbors = find_neighbors(positions, cell, periodic, 4.0)
    assert edge_set(neighbors, positions, cell, 4.0) == sorted(tuples(i, j, S))


def test_no_atoms():
    neighbors = find_neighbors(np.zeros((0, 3)), np.eye(3), np.ones(3, bool), 5.0)
    assert (neighbors.n_atoms, neighbors.n_images, neighbors.n_edges, neighbors.max_neighbors) == (0, 0, 0, 0)
    assert neighbors.edges(np.zeros((0, 3)), np.eye(3), 5.0).D.shape == (0, 3)
    assert neighbors.pack(np.zeros((0, 3)), np.eye(3), np.zeros(0, np.int32)).shape == (0, 4)
    assert neighbors.fold(np.zeros((0, 3))).shape == (0, 3)
    assert len(neighbors.centres) == 0


def test_more_than_a_thousand_neighbors():
    positions, cell, pbc = cloud(3, 3), 3.0 * np.eye(3), np.ones(3, bool)
    neighbors = find_neighbors(positions, cell, pbc, 14.0)
    assert neighbors.max_neighbors > 1000
    assert edge_set(neighbors, positions, cell, 14.0) == brute_force(positions, cell, pbc, 14.0)


def test_threads_do_not_change_the_list():
    positions, cell, pbc, rcut = parse(STRUCTURES["several search cells"])
    one, two = (find_neighbors(positions, cell, pbc, rcut, threads=n) for n in (1, 2))
    assert_array_equal(one.neighbor, two.neighbor)
    assert_array_equal(one.image_shift, two.image_shift)


def test_search_in_a_forked_process():
    script = """
        import os
        import numpy as np
        from acepair.neighbors import find_neighbors

        def search():
            positions = np.random.default_rng(0).uniform(0, 20, (400, 3))
            return find_neighbors(positions, 20 * np.eye(3), np.ones(3, bool), 3.0, threads=2)

        n = search().n_edges
        child = os.fork()
        if child == 0:
            os._exit(0 if search().n_edges == n else 1)
        raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    """
    subprocess.run([sys.executable, "-W", "ignore", "-c", textwrap.dedent(script)], check=True, timeout=60)


def test_positions_beyond_32_bits():
    positions = rows([0, 0, 0], [1, 0, 0], [0, 4e10, 0])
    for cell, pbc in ((NO_CELL, "FFF"), (5.0 * np.eye(3), "TTT")):
        with pytest.raises(ValueError, match=r"positions must lie within 1e\+09 cutoffs .* for atom 2"):
            find_neighbors(*parse((positions, cell, pbc, 5.0)))


def test_cell_too_skewed():
    cell = rows([1, 0, 0], [5000, 1, 0], [-3, 2000, 0.5])
    with pytest.raises(ValueError, match="cell must not be so skewed or small for a cutoff of 5 Å, got"):
        find_neighbors(np.zeros((1, 3)), cell, np.ones(3, bool), 5.0)


def test_too_many_images():
    pairs, shifts = np.zeros((3, 2), np.uint64), np.array([[1, 0, 0], [0, 0, 2], [-1, 0, 0]], np.int32)
    fold = np.ones(3, np.int32)
    _, neighbor, _, shift = _neighbors.build_csr(pairs, shifts, fold, 1, max_index=4)
    assert neighbor.tolist() == [1, 2, 3]
    assert shift.tolist() == [[-1, 0, 0], [0, 0, 2], [1, 0, 0]]
    with pytest.raises(ValueError, match="fewer than 2\\^31"):
        _neighbors.build_csr(pairs, shifts, fold, 1, max_index=3)


def test_smaller_cutoffs_by_filtering():
    positions, cell, pbc, _ = parse(STRUCTURES["skewed"])
    neighbors = find_neighbors(positions, cell, pbc, 6.0)
    for rcut in (2.0, 3.7, 6.0):
        assert edge_set(neighbors, positions, cell, rcut) == brute_force(positions, cell, pbc, rcut)
    assert not neighbors.edges(positions, cell, 0.0).i.size
    assert neighbors.edges(positions, cell, np.inf).i.size == neighbors.n_edges


def test_cutoff_is_exclusive():
    positions = rows([0, 0, 0], [3, 0, 0])
    neighbors = find_neighbors(positions, NO_CELL, np.zeros(3, bool), 4.0)
    assert neighbors.edges(positions, NO_CELL, 3.0).i.size == 0
    assert neighbors.edges(positions, NO_CELL, np.nextafter(3.0, 4.0)).i.size == 2


def test_cutoffs_per_species_pair():
    positions, cell, pbc, _ = parse(STRUCTURES["skewed"])
    species = np.array([0, 1, 1, 0, 1, 0, 0, 0, 1], np.int32)
    rcut = rows([3.0, 5.0], [4.0, 2.0])  # centre first: not symmetric
    edges = find_neighbors(positions, cell, pbc, 5.0).edges(positions, cell, rcut, species)
    everything = np.array(brute_force(positions, cell, pbc, 5.0))
    i, j, S = everything[:, 0], everything[:, 1], everything[:, 2:]
    inside = np.linalg.norm(positions[j] + S @ cell - positions[i], axis=1) < rcut[species[i], species[j]]
    assert 0 < inside.sum() < len(inside)
    assert tuples(edges.i, edges.j, edges.S) == tuples(i[inside], j[inside], S[inside])


@pytest.mark.parametrize(
    ("rcut", "species", "message"),
    [
        (np.ones((2, 2)), None, "species must be given"),
        (np.ones((2, 2)), [0, 2], r"species must lie in 0\.\.1, got 0\.\.2"),
        (np.ones((2, 2)), [0, -1], r"species must lie in 0\.\.1, got -1\.\.0"),
        (np.ones((2, 3)), [0, 1], r"rcut must be a number or \(n_species, n_species\), got \(2, 3\)"),
        (np.ones((2, 2)), [0, 1, 1], "species must have 2 entries"),
    ],
)
def test_bad_cutoffs(rcut, species, message):
    positions = rows([0, 0, 0], [1, 0, 0])
    neighbors = find_neighbors(positions, NO_CELL, np.zeros(3, bool), 3.0)
    with pytest.raises(ValueError, match=message):
        neighbors.edges(positions, NO_CELL, rcut, None if species is None else np.array(species, np.int32))


def test_pack_and_fold():
    positions, cell, pbc, rcut = parse(STRUCTURES["slab, other axes"])
    species = np.arange(len(positions), dtype=np.int32) % 3
    neighbors = find_neighbors(positions, cell, pbc, rcut)
    packed = neighbors.pack(positions, cell, species)
    images = positions[neighbors.image_owner] + neighbors.image_shift @ cell
    # relative to the first atom
    assert_allclose(packed[:, :3], np.vstack((positions, images)) - positions[0], rtol=0, atol=1e-14)
    assert_array_equal(packed[:, 3], species[neighbors.owner])
    assert packed.ctypes.data % 64 == 0
    assert neighbors.pack(positions + 1, cell, species, out=packed) is packed
    assert_allclose(packed[1, :3], positions[1] - positions[0])
    assert neighbors.pack(positions, cell, species, out=packed[:-1]).shape == packed.shape

    extended = np.random.default_rng(0).normal(size=(len(packed), 5))
    expected = np.zeros((len(positions), 5))
    np.add.at(expected, neighbors.owner, extended)
    assert_array_equal(neighbors.fold(extended), expected)  # the same additions in the same order
    with pytest.raises(ValueError, match="extended must have"):
        neighbors.fold(extended[1:])
    with pytest.raises(ValueError, match="positions must have shape"):
        neighbors.pack(positions[1:], cell, species)


def test_list_of_another_search():
    """A list as LAMMPS gives it: ghost atoms at positions of their own, any owner."""
    first, neighbor = np.array([0, 2, 3]), np.array([1, 2, 0], np.int32)
    owner, shift = np.array([1], np.int32), np.array([[0, 0, 1]], np.int32)
    neighbors = NeighborList(first, neighbor, owner, shift)
    assert (neighbors.n_atoms, neighbors.n_images, neighbors.n_edges, neighbors.max_neighbors) == (2, 1, 3, 2)
    assert neighbors.owner.tolist() == [0, 1, 1]
    for array in (neighbors.first, neighbors.neighbor, neighbors.image_owner, neighbors.image_shift):
        assert not array.flags.writeable
    first[0] = 0  # the caller's array stays its own


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"first": [0, 2, 4]}, "first must ascend"),
        ({"first": [1, 2, 3]}, "first must ascend"),
        ({"first": [0, 4, 3]}, "first must ascend"),
        ({"first": []}, "first must have"),
        ({"neighbor": [1, 3, 0]}, "neighbor lie within"),
        ({"neighbor": [1, -1, 0]}, "neighbor lie within"),
        ({"image_owner": [2]}, "image_owner within"),
        ({"image_shift": [[0, 0]]}, "image_shift must be"),
    ],
)
def test_bad_list(change, message):
    arrays = {"first": [0, 2, 3], "neighbor": [1, 2, 0], "image_owner": [1], "image_shift": [[0, 0, 1]]} | change
    types = {"first": np.int64}
    with pytest.raises(ValueError, match=message):
        NeighborList(**{name: np.array(values, types.get(name, np.int32)) for name, values in arrays.items()})


def test_list_of_wrong_type():
    none = np.zeros(0, np.int32)
    with pytest.raises(TypeError, match="neighbor must be an array of int32, got int64"):
        NeighborList(np.zeros(1, np.int64), np.zeros(0, np.int64), none, none.reshape(0, 3))
