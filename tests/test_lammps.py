"""pair_style acepair against the same models in Python."""

from functools import cache

import numpy as np
import pytest
from ase.data import chemical_symbols
from numpy.testing import assert_allclose
from reference import structures
from reference.cases import model_path
from reference.lammps_run import evaluate, standard
from reference.random_model import random_model

from acepair import ETOneBodyPotential, StackedCalculator, ZBLPotential, save_model
from acepair._kernels import available_isas
from acepair.evaluate import Evaluator
from acepair.io.acejax import read_acejax
from acepair.lowering import lower

VOIGT = [0, 4, 8, 1, 2, 5]  # xx, yy, zz, xy, xz, yz of a 3 × 3 in rows
CENTROID = [0, 4, 8, 1, 2, 5, 3, 6, 7]

ELEMENTS = {"sio_tutorial": (14, 8), "tial_ace1": (22, 13), "si_zuo_small": (14,), "si_order4": (14,)}


@cache
def golden_model(case):
    return read_acejax(model_path(case))


@pytest.fixture
def model_file(tmp_path):
    def write(model):
        path = tmp_path / "model.acepair"
        save_model(model, path)
        return path

    return write


def style(elements):
    return f"pair_style acepair\npair_coeff * * model.acepair {' '.join(elements)}\n"


def symbols(numbers):
    return [chemical_symbols[z] for z in numbers]


def one_body(model):
    return next(part for part in model.components if isinstance(part, ETOneBodyPotential))


def compare(result, atoms, model, invariant=True):
    """The bounds of the agreement asked for; what belongs to single atoms is compared too.

    Virials of models that are not rotation invariant are not symmetric: only their diagonals mean the same everywhere.
    """
    evaluation = Evaluator(model).evaluate(atoms, site_virials=True)
    energies, virials = evaluation.site_energies, evaluation.site_virials.reshape(-1, 9)
    E0 = one_body(model).layer.energies
    scale = abs(evaluation.energy - sum(E0[model.elements.index(s)] for s in atoms.get_chemical_symbols())) + 1
    assert result.energy == pytest.approx(evaluation.energy, rel=0, abs=1e-11 * scale)
    assert_allclose(result.energies, energies, rtol=0, atol=1e-11 * scale)
    assert_allclose(result.forces, evaluation.forces, rtol=0, atol=1e-10 * max(abs(evaluation.forces).max(), 1e-3))
    atol = 1e-10 * max(1, abs(virials).max())
    c = slice(None) if invariant else slice(3)
    assert_allclose(result.virial[c], evaluation.virial.ravel()[VOIGT][c], rtol=1e-10, atol=atol)
    assert_allclose(result.virials.sum(axis=0)[c], result.virial[c], rtol=1e-10, atol=atol)
    assert_allclose(result.centroid_virials, virials[:, CENTROID], rtol=1e-10, atol=atol)


@pytest.mark.parametrize("name", ["triclinic", "tiny", "skewed", "disordered", "slab", "molecule", "far_apart"])
@pytest.mark.parametrize("case", ["sio_tutorial", "tial_ace1"])
def test_agrees_with_python(name, case, tmp_path, model_file):
    numbers = ELEMENTS[case]
    atoms = standard(structures.ALL[name](numbers))
    model_file(golden_model(case))
    compare(evaluate(atoms, style(symbols(numbers)), symbols(numbers), tmp_path), atoms, golden_model(case))


@pytest.mark.parametrize("ranks", [2, 4])
@pytest.mark.parametrize("name", ["triclinic", "slab", "molecule"])
def test_agrees_on_several_ranks(name, ranks, tmp_path, model_file):
    numbers = ELEMENTS["sio_tutorial"]
    atoms = standard(structures.ALL[name](numbers))
    model = golden_model("sio_tutorial")
    model_file(model)
    compare(evaluate(atoms, style(symbols(numbers)), symbols(numbers), tmp_path, ranks=ranks), atoms, model)


