"""The neighbour search of the GPU on the host shim: against vesin's lists, and when a list is made anew."""

import numpy as np
import pytest
from gpu.host import COMPILER, HostBackend
from numpy.testing import assert_allclose, assert_array_equal
from reference import structures
from reference.cases import model_path

from acepair.evaluate import Evaluator as HostEvaluator
from acepair.gpu import Evaluator
from acepair.gpu.geometry import complete_cells
from acepair.gpu.lists import _segments
from acepair.gpu.search import search_neighbors
from acepair.io import read_acejax
from acepair.neighbors import NeighborCache, find_neighbors

pytestmark = pytest.mark.skipif(COMPILER is None, reason="no C++ compiler for the host shim")


def pairs_of_search(atoms, cutoff):
    """Rows (i, j, S) of the device's search, sorted."""
    pbc = atoms.pbc[None]
    first = np.array([0, len(atoms)])
    found = search_neighbors(HostBackend(), atoms.positions.copy(), atoms.cell.array[None], pbc, first, cutoff)
    i = np.repeat(np.arange(len(atoms)), np.diff(found.first))
    S = found.row_shift[found.neighbor] - found.row_shift[i]
    rows = np.column_stack((i, found.row_owner[found.neighbor], S))
    return rows[np.lexsort(rows.T[::-1])]


def pairs_of_vesin(atoms, cutoff):
    found = find_neighbors(atoms.positions, atoms.cell.array, atoms.pbc, cutoff)
    shift = np.concatenate((np.zeros((len(atoms), 3), int), found.image_shift))[found.neighbor]
    return np.column_stack((np.repeat(np.arange(len(atoms)), np.diff(found.first)), found.owner[found.neighbor], shift))


@pytest.mark.parametrize("name", sorted(structures.ALL))
@pytest.mark.parametrize("cutoff", [2.5, 5.5, 9.0])
def test_same_pairs_as_vesin(name, cutoff):
    atoms = structures.ALL[name]([14, 8])
    assert_array_equal(pairs_of_search(atoms, cutoff), pairs_of_vesin(atoms, cutoff))


@pytest.mark.parametrize("pbc", [True, False, (True, False, True)])
def test_random_atoms_in_a_skewed_box(pbc):
    from ase import Atoms

    rng = np.random.default_rng(8)
    cell = np.array([[14.0, 0.3, -2.0], [5.0, 17.0, 1.0], [-4.0, 6.0, 12.0]])
    atoms = Atoms("Si300", positions=rng.uniform(-40, 40, (300, 3)), cell=cell, pbc=pbc)
    assert_array_equal(pairs_of_search(atoms, 4.0), pairs_of_vesin(atoms, 4.0))


def test_far_apart_and_far_away():
    from ase import Atoms

    atoms = Atoms("Si4", positions=[[0, 0, 0], [1e7, 0, 0], [1e7 + 2, 0, 0], [0, 3e6, 0]])
    assert_array_equal(pairs_of_search(atoms, 3.0), [[1, 2, 0, 0, 0], [2, 1, 0, 0, 0]])


@pytest.mark.parametrize("pbc", list(np.ndindex(2, 2, 2)))
def test_completed_cells(pbc):
    from acepair import _neighbors

    cell, periodic = np.array([[4.0, 1, 0], [0.5, 5, 2], [1, -1, 6]]), np.array(pbc, dtype=bool)
    expected = _neighbors.complete_cell(cell, periodic)[0]
    assert_allclose(complete_cells(cell[None], periodic[None])[0], expected, atol=1e-15)


@pytest.mark.parametrize("sizes", [[0, 5, 1024, 1025, 0], [3_000_000], []])
def test_segments_divide_structures(sizes):
    starts = np.concatenate(([0], np.cumsum(sizes))).astype(np.int64)
    first, of_structure = _segments(starts)
    assert first[-1] == starts[-1]
    assert (np.diff(first) > 0).all()
    assert (np.diff(of_structure) <= 256).all()
    assert_array_equal(
        first[of_structure[:-1]][np.array(sizes, dtype=int) > 0], starts[:-1][np.array(sizes, dtype=int) > 0]
    )


@pytest.mark.parametrize("skin", [0.0, 0.4])
@pytest.mark.parametrize("name", ["triclinic", "slab", "molecule"])
def test_lists_are_reused_as_by_the_cache_of_the_cpu(name, skin):
    model = read_acejax(model_path("sio_tutorial"))
    atoms, rng = structures.ALL[name]([14, 8]), np.random.default_rng(2)
    device = Evaluator(model, skin=skin, backend=HostBackend())
    host, cache = HostEvaluator(model), NeighborCache(model.rcut, skin)
    for step in range(12):
        expected, result = host.evaluate(atoms), device.evaluate(atoms)
        cache.update(atoms.positions, atoms.cell, atoms.pbc, atoms.numbers)
        assert (device.n_rebuilds, device.n_reuses) == (cache.n_rebuilds, cache.n_reuses)
        assert_allclose(result.forces, expected.forces, rtol=0, atol=1e-12 * np.abs(expected.forces).max())
        if step % 4 == 3:
            strain = np.eye(3) + rng.normal(scale=0.01, size=(3, 3))
            atoms.set_cell(atoms.cell.array @ strain, scale_atoms=True)
        elif step % 4:
            atoms.positions += rng.normal(scale=0.03, size=atoms.positions.shape)
    assert device.n_reuses > 1


def test_other_atoms_make_a_new_list():
    device = Evaluator(read_acejax(model_path("sio_tutorial")), backend=HostBackend())
    for atoms in (structures.triclinic([14, 8]), structures.triclinic([14]), structures.slab([14])):
        device.evaluate(atoms)
    assert (device.n_rebuilds, device.n_reuses) == (3, 0)


@pytest.mark.parametrize("moves_in", [False, True])
def test_what_cannot_be_evaluated(moves_in):
    """Two atoms in one place, positions that are no numbers: with a new list and with one that is reused."""
    device = Evaluator(read_acejax(model_path("sio_tutorial")), skin=8.0, backend=HostBackend())
    atoms = structures.triclinic([14, 8])
    good = device.evaluate(atoms).forces
    if not moves_in:
        device = Evaluator(read_acejax(model_path("sio_tutorial")), backend=HostBackend())
    broken = atoms.copy()
    broken.positions[1] = broken.positions[5]
    with pytest.raises(ValueError, match=r"atoms must be at least 1e-06 Å apart, got 0 Å for atoms [15] and [15]"):
        device.evaluate(broken)
    system = device.system(atoms)
    positions = atoms.positions.copy()
    if moves_in:
        system.evaluate(positions, atoms.cell.array)
    positions[4, 1] = np.nan
    with pytest.raises(ValueError, match=r"positions must be finite \(Å\), got .* for atom 4"):
        system.evaluate(positions, atoms.cell.array)
    assert_allclose(device.evaluate(atoms).forces, good, rtol=0, atol=1e-12)


def test_arrays_of_wrong_shape():
    device = Evaluator(read_acejax(model_path("sio_tutorial")), backend=HostBackend())
    atoms = structures.triclinic([14, 8])
    system = device.system([atoms, atoms])
    with pytest.raises(ValueError, match=r"positions must have shape \(16, 3\), got \(8, 3\)"):
        system.evaluate(atoms.positions, atoms.cell.array)
    with pytest.raises(ValueError, match=r"cells must have shape \(2, 3, 3\), got \(3, 3\)"):
        system.evaluate(np.concatenate((atoms.positions, atoms.positions)), atoms.cell.array)
