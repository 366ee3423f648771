"""Solvers, incremental QR and evidence against NumPy and SciPy on dense matrices."""

from pathlib import Path

import numpy as np
import pytest
import scipy.linalg
import scipy.sparse.linalg
from numpy.testing import assert_allclose

import acepair
from acepair.fitting import (
    ASP,
    BLR,
    LSQR,
    QR,
    RRQR,
    TSVD,
    Estimator,
    IncrementalQR,
    LinearSystem,
    Ridge,
    fit,
    read_dataset,
)
from acepair.fitting.blr import Evidence
from acepair.fitting.solver_names import make_solver
from acepair.fitting.sparse import selection_path

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


def system_of(A, y):
    return LinearSystem.of_matrix(A, y)


def degenerate(name):
    """Matrices and labels of problems with less to them than rows and columns."""
    rng = np.random.default_rng(11)
    if name == "few rows":
        B = rng.standard_normal((10, 40))
    else:
        B = rng.standard_normal((120, 30))
    if name == "zero columns":
        B[:, [3, 17]] = 0
    if name == "equal columns":
        B[:, 9], B[:, 21] = B[:, 4], 3 * B[:, 4]
    return B, B @ rng.standard_normal(B.shape[1]) + 0.05 * rng.standard_normal(len(B))


def gcv_error(B, y, alpha):
    U, s, _ = np.linalg.svd(B)
    s = np.where(s > 1e-12 * s[0], s, 0)
    shrink = np.ones(len(B))
    shrink[: len(s)] = alpha / (s**2 + alpha)
    return np.sum((shrink * (U.T @ y)) ** 2) / shrink.sum() ** 2


@pytest.mark.parametrize("noise", [1.0, 1e-3, 1e-6])
@pytest.mark.parametrize("shape", [(200, 40), (20, 40), (40, 40)])
def test_cross_validation_over_the_whole_range(noise, shape):
    rng = np.random.default_rng(0)
    B = rng.standard_normal(shape)
    y = B @ rng.standard_normal(shape[1]) + noise * rng.standard_normal(shape[0])
    solution = Ridge().solve(system_of(B, y))
    alpha = solution.details["alpha"]
    best = min(gcv_error(B, y, a) for a in 10.0 ** np.linspace(-13, 8, 400))
    assert gcv_error(B, y, alpha) <= best * (1 + 1e-6)
    expected = B.T @ np.linalg.solve(B @ B.T + alpha * np.eye(len(B)), y)
    assert_allclose(solution.theta, expected, rtol=0, atol=1e-6 * np.abs(expected).max())


def test_labels_that_nothing_explains():
    """The best is no parameters: the end of the range, not an arbitrary middle."""
    B = np.eye(50)[:, :5]
    y = np.r_[np.full(5, 1e-3), np.ones(45)]
    assert np.abs(Ridge().solve(system_of(B, y)).theta).max() < 1e-9


@pytest.mark.parametrize("solver", [Ridge(), BLR(), ASP()])
def test_matrix_that_is_zero(solver):
    with pytest.raises(ValueError, match="the design matrix must not be zero"):
        solver.solve(system_of(np.zeros((20, 4)), np.ones(20)))


@pytest.mark.parametrize("name", ["few rows", "zero columns", "equal columns"])
def test_evidence_and_posterior_of_degenerate_problems(name):
    B, y = degenerate(name)
    solution = BLR().solve(system_of(B, y))
    variance, noise = solution.details["prior variance"], solution.details["noise variance"]

    def density(variance, noise):
        C = variance * B @ B.T + noise * np.eye(len(B))
        return -0.5 * (np.linalg.slogdet(C)[1] + y @ np.linalg.solve(C, y) + len(B) * np.log(2 * np.pi))

    if name != "few rows":  # those may be explained without noise
        for factor in (0.5, 0.9, 1.1, 2):
            assert density(variance, noise) >= density(variance * factor, noise)
            assert density(variance, noise) >= density(variance, noise * factor)
    variance, noise = 2.0, 0.05
    solution = BLR(variance, noise).solve(system_of(B, y))
    assert solution.details["negative log evidence"] == pytest.approx(-density(variance, noise), rel=1e-9)
    covariance = np.linalg.inv(B.T @ B / noise + np.eye(B.shape[1]) / variance)
    p = solution.posterior
    assert_allclose((p.V * p.variances) @ p.V.T, covariance, rtol=0, atol=1e-9 * np.abs(covariance).max())
    mean = covariance @ B.T @ y / noise
    assert_allclose(p.mean, mean, rtol=0, atol=1e-9 * np.abs(mean).max())
    samples = p.sample(40000, seed=1)
    assert_allclose(samples.mean(axis=0), mean, rtol=0, atol=5 * np.sqrt(np.diag(covariance).max() / 40000))
    assert_allclose(np.cov(samples.T), covariance, rtol=0, atol=0.03 * np.abs(covariance).max())


