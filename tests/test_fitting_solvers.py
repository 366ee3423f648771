"""Solvers, incremental QR and evidence against NumPy and SciPy on dense matrices."""

import numpy as np
import pytest
import scipy.linalg
import scipy.sparse.linalg
from numpy.testing import assert_allclose

from acepair.fitting import ASP, BLR, LSQR, QR, RRQR, TSVD, Estimator, IncrementalQR, LinearSystem, Ridge
from acepair.fitting.blr import Evidence
from acepair.fitting.solver_names import make_solver

RNG = np.random.default_rng(5)
N, L = 300, 40
A = RNG.standard_normal((N, L)) * 10.0 ** RNG.uniform(-3, 1, L)
Y = A @ RNG.standard_normal(L) + 0.1 * RNG.standard_normal(N)
SYSTEM = LinearSystem.of_matrix(A, Y)


def assert_same(theta, expected, tol=1e-9):
    assert_allclose(A @ theta, A @ expected, rtol=0, atol=tol * np.abs(Y).max())


def test_triangle_of_a_matrix():
    R = np.linalg.qr(A, mode="r")
    assert_allclose(SYSTEM.R.T @ SYSTEM.R, A.T @ A, rtol=0, atol=1e-11 * np.abs(A.T @ A).max())
    assert_allclose(np.abs(SYSTEM.R), np.abs(R), rtol=0, atol=1e-11 * np.abs(R).max())
    least = np.linalg.lstsq(A, Y)[0]
    assert SYSTEM.residual(least) == pytest.approx(np.sum((A @ least - Y) ** 2))
    assert SYSTEM.residual(np.ones(L)) == pytest.approx(np.sum((A.sum(axis=1) - Y) ** 2))


@pytest.mark.parametrize("sizes", [[300], [100, 200], [1, 5, 94, 200], [3] * 100])
def test_blocks_give_the_triangle_of_the_whole(sizes):
    qr = IncrementalQR(L + 1)
    rows = np.column_stack([A, Y])
    for part in np.split(rows, np.cumsum(sizes)[:-1]):
        qr.add(part)
    system = qr.system()
    assert system.n_rows == N
    assert_allclose(system.R.T @ system.R, A.T @ A, rtol=0, atol=1e-12 * np.abs(A.T @ A).max())
    assert_allclose(system.R.T @ system.Qty, A.T @ Y, rtol=0, atol=1e-12 * np.abs(A.T @ Y).max())
    assert system.rest == pytest.approx(SYSTEM.rest, rel=1e-10)


def test_triangles_merge():
    first, second = IncrementalQR(L + 1), IncrementalQR(L + 1)
    rows = np.column_stack([A, Y])
    first.add(rows[:120])
    second.add(rows[120:])
    first.merge(second.triangle, second.n_rows)
    assert first.n_rows == N
    assert_allclose(np.abs(first.system().R), np.abs(SYSTEM.R), rtol=0, atol=1e-11 * np.abs(SYSTEM.R).max())