@pytest.mark.parametrize("case", ["si_zuo_small", "si_order4"])
def test_one_element(case, tmp_path, model_file):
    atoms = standard(structures.triclinic((14,)))
    model_file(golden_model(case))
    compare(evaluate(atoms, style(["Si"]), ["Si"], tmp_path), atoms, golden_model(case))


@pytest.mark.parametrize("radial", ["analytic", "spline"])
@pytest.mark.parametrize("numbers", [(14, 8, 1), (3, 8)])
def test_random_models(radial, numbers, tmp_path, model_file):
    """Cutoffs of each pair, order 5, tables; an order of types that is not the model's."""
    arrays = random_model(list(numbers), radial=radial, order=5, lmax=4, seed=3)
    np.savez(tmp_path / "model.npz", **arrays)
    model = read_acejax(tmp_path / "model.npz")
    model_file(model)
    atoms = standard(structures.triclinic(numbers))
    types = symbols(numbers[::-1])
    compare(evaluate(atoms, style(types), types, tmp_path), atoms, model, invariant=False)


def test_several_plans(tmp_path, model_file):
    """Components that cannot share a pass: another order of elements, a longer cutoff, a repulsive core."""
    first = golden_model("sio_tutorial")
    np.savez(tmp_path / "model.npz", **random_model([8, 14], seed=5))
    second = read_acejax(tmp_path / "model.npz")
    model = StackedCalculator([*first.components, *second.components[1:], ZBLPotential(("Si", "O"), 2.0)])
    model_file(model)
    assert len(lower(model)) > 1
    atoms = standard(structures.triclinic((14, 8)))
    compare(evaluate(atoms, style(["Si", "O"]), ["Si", "O"], tmp_path, ranks=2), atoms, model, invariant=False)


@pytest.mark.parametrize("isa", available_isas())
def test_instruction_sets(isa, tmp_path, model_file):
    atoms = standard(structures.triclinic((14, 8)))
    model = golden_model("sio_tutorial")
    model_file(model)
    result = evaluate(atoms, style(["Si", "O"]), ["Si", "O"], tmp_path, ACEPAIR_ISA=isa)
    assert f"{isa} kernels" in result.output
    compare(result, atoms, model)


def test_more_than_a_thousand_neighbors(tmp_path, model_file):
    atoms = standard(structures.crowded((14, 8)))
    model = golden_model("sio_tutorial")
    model_file(model)
    compare(evaluate(atoms, style(["Si", "O"]), ["Si", "O"], tmp_path), atoms, model)


def test_virial_without_fdotr(tmp_path, model_file):
    atoms = standard(structures.triclinic((14, 8)))
    model = golden_model("sio_tutorial")
    model_file(model)
    explicit = style(["Si", "O"]) + "pair_modify nofdotr\n"
    compare(evaluate(atoms, explicit, ["Si", "O"], tmp_path, ranks=2), atoms, model)


def test_several_types_of_one_element(tmp_path, model_file):
    """Types are what the user makes of them: here 1 and 3 are both silicon."""
    atoms = standard(structures.triclinic((14, 8)))
    model = golden_model("sio_tutorial")
    model_file(model)
    labels = np.array(["Si", "O", "Ge"])[[0 if s == "Si" else 1 for s in atoms.get_chemical_symbols()]]
    labels[np.flatnonzero(labels == "Si")[::2]] = "Ge"
    disguised = atoms.copy()
    disguised.set_chemical_symbols(labels)
    compare(evaluate(disguised, style(["Si", "O", "Si"]), ["Si", "O", "Ge"], tmp_path), atoms, model)


@pytest.mark.parametrize("atoms", [structures.isolated((14,)), structures.isolated_periodic((14,))])
def test_isolated_atom_on_four_ranks(atoms, tmp_path, model_file):
    """Ranks without atoms have nothing to do and must not stand in the way."""
    model = golden_model("sio_tutorial")
    model_file(model)
    compare(evaluate(atoms, style(["Si", "O"]), ["Si", "O"], tmp_path, ranks=4), atoms, model)
