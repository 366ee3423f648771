"""dtype="float32": the same numbers to single precision, for every instruction set, radial kind and output."""

import numpy as np
import pytest
from ase import Atoms
from numpy.testing import assert_array_equal
from reference import structures
from reference.cases import CASES, model_path, naive_model
from test_threads_isa import everything, several_blocks

import acepair
from acepair import _kernels as kernels
from acepair.evaluate import Evaluator
from acepair.io import read_acejax

TOLERANCE = 4e-5  #: of the largest number of its kind; 3e-6 is usual, cells of few atoms cancel more


def assert_single_agrees(model, atoms):
    """Compare all outputs; energies without those of free atoms, which are added in double precision.

    Forces of images may cancel: errors are measured by the largest contribution of an edge.
    """
    double, single = everything(model, atoms), everything(model, atoms, dtype="float32")
    free = np.array([Evaluator(model).evaluate(Atoms([atom])).energy for atom in atoms])
    offsets = {"site energies": free, "site energies alone": free, "energy": free.sum()}
    largest = np.abs(double["site energies"] - free).max(initial=0) * len(atoms)
    edge = np.abs(double["edge gradients"]).max(initial=0)
    for name, value in double.items():
        expected, found = value - offsets.get(name, 0), single[name] - offsets.get(name, 0)
        scale = largest if name == "energy" else np.abs(expected).max(initial=0)
        if name not in offsets:
            scale = max(scale, edge)
        assert np.abs(found - expected).max(initial=0) <= TOLERANCE * scale, name
    if double["forces"].any():
        assert (single["forces"] != double["forces"]).any()  # it is another precision indeed


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(
    "build",
    [
        several_blocks,
        structures.tiny,
        structures.skewed,
        structures.molecule,
        structures.isolated,
        structures.disordered,
    ],
)
def test_agrees_with_double_precision(case, build):
    assert_single_agrees(read_acejax(model_path(case)), build(naive_model(case).elements))


@pytest.mark.parametrize("isa", kernels.available_isas())
@pytest.mark.parametrize("case", ["sio_tutorial", "si_zuo_large", "tial_embedding"])
def test_every_instruction_set(case, isa):
    before = kernels.isa()
    kernels.use_isa(isa)
    try:
        assert_single_agrees(read_acejax(model_path(case)), several_blocks(naive_model(case).elements))
    finally:
        kernels.use_isa(before)


@pytest.mark.parametrize(
    "make",
    [
        lambda: acepair.ace_model(elements=("Si", "O"), order=3, max_level=8, maxl=4, init_WB="glorot_normal", seed=1),
        lambda: acepair.ace_model(elements=("Si", "O"), order=2, max_level=6, maxl=8, Ytype="spherical", seed=2),
        lambda: acepair.ace1_model(elements=("Si", "O"), order=2, totaldegree=6, ZBL=True),
        lambda: acepair.splinify(acepair.ace1_model(elements=("Si", "O"), order=3, totaldegree=7)),
        lambda: acepair.ZBLPotential(("Si", "O"), 4.0),
    ],
    ids=["series", "spherical", "ace1 with ZBL", "splines", "pair terms alone"],
)
def test_every_kind_of_plan(make):
    model = make()
    if not isinstance(model, acepair.ZBLPotential):
        rng = np.random.default_rng(3)
        theta = rng.normal(size=acepair.length_basis(model))
        acepair.set_linear_parameters(model, theta / smoothness(model))
    assert_single_agrees(model, several_blocks([14, 8]))


def smoothness(model):
    """A smoothness prior, so that high functions do not rule."""
    from acepair.fitting import algebraic_smoothness_prior

    return algebraic_smoothness_prior(model, p=2)


def test_threads_do_not_change_a_bit():
    model, atoms = read_acejax(model_path("sio_tutorial")), several_blocks([14, 8])
    expected = everything(model, atoms, dtype="float32")
    for threads in (2, 3):
        for name, values in everything(model, atoms, threads, dtype="float32").items():
            assert_array_equal(values, expected[name], err_msg=name)


def test_calculator_and_changes_of_parameters():
    model, atoms = read_acejax(model_path("sio_tutorial")), several_blocks([14, 8])
    double, single = acepair.ACECalculator(model), acepair.ACECalculator(model, dtype="float32")
    for factor in (1, -2):
        acepair.set_linear_parameters(model, factor * acepair.get_linear_parameters(model))
        expected = double.get_forces(atoms)
        assert np.abs(single.get_forces(atoms) - expected).max() < TOLERANCE * np.abs(expected).max()
    single.set(dtype="float64")
    assert_array_equal(single.get_forces(atoms), expected)


def test_coincident_atoms_are_found():
    model = read_acejax(model_path("sio_tutorial"))
    with pytest.raises(ValueError, match="for atoms 1 and 0"):
        Evaluator(model, dtype="float32").evaluate(Atoms("Si2", [[0, 0, 0], [0, 0, 1e-8]]))


def test_unknown_precision():
    with pytest.raises(ValueError, match=r"^dtype must be 'float64' or 'float32', got 'float16'$"):
        Evaluator(read_acejax(model_path("sio_tutorial")), dtype="float16")
