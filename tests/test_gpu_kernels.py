"""The GPU's kernels, compiled for the CPU by the host shim, and all Python around them, against the Cython kernels."""

from functools import cache

import numpy as np
import pytest
from gpu.host import COMPILER, HostBackend
from numpy.testing import assert_allclose, assert_array_equal
from reference import structures
from reference.cases import STRUCTURES, golden_structure, model_path
from reference.model_zoo import MODELS, ace1, tutorial

import acepair
from acepair.evaluate import Evaluator as HostEvaluator
from acepair.gpu import Engine, Evaluator
from acepair.gpu.layout import MAX_COLUMNS, PAD, Layout
from acepair.io import read_acejax
from acepair.lowering import lower
from acepair.models.convert import as_calculator
from acepair.structure import SpeciesTable, read_structure

pytestmark = pytest.mark.skipif(COMPILER is None, reason="no C++ compiler for the host shim")


@cache
def model(case):
    return read_acejax(model_path(case))


@cache
def evaluators(case, dtype="float64"):
    return Evaluator(model(case), dtype=dtype, backend=HostBackend()), HostEvaluator(model(case))


def assert_same(result, expected, tolerance):
    """Compare energies on the scale of the largest site energy, forces and virials on their own, never below 1."""
    scale = np.abs(expected.site_energies).max(initial=1)
    assert_allclose(result.site_energies, expected.site_energies, rtol=0, atol=tolerance * scale)
    assert abs(result.energy - expected.energy) < tolerance * scale * max(1, len(expected.site_energies))
    for name in ("forces", "virial", "site_virials"):
        a, b = getattr(result, name), getattr(expected, name)
        assert (a is None) == (b is None), name
        if b is not None:
            assert_allclose(a, b, rtol=0, atol=tolerance * np.abs(b).max(initial=1), err_msg=name)


def compare(device, host, atoms, tolerance=1e-12):
    assert_same(device.evaluate(atoms, site_virials=True), host.evaluate(atoms, site_virials=True), tolerance)


