"""Kernels take radial series in other polynomials and, for low degrees, their weights after the sum: same numbers."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from reference import naive, structures
from reference.random_model import random_model
from test_threads_isa import everything

import acepair
from acepair import _kernels as kernels
from acepair.basis.polynomials import jacobi, legendre
from acepair.evaluate import Evaluator
from acepair.io import read_acejax

POLYNOMIALS = {"legendre": legendre, "jacobi": lambda n: jacobi(n, 6.0, 6.0)}


def model_arrays(elements, polynomials, **options):
    """A random model in polynomials of the field."""
    arrays = random_model(elements, **options)
    for prefix in ("", "pair_"):
        family = POLYNOMIALS[polynomials](len(arrays[f"{prefix}polys_A"]))
        arrays |= {f"{prefix}polys_{name}": getattr(family, name) for name in "ABC"}
    return arrays


@pytest.fixture
def build(tmp_path):
    def make(arrays):
        np.savez(tmp_path / "model.npz", **arrays)
        return read_acejax(tmp_path / "model.npz")

    return make


def arrangement(model):
    """How the kernels take the plan with the many-body part."""
    (plan,) = Evaluator(model).plans()
    return plan.engine.arrangement


CASES = [  # elements, polynomials, n_max, lmax; whether Chebyshev's polynomials serve, degrees after the sum
    ([14], "legendre", 2, 3, True, 0),
    ([14, 8], "legendre", 8, 2, True, 2),
    ([14], "legendre", 14, 3, True, 4),
    ([14, 8, 1], "legendre", 10, 1, True, 2),
    ([14, 8, 1], "legendre", 6, 7, True, 0),
    ([14], "jacobi", 14, 3, False, 4),
]


@pytest.mark.parametrize(("elements", "polynomials", "n_max", "lmax", "chebyshev", "degrees"), CASES)
@pytest.mark.parametrize("structure", [structures.molecule, structures.disordered, structures.tiny])
def test_agrees_with_the_formulas(build, elements, polynomials, n_max, lmax, chebyshev, degrees, structure):
    arrays = model_arrays(elements, polynomials, n_max=n_max, lmax=lmax, seed=n_max)
    model = build(arrays)
    assert arrangement(model) == {"chebyshev": chebyshev, "moment_degrees": degrees}
    atoms = structure(elements)
    exact = naive.evaluate(naive.NaiveModel.from_arrays(arrays, np.longdouble), atoms)
    found = everything(model, atoms)
    forces = exact.forces.astype(float)
    assert_allclose(found["forces"], forces, rtol=0, atol=1e-12 * naive.force_scale(forces))
    rows = acepair.energy_forces_virial_basis(atoms, model).forces @ acepair.get_linear_parameters(model)
    assert_allclose(rows, forces, rtol=0, atol=1e-12 * naive.force_scale(forces))
    energies = exact.site_energies.astype(float)
    assert_allclose(found["site energies"], energies, rtol=0, atol=1e-12 * np.abs(energies).max() * len(atoms))


@pytest.mark.parametrize("isa", kernels.available_isas())
@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_instruction_set_and_precision(build, isa, case):
    elements, polynomials, n_max, lmax, *_ = case
    model = build(model_arrays(elements, polynomials, n_max=n_max, lmax=lmax, seed=n_max))
    atoms = structures.disordered(elements)
    expected = everything(model, atoms)
    before = kernels.isa()
    kernels.use_isa(isa)
    try:
        for dtype, tolerance in {"float64": 1e-12, "float32": 1e-4}.items():
            for name, value in everything(model, atoms, dtype=dtype).items():
                assert_allclose(
                    value, expected[name], rtol=0, atol=tolerance * np.abs(expected[name]).max(), err_msg=name
                )
    finally:
        kernels.use_isa(before)


@pytest.mark.parametrize("scale", [1e-4, 1e4])
def test_the_scale_of_polynomials_decides_nothing(build, scale):
    for polynomials, chebyshev in {"legendre": True, "jacobi": False}.items():
        arrays = model_arrays([14], polynomials, n_max=14, lmax=1)
        for prefix, weights in {"": "rnl_Wnlq", "pair_": "pair_Wnlq"}.items():
            arrays[f"{prefix}polys_A"] = np.append(
                scale * arrays[f"{prefix}polys_A"][:2], arrays[f"{prefix}polys_A"][2:]
            )
            arrays[f"{prefix}polys_B"] = np.append(
                scale * arrays[f"{prefix}polys_B"][:2], arrays[f"{prefix}polys_B"][2:]
            )
            arrays[weights] = arrays[weights] / scale  # the first two polynomials begin the recurrence of all
        model, atoms = build(arrays), structures.disordered([14])
        assert arrangement(model)["chebyshev"] is chebyshev
        exact = naive.evaluate(naive.NaiveModel.from_arrays(arrays, np.longdouble), atoms).forces.astype(float)
        found = everything(model, atoms)["forces"]
        assert_allclose(found, exact, rtol=0, atol=1e-12 * naive.force_scale(exact))


def test_functions_that_vanish_for_some_pairs(build):
    """Sums that a centre of one species has and another has not are zero there, not what the last block left."""
    arrays = model_arrays([14, 8], "legendre", n_max=12, lmax=2, seed=1)
    arrays["rnl_Wnlq"][0, 1] = 0
    arrays["rnl_Wnlq"][1, :, ::2] = 0
    model, atoms = build(arrays), structures.disordered([14, 8])
    exact = naive.evaluate(naive.NaiveModel.from_arrays(arrays, np.longdouble), atoms).forces.astype(float)
    for _ in range(2):
        assert_allclose(everything(model, atoms)["forces"], exact, rtol=0, atol=1e-12 * naive.force_scale(exact))
