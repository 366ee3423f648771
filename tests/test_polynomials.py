"""Polynomials against SciPy, orthonormality by quadrature, splines against SciPy and golden coefficients."""

import copy
import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose
from reference.cases import model_path
from scipy import interpolate, special

from acepair.basis.polynomials import Polynomials, SplineTable, chebyshev, jacobi, legendre, natural_spline_coefficients
from acepair.basis.registry import from_dict, to_dict

Y = np.linspace(-1, 1, 41)
WEIGHTS = [(0, 0), (4, 4), (2, 4), (0, 4), (1.5, 0.5), (-0.5, -0.5), (-0.5, 0.5), (-0.9, 0.3)]


@pytest.mark.parametrize(("alpha", "beta"), WEIGHTS)
@pytest.mark.parametrize("n", [1, 2, 3, 20])
def test_jacobi_matches_scipy(n, alpha, beta):
    expected = special.eval_jacobi(np.arange(n), alpha, beta, Y[:, None])
    nodes, weights = special.roots_jacobi(n, alpha, beta)  # exact for the squares
    norm = weights @ special.eval_jacobi(np.arange(n), alpha, beta, nodes[:, None]) ** 2
    expected = expected / np.sqrt(norm)
    assert_allclose(jacobi(n, alpha, beta)(Y), expected, rtol=1e-11, atol=1e-11 * np.abs(expected).max())


@pytest.mark.parametrize(("alpha", "beta"), WEIGHTS)
def test_jacobi_is_orthonormal(alpha, beta):
    y, weights = special.roots_jacobi(16, alpha, beta)
    P = jacobi(15, alpha, beta)(y)
    assert_allclose(P.T @ (weights[:, None] * P), np.eye(15), atol=1e-12)


def test_legendre_matches_scipy():
    k = np.arange(15)
    assert_allclose(legendre(15)(Y), special.eval_legendre(k, Y[:, None]) * np.sqrt(k + 0.5), atol=1e-13)


def test_chebyshev_matches_scipy():
    assert_allclose(chebyshev(12)(Y), special.eval_chebyt(np.arange(12), Y[:, None]), atol=1e-13)


def test_legendre_recurrence_matches_golden():
    with np.load(model_path("sio_tutorial")) as golden:
        for name in "ABC":
            assert_allclose(getattr(legendre(15), name), golden[f"polys_{name}"], rtol=1e-14)


@pytest.mark.parametrize("P", [legendre(9), jacobi(9, 2, 4), chebyshev(9), legendre(1), chebyshev(2)])
def test_derivatives(P):
    h = 1e-6
    assert_allclose(P.derivative(Y), (P(Y + h) - P(Y - h)) / (2 * h), rtol=1e-6, atol=1e-6)


def test_shapes():
    assert legendre(4)(0.3).shape == (4,)
    assert legendre(4)(np.zeros((2, 3))).shape == (2, 3, 4)
    assert legendre(4).derivative(np.zeros((2, 0))).shape == (2, 0, 4)


@pytest.mark.parametrize("n_nodes", [2, 3, 4, 30])
def test_natural_spline_matches_scipy(n_nodes):
    x = np.linspace(-1, 1, n_nodes)
    values = np.random.default_rng(1).normal(size=(n_nodes, 3))
    table = SplineTable(-1, 2 / (n_nodes - 1), natural_spline_coefficients(values)[None, None])
    y = np.linspace(-1, 1, 101)
    if n_nodes > 2:
        expected = interpolate.CubicSpline(x, values, bc_type="natural")
        assert_allclose(table.derivative(y, 0, 0), expected(y, 1), rtol=0, atol=1e-11)
    else:
        expected = interpolate.interp1d(x, values, axis=0)
    assert_allclose(table(y, 0, 0), expected(y), rtol=0, atol=1e-13)


@pytest.mark.parametrize(("key", "polynomials"), [("rnl", jacobi(6, 4, 4)), ("pair", legendre(6))])
def test_spline_coefficients_match_golden(key, polynomials):
    with np.load(model_path("tial_ace1")) as file:
        golden = file[f"{key}_spline_coefs"]
    coefficients = natural_spline_coefficients(polynomials(np.linspace(-1, 1, 100)))
    assert golden.shape[2] == len(coefficients) == 102
    for q in range(6):  # onehot: functions 2q and 2q + 1 see the first and the second neighbor species
        for z in range(2):
            assert_allclose(golden[:, z, :, 2 * q + z], np.stack([coefficients[:, q]] * 2), rtol=0, atol=1e-12)
            assert not golden[:, 1 - z, :, 2 * q + z].any()


def spline_table(nz=2, n_functions=3):
    return SplineTable(-1, 0.25, np.random.default_rng(0).normal(size=(nz, nz, 11, n_functions)))


def test_spline_table_matches_scipy_per_pair():
    table = spline_table()
    rng = np.random.default_rng(3)
    y, zi, zj = rng.uniform(-1, 1, 50), rng.integers(0, 2, 50), rng.integers(0, 2, 50)
    knots = -1 + 0.25 * np.arange(-3, 12)
    for k in range(50):
        expected = interpolate.BSpline(knots, table.coefficients[zi[k], zj[k]], 3)(y[k])
        assert_allclose(table(y, zi, zj)[k], expected, rtol=0, atol=1e-13)
    h = 1e-6
    numerical = (table(y + h, zi, zj) - table(y - h, zi, zj)) / (2 * h)
    assert_allclose(table.derivative(y, zi, zj), numerical, rtol=1e-6, atol=1e-7)


def test_spline_table_continues_beyond_its_grid():
    table = spline_table()
    assert table(1.0, 0, 1).shape == (3,)
    inner = np.array([0.8, 0.9, 0.95, 1.0])
    cubic = np.polynomial.Polynomial.fit(inner, table(inner, 0, 1)[:, 0], 3)
    assert table(1.1, 0, 1)[0] == pytest.approx(cubic(1.1), rel=1e-9)


@pytest.mark.parametrize("spec", [legendre(5), jacobi(3, 4, 4), spline_table()], ids=repr)
def test_specs_are_values(spec):
    for other in (from_dict(to_dict(spec)), copy.deepcopy(spec), pickle.loads(pickle.dumps(spec))):
        assert other == spec
        assert hash(other) == hash(spec)
    assert spec != legendre(6)
    assert spec != 1


def test_arrays_are_copied_and_read_only():
    A = np.array([1.0, 2.0])
    P = Polynomials(A, [0, 0], [0, 0])
    A[0] = 5
    assert P.A[0] == 1
    with pytest.raises(ValueError, match="read-only"):
        P.A[0] = 5


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Polynomials([1, 2], [1], [1, 2]), "one length"),
        (lambda: Polynomials([], [], []), "one length"),
        (lambda: legendre(0), "at least 1, got 0"),
        (lambda: jacobi(3, -1, 0), "exceed -1, got -1, 0"),
        (lambda: SplineTable(-1, 0.1, np.zeros((2, 1, 10, 3))), r"got \(2, 1, 10, 3\)"),
        (lambda: SplineTable(-1, 0.1, np.zeros((1, 1, 3, 3))), "n_nodes >= 2"),
        (lambda: SplineTable(-1, 0.0, np.zeros((1, 1, 5, 3))), "h must be positive, got 0"),
        (lambda: natural_spline_coefficients([1.0]), "at least 2 nodes, got 1"),
    ],
)
def test_bad_values_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()