def test_fewer_rows_than_columns():
    few = LinearSystem.of_matrix(A[:10], Y[:10])
    expected = np.linalg.lstsq(A[:10], Y[:10])[0]
    assert few.rest == pytest.approx(0, abs=1e-20)
    assert_allclose(TSVD(1e-12).solve(few).theta, expected, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("solver", [QR(), RRQR(), LSQR(atol=1e-15, max_iterations=5000), TSVD(1e-12)])
def test_least_squares(solver):
    assert_same(solver.solve(SYSTEM).theta, np.linalg.lstsq(A, Y)[0], 1e-7 if isinstance(solver, LSQR) else 1e-10)


def test_tikhonov_qr():
    expected = np.linalg.solve(A.T @ A + 0.3**2 * np.eye(L), A.T @ Y)
    assert_allclose(QR(lambda_=0.3).solve(SYSTEM).theta, expected, rtol=1e-8)


def test_ridge():
    expected = np.linalg.solve(A.T @ A + 0.7 * np.eye(L), A.T @ Y)
    assert_allclose(Ridge(alpha=0.7).solve(SYSTEM).theta, expected, rtol=1e-8)


def test_ridge_by_cross_validation():
    """The least generalised cross-validation error, from its definition."""

    def gcv(alpha):
        H = A @ np.linalg.solve(A.T @ A + alpha * np.eye(L), A.T)
        return np.sum((Y - H @ Y) ** 2) / (N - np.trace(H)) ** 2

    alpha = Ridge().solve(SYSTEM).details["alpha"]
    assert gcv(alpha) <= min(gcv(alpha * factor) for factor in (0.5, 0.9, 1.1, 2)) * (1 + 1e-9)


def test_damped_lsqr():
    expected = scipy.sparse.linalg.lsqr(A, Y, damp=0.5, atol=1e-14, btol=1e-14, iter_lim=2000)[0]
    assert_same(LSQR(damp=0.5, atol=1e-14).solve(SYSTEM).theta, expected, 1e-8)


def test_truncated_svd():
    U, s, Vt = scipy.linalg.svd(A, full_matrices=False)
    rank = int((s > 1e-2 * s[0]).sum())
    assert 0 < rank < L
    solution = TSVD(1e-2).solve(SYSTEM)
    assert_allclose(solution.theta, Vt[:rank].T @ ((U.T @ Y)[:rank] / s[:rank]), rtol=1e-8, atol=1e-12)
    assert solution.details["rank"] == rank


def test_dependent_columns():
    B = np.column_stack([A, A[:, 3] + A[:, 4]])
    system = LinearSystem.of_matrix(B, Y)
    solution = RRQR(1e-11).solve(system)
    assert solution.details["rank"] == L
    assert_allclose(B @ solution.theta, A @ np.linalg.lstsq(A, Y)[0], rtol=0, atol=1e-9 * np.abs(Y).max())
    with pytest.raises(np.linalg.LinAlgError, match="300 rows do not determine 41 parameters"):
        QR().solve(system)


def log_evidence(variance, noise):
    """Of the labels' own normal distribution."""
    C = variance * A @ A.T + noise * np.eye(N)
    return -0.5 * (np.linalg.slogdet(C)[1] + Y @ np.linalg.solve(C, Y) + N * np.log(2 * np.pi))


@pytest.mark.parametrize(("variance", "noise"), [(1.0, 0.01), (0.1, 1.0), (100, 1e-4)])
def test_evidence_is_the_density_of_the_labels(variance, noise):
    assert Evidence(SYSTEM)(variance, noise) == pytest.approx(-log_evidence(variance, noise), rel=1e-6)


def test_evidence_is_maximal():
    solution = BLR().solve(SYSTEM)
    variance, noise = solution.details["prior variance"], solution.details["noise variance"]
    best = log_evidence(variance, noise)
    for factor in (0.9, 0.99, 1.01, 1.1):
        assert best >= log_evidence(variance * factor, noise)
        assert best >= log_evidence(variance, noise * factor)
    assert noise == pytest.approx(0.01, rel=0.2)
    expected = np.linalg.solve(A.T @ A + noise / variance * np.eye(L), A.T @ Y)
    assert_allclose(solution.theta, expected, rtol=1e-6)


def test_posterior_covariance():
    solution = BLR().solve(SYSTEM)
    variance, noise = solution.details["prior variance"], solution.details["noise variance"]
    p = solution.posterior
    expected = np.linalg.inv(A.T @ A / noise + np.eye(L) / variance)
    assert_allclose((p.V * p.variances) @ p.V.T, expected, rtol=1e-6, atol=1e-10)


def test_active_set_path_finds_the_functions_there_are():
    pytest.importorskip("sklearn")
    B = RNG.standard_normal((N, 30))
    theta = np.zeros(30)
    theta[[2, 7, 19]] = [3, -2, 1]
    system = LinearSystem.of_matrix(B, B @ theta + 1e-3 * RNG.standard_normal(N))
    solution = ASP(factor=1.1).solve(system)
    assert np.flatnonzero(solution.theta).tolist() == [2, 7, 19]
    assert_allclose(solution.theta, theta, atol=1e-3)
    assert np.flatnonzero(ASP("size", size=1).solve(system).theta).tolist() == [2]


def test_automatic_relevance():
    pytest.importorskip("sklearn")
    B = RNG.standard_normal((N, 10))
    system = LinearSystem.of_matrix(B, B[:, 4] * 2 + 0.01 * RNG.standard_normal(N))
    solution = make_solver("ard").solve(system)
    assert_allclose(solution.theta, np.eye(10)[4] * 2, atol=5e-3)


def test_any_estimator():
    linear_model = pytest.importorskip("sklearn.linear_model")
    solver = make_solver(linear_model.Ridge(alpha=0.7, fit_intercept=False))
    assert_allclose(solver.solve(SYSTEM).theta, Ridge(alpha=0.7).solve(SYSTEM).theta, rtol=1e-6)
    assert solver.name == "Ridge"
    with pytest.raises(ValueError, match="fit_intercept=False"):
        Estimator(linear_model.Ridge())
    with pytest.raises(TypeError, match="must have a method fit"):
        make_solver(3)


def test_solvers_by_name():
    assert make_solver("tsvd", rtol=1e-3) == TSVD(1e-3)
    with pytest.raises(ValueError, match="got 'blrr'; the nearest is 'blr'"):
        make_solver("blrr")
    with pytest.raises(ValueError, match="no option 'rtoll'; the nearest is 'rtol'"):
        make_solver("tsvd", rtoll=1e-3)


@pytest.mark.parametrize(
    "make",
    [
        lambda: QR(lambda_=-1),
        lambda: TSVD(0),
        lambda: RRQR(2),
        lambda: Ridge(alpha=0),
        lambda: BLR(prior_variance=1.0),
        lambda: BLR(prior_variance=1.0, noise_variance=-1.0),
        lambda: ASP(factor=0.5),
        lambda: ASP("size"),
        lambda: ASP("best"),
    ],
)
def test_options_out_of_range(make):
    with pytest.raises(ValueError, match=r"must"):
        make()


def test_labels_that_are_zero():
    with pytest.raises(ValueError, match="must not be zero everywhere"):
        BLR().solve(LinearSystem.of_matrix(A, np.zeros(N)))