@pytest.mark.parametrize(("case", "k"), STRUCTURES)
def test_golden_structures(case, k):
    compare(*evaluators(case), golden_structure(case, k))


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("case", sorted({case for case, _ in STRUCTURES}))
def test_small_structures_on_a_large_device(case, dtype):
    backend = HostBackend(multiprocessors=132)
    device = Evaluator(model(case), dtype=dtype, backend=backend)
    compare(device, evaluators(case)[1], golden_structure(case, 0), tolerance=1e-12 if dtype == "float64" else 1e-4)
    assert "products_of_small_tiles" in backend.launched
    assert "products" not in backend.launched


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_large_structures(dtype):
    """Enough columns for blocks of as many as they can take."""
    backend, case = HostBackend(), "sio_tutorial"
    device, atoms = Evaluator(model(case), dtype=dtype, backend=backend), structures.diamond([14, 8], (4, 4, 2))
    atoms.rattle(0.1, seed=5)
    compare(device, evaluators(case)[1], atoms, tolerance=1e-12 if dtype == "float64" else 1e-4)
    columns = sum(-(-n // PAD) * PAD for n in np.unique(atoms.numbers, return_counts=True)[1])
    assert backend.n_blocks["pool"] == backend.n_blocks["backward"] == columns / MAX_COLUMNS
    assert "products_of_small_tiles" not in backend.launched


@pytest.mark.parametrize(("case", "k"), [(case, k) for case, k in STRUCTURES if k < 2])
def test_single_precision(case, k):
    compare(*evaluators(case, "float32"), golden_structure(case, k), tolerance=1e-4)


@pytest.mark.parametrize("name", sorted(structures.ALL))
def test_every_structure(name):
    device, host = evaluators("sio_tutorial")
    compare(device, host, structures.ALL[name]([14, 8]))


@pytest.mark.parametrize("name", sorted(MODELS.keys() - {case for case, _ in STRUCTURES}))
def test_every_model(name, tmp_path):
    calculator = as_calculator(MODELS[name](tmp_path))
    numbers = SpeciesTable(calculator.elements).numbers.tolist()
    device, host = Evaluator(calculator, backend=HostBackend()), HostEvaluator(calculator)
    for atoms in (structures.triclinic(numbers), structures.diamond(numbers, (2, 1, 1))):
        compare(device, host, atoms)


def test_more_than_1000_neighbors():
    device, host = evaluators("sio_tutorial")
    compare(device, host, structures.crowded([14, 8]), tolerance=1e-11)


@pytest.mark.parametrize(
    "layout",
    [
        Layout(tile=8, product_rows=3, edge_threads=32, resident_edges=512, nodes_shared=True, adjoints_shared=True),
        Layout(tile=32, product_rows=4, edge_threads=64, resident_edges=256, nodes_shared=True, adjoints_shared=False),
        Layout(tile=16, product_rows=2, edge_threads=96, resident_edges=384, nodes_shared=False, adjoints_shared=False),
    ],
    ids=["small tile", "adjoints outside", "nodes outside"],
)
@pytest.mark.parametrize("multiprocessors", [1, 132])
def test_layouts_and_chunks_do_not_matter(layout, multiprocessors):
    atoms = structures.diamond([14, 8], (3, 2, 2))
    atoms.rattle(0.1, seed=4)
    calculator, structure = model("sio_tutorial"), read_structure(atoms, SpeciesTable(("Si", "O")))
    expected = HostEvaluator(calculator).evaluate(atoms, site_virials=True)
    results = []
    for chunk_bytes in (1, 1 << 30):  # one tile at a time, all at once
        backend = HostBackend(multiprocessors=multiprocessors)
        engine = Engine(lower(calculator), ("Si", "O"), backend=backend, layout=layout, chunk_bytes=chunk_bytes)
        results.append(evaluate_arrays(engine, structure))
        assert_allclose(results[-1].forces, expected.forces, rtol=0, atol=1e-12 * np.abs(expected.forces).max())
        assert_allclose(results[-1].virials[0], expected.virial, rtol=0, atol=1e-12 * np.abs(expected.virial).max())
    for name in ("energies", "site_energies", "forces", "virials", "site_virials"):
        assert_array_equal(getattr(results[0], name), getattr(results[1], name))


@pytest.mark.parametrize("name", ["triclinic", "molecule", "slab"])
@pytest.mark.parametrize("case", ["sio_tutorial", "tial_ace1", "si_order4_large"])
@pytest.mark.parametrize("multiprocessors", [1, 132])
def test_order_of_threads_and_blocks_does_not_matter(case, name, multiprocessors):
    """Which it would if a thread depended on another of the same phase, or a block on another: races on a device."""
    calculator = model(case)
    atoms = structures.ALL[name](SpeciesTable(calculator.elements).numbers.tolist())
    backends = [HostBackend(multiprocessors=multiprocessors, backwards=backwards) for backwards in (False, True)]
    several = [Evaluator(calculator, backend=backend) for backend in backends]
    forwards, backwards = (evaluator.evaluate(atoms, site_virials=True) for evaluator in several)
    assert forwards.energy == backwards.energy
    for quantity in ("site_energies", "forces", "virial", "site_virials"):
        assert_array_equal(getattr(forwards, quantity), getattr(backwards, quantity), err_msg=quantity)


def evaluate_arrays(engine, structure, **options):
    from acepair.gpu import System

    return System(engine, structure.species, structure.pbc).evaluate(structure.positions, structure.cell, **options)


def test_small_system_takes_few_launches():
    backend = HostBackend()
    device, atoms = Evaluator(model("si_order4"), backend=backend), golden_structure("si_order4", 2)
    device.evaluate(atoms)
    backend.launched.clear()
    atoms.positions[3] += 0.01
    device.evaluate(atoms)
    assert device.n_reuses == 1
    assert backend.launched == [
        *("pack_rows", "find_edges", "pool", "products", "backward", "gather_forces", "sum_segments", "sum_structures"),
    ]


@pytest.mark.parametrize("strain", [0.0, 1e-4])
def test_steps_that_repeat_are_recorded(strain):
    """Positions that stay in one array: the third step replays launches, whatever array and cell hold by then."""
    backend, case = HostBackend(), "sio_tutorial"
    device, atoms = Evaluator(model(case), backend=backend), golden_structure(case, 2)
    system, host = device.system(atoms), HostEvaluator(model(case))
    positions = atoms.positions.copy()
    for step in range(6):
        atoms.set_cell((1 + strain) * atoms.cell.array)
        positions *= 1 + strain
        positions[step] += 0.01
        atoms.positions = positions
        with_virial = step != 4
        results = system.evaluate(positions, atoms.cell.array, virial=with_virial)
        expected = host.evaluate(atoms)
        assert_allclose(results.forces, expected.forces, rtol=0, atol=1e-12 * np.abs(expected.forces).max())
        assert (results.virials is not None) == with_virial
    assert (system.n_rebuilds, system.n_reuses) == (1, 5)
    assert backend.n_recordings == 1


def test_energies_alone():
    device, host = evaluators("sio_tutorial")
    atoms = golden_structure("sio_tutorial", 2)
    result, expected = device.evaluate(atoms, gradients=False), host.evaluate(atoms, gradients=False)
    assert_same(result, expected, 1e-12)
    assert result.forces is None
    without = device.evaluate(atoms, virial=False)
    assert_array_equal(without.forces, device.evaluate(atoms).forces)


def test_batch_equals_one_by_one():
    device, _ = evaluators("sio_tutorial")
    batch = [build([14, 8]) for build in structures.ALL.values()]
    alone = Evaluator(model("sio_tutorial"), skin=0.0, backend=HostBackend())
    for result, atoms in zip(device.evaluate_batch(batch, site_virials=True), batch, strict=True):
        assert_same(result, alone.evaluate(atoms, site_virials=True), 1e-13)
    assert device.evaluate_batch([]) == []


def test_no_atoms_and_one_atom():
    from ase import Atoms

    device, host = evaluators("sio_tutorial")
    for atoms in (Atoms(), Atoms("Si"), Atoms("SiO", positions=[[0, 0, 0], [50, 0, 0]])):
        compare(device, host, atoms)


def test_linear_parameters_may_change():
    calculator = tutorial()
    device, host = Evaluator(calculator, backend=HostBackend()), HostEvaluator(calculator)
    atoms = structures.triclinic([14, 8])
    compare(device, host, atoms)
    acepair.set_linear_parameters(calculator, acepair.get_linear_parameters(calculator)[::-1].copy())
    compare(device, host, atoms)
    assert (device.n_rebuilds, device.n_reuses) == (1, 1)


def test_stack_whose_parts_have_plans_of_their_own():
    parts = [*tutorial().to_calculator().components, *ace1(rcut=4.5).to_calculator().components]
    calculator = acepair.StackedCalculator(parts)
    assert len(lower(calculator)) > 1
    compare(Evaluator(calculator, backend=HostBackend()), HostEvaluator(calculator), structures.triclinic([14, 8]))


def test_ase_calculators_in_a_stack_are_refused():
    from ase.calculators.lj import LennardJones

    stack = acepair.StackedCalculator([*tutorial().to_calculator().components, LennardJones()])
    with pytest.raises(TypeError, match="ASE calculators"):
        Evaluator(stack, backend=HostBackend())


@pytest.mark.parametrize("skin", [-0.1, np.nan, np.inf])
def test_skin_that_is_none(skin):
    with pytest.raises(ValueError, match="skin must be finite and not negative"):
        Evaluator(model("sio_tutorial"), skin=skin, backend=HostBackend())


@pytest.mark.parametrize("dtype", ["float16", "double"])
def test_unknown_precision(dtype):
    with pytest.raises(ValueError, match="dtype must be float64 or float32"):
        Evaluator(model("sio_tutorial"), dtype=dtype, backend=HostBackend())