@pytest.mark.parametrize("name", ["few rows", "zero columns", "equal columns"])
@pytest.mark.parametrize("solver", [Ridge(0.3), BLR(1.0, 0.3), QR(lambda_=0.3**0.5)])
def test_ridge_of_degenerate_problems(solver, name):
    B, y = degenerate(name)
    expected = np.linalg.solve(B.T @ B + 0.3 * np.eye(B.shape[1]), B.T @ y)
    assert_allclose(solver.solve(system_of(B, y)).theta, expected, rtol=0, atol=1e-9 * np.abs(expected).max())


@pytest.mark.parametrize("name", ["few rows", "zero columns", "equal columns"])
@pytest.mark.parametrize("solver", [RRQR(1e-11), TSVD(1e-11), LSQR()])
def test_least_squares_of_degenerate_problems(solver, name):
    B, y = degenerate(name)
    expected = B @ np.linalg.lstsq(B, y, rcond=1e-11)[0]
    assert_allclose(B @ solver.solve(system_of(B, y)).theta, expected, rtol=0, atol=1e-8 * np.abs(y).max())
    with pytest.raises(np.linalg.LinAlgError, match="rows do not determine"):
        QR().solve(system_of(B, y))


@pytest.mark.parametrize("name", ["few rows", "zero columns", "equal columns"])
def test_sparse_solvers_of_degenerate_problems(name):
    pytest.importorskip("sklearn")
    B, y = degenerate(name)
    system = system_of(B, y)
    least = np.linalg.norm(B @ np.linalg.lstsq(B, y, rcond=1e-9)[0] - y)
    solution = ASP(factor=1.2).solve(system)
    assert np.linalg.norm(B @ solution.theta - y) <= 1.2 * least + 1e-10 * np.linalg.norm(y)
    theta = make_solver("ard").solve(system).theta
    assert np.isfinite(theta).all()
    if name != "few rows":
        assert np.linalg.norm(B @ theta - y) <= 0.02 * np.linalg.norm(y)
        zero = np.flatnonzero(~B.any(axis=0))
        assert not theta[zero].any()
        assert not solution.theta[zero].any()


@pytest.mark.parametrize("seed", range(8))
def test_active_sets_keep_their_promise(seed):
    """Nearly dependent columns, on which paths end early if they count."""
    rng = np.random.default_rng(seed)
    B = rng.standard_normal((60, 25))
    B = np.column_stack([B, B[:, :5] + 1e-7 * rng.standard_normal((60, 5)), B[:, 5:15] @ rng.standard_normal((10, 8))])
    y = B @ rng.standard_normal(B.shape[1]) + 1e-3 * rng.standard_normal(60)
    system = system_of(B, y)
    solution = ASP(factor=1.1).solve(system)
    least = np.sqrt(system.residual(TSVD(1e-9).solve(system).theta))
    ratio = np.sqrt(system.residual(solution.theta)) / least
    assert ratio <= 1.1
    assert solution.details["residual ratio"] == pytest.approx(ratio)
    path, squares = selection_path(system.R, system.Qty)
    assert 25 <= len(path) == len(set(path)) <= 30
    for n in range(1, 26):
        part = B[:, path[:n]]
        residual = np.linalg.norm(part @ np.linalg.lstsq(part, y)[0] - y)
        assert np.sqrt(squares[n - 1] + system.rest) == pytest.approx(residual, rel=1e-6)
        assert (residual > 1.1 * least) == (n < solution.details["functions"])
    for size in (1, 4, 9):
        found = ASP("size", size=size).solve(system)
        assert 0 < np.count_nonzero(found.theta) <= size
        assert found.details["functions"] <= size


def test_active_sets_of_a_model_are_small():
    """Columns of a real model are nearly dependent; the lasso path of these ended at 22 of 98, with ten times the
    residual."""
    data = read_dataset(Path(__file__).parent / "data" / "TiAl_tutorial.xyz.gz")[::5]
    model = acepair.ace1_model(
        elements=["Ti", "Al"], order=2, totaldegree=5, rcut=5.5, Eref={"Ti": -1586.0195, "Al": -105.5954}
    )
    weights = {"FLD_TiAl": {"E": 60, "F": 1, "V": 1}, "TiAl_T5000": {"E": 5, "F": 1, "V": 1}}
    least = fit(model, data, weights=weights, solver="tsvd", threads=1)
    system = least.system.scaled(least.prior)
    details = ASP().solve(system).details
    assert details["functions"] < 50
    assert details["residual ratio"] <= 1.1
    for size, ratio in ((20, 1.8), (50, 1.1)):
        details = ASP("size", size=size).solve(system).details
        assert details["functions"] == size
        assert details["residual ratio"] < ratio


