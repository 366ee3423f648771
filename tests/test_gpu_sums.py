"""Kernels of the GPU sum A over edges, or moments of which they make A: the same numbers as the Cython kernels."""

import numpy as np
import pytest
from gpu.host import COMPILER, HostBackend
from numpy.testing import assert_allclose
from reference import structures
from reference.cases import model_path
from reference.random_model import random_model

from acepair.evaluate import Evaluator as HostEvaluator
from acepair.gpu import Engine, System, sums
from acepair.io import read_acejax
from acepair.lowering import lower
from acepair.models.convert import as_calculator
from acepair.structure import SpeciesTable, read_structure


@pytest.fixture
def build(tmp_path):
    def make(elements, n_max, lmax, without_l):
        arrays = random_model(elements, n_max=n_max, lmax=lmax, seed=n_max)
        leave_out(arrays, without_l)
        np.savez(tmp_path / "model.npz", **arrays)
        return read_acejax(tmp_path / "model.npz")

    return make


def leave_out(arrays, l):
    """Take the A of degree l from a model; its products are then of others, which ones does not matter."""
    kept = np.floor(np.sqrt(arrays["aspec_y"])) != l
    for name in ("aspec_r", "aspec_y"):
        arrays[name] = arrays[name][kept]
    for order in (1, 2, 3):
        arrays[f"aa_spec_{order}"] = np.sort(arrays[f"aa_spec_{order}"] % kept.sum(), axis=1)


@pytest.mark.parametrize(
    ("case", "degrees"), [("sio_tutorial", 1), ("si_order4_large", 0), ("si_zuo_large", 0), ("tial_ace1", 0)]
)
def test_choice(case, degrees):
    (plan, *_) = lower(as_calculator(read_acejax(model_path(case))))
    assert sums.make_sums(plan).n_degrees == degrees


@pytest.mark.skipif(COMPILER is None, reason="no C++ compiler for the host shim")
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("without_l", [None, 0, 1])
@pytest.mark.parametrize("degrees", range(4))
@pytest.mark.parametrize(("elements", "n_max"), [([14], 5), ([14, 8, 1], 3)])
def test_any_number_of_degrees(build, monkeypatch, elements, n_max, degrees, without_l, dtype):
    monkeypatch.setattr(sums, "_cycles", lambda plan, n: abs(n - degrees) + 1)
    model = build(elements, n_max, 2, without_l)
    assert sums.make_sums(lower(as_calculator(model))[0]).n_degrees == degrees
    assert_as_on_the_cpu(model, elements, dtype)


@pytest.mark.skipif(COMPILER is None, reason="no C++ compiler for the host shim")
def test_moments_of_a_degree_that_no_function_has(build):
    model = build([14], 12, 1, without_l=0)
    assert sums.make_sums(lower(as_calculator(model))[0]).n_degrees == 2
    assert_as_on_the_cpu(model, [14], "float64")


def assert_as_on_the_cpu(model, elements, dtype):
    calculator, atoms = as_calculator(model), structures.disordered(elements)
    structure = read_structure(atoms, SpeciesTable(calculator.elements))
    expected = HostEvaluator(model).evaluate(atoms)
    tolerance = 1e-12 if dtype == "float64" else 1e-4

    def assert_near(found, expected, scale):
        assert_allclose(found, expected, rtol=0, atol=tolerance * scale)

    for options in ({"chunk_bytes": 1}, {}):
        engine = Engine(lower(calculator), tuple(calculator.elements), dtype=dtype, backend=HostBackend(), **options)
        found = System(engine, structure.species, structure.pbc).evaluate(structure.positions, structure.cell)
        assert_near(found.energies[0], expected.energy, np.abs(expected.site_energies).sum())
        assert_near(found.forces, expected.forces, np.abs(expected.forces).max())
        assert_near(found.virials[0], expected.virial, np.abs(expected.virial).max())