@pytest.mark.parametrize("unit", [1e5, 1e-5])
def test_automatic_relevance_does_not_depend_on_units(unit):
    pytest.importorskip("sklearn")
    rng = np.random.default_rng(4)
    B = rng.standard_normal((300, 12)) * 10.0 ** rng.uniform(-2, 2, 12)
    y = B[:, 2] * 2 - B[:, 7] + 0.01 * np.linalg.norm(B[:, 2]) * rng.standard_normal(300) / np.sqrt(300)
    theta = make_solver("ard").solve(system_of(B, y)).theta
    assert 0 < np.count_nonzero(theta) < 12
    assert_allclose(make_solver("ard").solve(system_of(B, unit * y)).theta, unit * theta, rtol=1e-9)
    columns = 10.0 ** rng.uniform(-3, 3, 12)
    assert_allclose(make_solver("ard").solve(system_of(B * columns, y)).theta * columns, theta, rtol=1e-6)


def test_krylov_iteration_of_ill_conditioned_problems():
    """Not stopped at SciPy's own limit of the condition number, 1e8."""
    rng = np.random.default_rng(1)
    U, V = (np.linalg.qr(rng.standard_normal((n, 20)))[0] for n in (100, 20))
    B = U * 10.0 ** np.linspace(0, -9, 20) @ V.T
    y = B @ rng.standard_normal(20) + 1e-11 * rng.standard_normal(100)
    solution = LSQR(max_iterations=50000, atol=1e-13).solve(system_of(B, y))
    least = np.linalg.norm(B @ np.linalg.lstsq(B, y, rcond=1e-13)[0] - y)
    assert np.linalg.norm(B @ solution.theta - y) < 1.5 * least
    assert solution.details["stopped by"] in ("the equations hold to atol", "least squares to atol")
    early = LSQR(max_iterations=2).solve(SYSTEM)
    assert early.details == {"iterations": 2, "stopped by": "max_iterations"}


def test_singular_whatever_the_scales_of_columns():
    """What a strong prior divides is still determined; what depends on others is not, however the pivots look."""
    rng = np.random.default_rng(2)
    B = rng.standard_normal((200, 40))
    theta = rng.standard_normal(40)
    scale = 10.0 ** np.linspace(0, 200, 40)
    found = QR().solve(system_of(B, B @ theta).scaled(scale)).theta / scale
    assert_allclose(found, theta, rtol=1e-9)
    R = np.eye(80) - np.triu(np.ones((80, 80)), 1)  # Kahan's: pivots of 1, condition number 2^80
    with pytest.raises(np.linalg.LinAlgError, match="do not determine"):
        QR().solve(LinearSystem(200, R=R, Qty=np.ones(80)))


def test_triangle_of_fewer_rows_than_columns():
    rng = np.random.default_rng(3)
    R, Qty = np.triu(rng.standard_normal((5, 12))), rng.standard_normal(5)
    system = LinearSystem(5, R=R, Qty=Qty)
    p = BLR(1.0, 0.1).solve(system).posterior
    covariance = np.linalg.inv(R.T @ R / 0.1 + np.eye(12))
    assert_allclose((p.V * p.variances) @ p.V.T, covariance, atol=1e-12)
    assert p.sample(3, seed=0).shape == (3, 12)
    for solver in (RRQR(), TSVD(), Ridge(1e-13)):
        assert_allclose(R @ solver.solve(system).theta, Qty, atol=1e-9)


def test_rows_that_are_added_stay_as_they_are():
    rows = np.column_stack([A, Y])
    kept = rows.copy()
    qr = IncrementalQR(L + 1)
    qr.add(rows[:1])
    qr.add(np.asfortranarray(rows)[1:])
    fortran = np.asfortranarray(rows)
    qr.add(fortran)
    assert np.array_equal(rows, kept)
    assert np.array_equal(fortran, kept)


def test_rows_that_are_not_there():
    with pytest.raises(ValueError, match="solver ARD needs the rows themselves"):
        make_solver("ard").solve(SYSTEM.reduced())
    scaled = SYSTEM.scaled(np.full(L, 2.0))
    assert scaled.A is None
    assert_allclose(SYSTEM.scaled(np.full(L, 2.0), rows=True).A, A / 2)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("lsqr", {"damp": -1.0}),
        ("lsqr", {"damp": np.nan}),
        ("lsqr", {"atol": -1e-9}),
        ("lsqr", {"max_iterations": 0}),
        ("asp", {"rtol": 0.0}),
        ("asp", {"factor": np.nan}),
        ("asp", {"select": "size", "size": 0}),
        ("asp", {"select": "size", "size": np.nan}),
        ("ard", {"max_iterations": 0}),
        ("ard", {"tolerance": 0.0}),
        ("ard", {"tolerance": np.nan}),
        ("ard", {"threshold_lambda": -1.0}),
        ("ridge", {"alpha": np.inf}),
        ("blr", {"prior_variance": np.nan, "noise_variance": 1.0}),
        ("qr", {"lambda_": np.nan}),
        ("tsvd", {"rtol": 1.0}),
    ],
)
def test_options_are_refused_when_given(name, options):
    with pytest.raises(ValueError, match=r"must (not be negative|be|lie)"):
        make_solver(name, **options)


def test_missing_modules_are_named_before_the_fit(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"solver ARD needs sklearn: pip install 'acepair\[fit\]"):
        make_solver("ard").check_installed()
    make_solver("blr").check_installed()
