"""Solvers of least-squares systems.

All but those that say otherwise work on the triangle of the system, whose least-squares problems are those of the
matrix itself: their cost does not depend on the number of rows.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, Literal

import numpy as np

from .._types import FloatArray
from .blr import Evidence, Posterior
from .system import LinearSystem


@dataclass(frozen=True, eq=False)
class Solution:
    """What a solver found."""

    theta: FloatArray  #: (L,)
    details: Mapping[str, Any] = field(default_factory=dict)  #: numbers for the report
    posterior: Posterior | None = None


@dataclass(frozen=True)
class Solver:
    """How a system is solved."""

    needs_rows: ClassVar[bool] = False  #: whether the matrix itself is needed

    def solve(self, system: LinearSystem) -> Solution:
        """Return the solution of a system whose columns are divided by the prior."""
        raise NotImplementedError

    @property
    def name(self) -> str:
        """Name for reports."""
        return type(self).__name__


@dataclass(frozen=True)
class QR(Solver):
    """Least squares by QR; with λ > 0 ‖A θ − y‖² + λ²‖θ‖², λ times the prior as more rows (Tikhonov)."""

    lambda_: float = 0.0

    def __post_init__(self) -> None:
        _check("lambda_", self.lambda_, self.lambda_ >= 0, "not be negative")

    def solve(self, system: LinearSystem) -> Solution:
        """Solve by the triangle; refuses one that is singular to rounding, as RRQR and TSVD do not."""
        R, Qty = system.R, system.Qty
        if self.lambda_:
            L = system.n_columns
            more = np.block([[R, Qty[:, None]], [self.lambda_ * np.eye(L), np.zeros((L, 1))]])
            extended = np.asarray(np.linalg.qr(more, mode="r"))
            R, Qty = extended[:L, :L], extended[:L, L]
        pivots = np.abs(np.diag(R))
        if not pivots.size or pivots.min() <= 1e-14 * pivots.max():
            raise np.linalg.LinAlgError(
                f"{system.n_rows} rows do not determine {system.n_columns} parameters: use "
                "QR(lambda_=...), RRQR, TSVD or BLR"
            )
        from scipy.linalg import solve_triangular

        return Solution(solve_triangular(R, Qty))


@dataclass(frozen=True)
class RRQR(Solver):
    """Rank-revealing QR: columns that add less than `rtol` of the largest to those before get no parameter."""

    rtol: float = 1e-15

    def __post_init__(self) -> None:
        _check("rtol", self.rtol, 0 < self.rtol < 1, "lie between 0 and 1")

    def solve(self, system: LinearSystem) -> Solution:
        """Solve with pivoted columns."""
        from scipy.linalg import qr, solve_triangular

        Q, R, order = qr(system.R, mode="economic", pivoting=True)
        pivots = np.abs(np.diag(R))
        rank = int((pivots > self.rtol * pivots[0]).sum())
        theta = np.zeros(system.n_columns)
        theta[order[:rank]] = solve_triangular(R[:rank, :rank], (Q.T @ system.Qty)[:rank])
        return Solution(theta, {"rank": rank})


@dataclass(frozen=True)
class LSQR(Solver):
    """Krylov iteration; `damp` as in SciPy: ‖A θ − y‖² + damp²‖θ‖². Stopped early it regularises, too."""

    damp: float = 0.0
    atol: float = 1e-12
    max_iterations: int | None = None

    def solve(self, system: LinearSystem) -> Solution:
        """Solve by scipy.sparse.linalg.lsqr.

        References
        ----------
        C. C. Paige, M. A. Saunders, ACM Trans. Math. Softw. 8, 43 (1982), 10.1145/355984.355989.
        """
        from scipy.sparse.linalg import lsqr

        limit = self.max_iterations or 20 * system.n_columns
        found = lsqr(system.R, system.Qty, damp=self.damp, atol=self.atol, btol=self.atol, iter_lim=limit)
        return Solution(found[0], {"iterations": int(found[2]), "stopped by": int(found[1])})


@dataclass(frozen=True)
class TSVD(Solver):
    """Truncated singular value decomposition: singular values up to `rtol` of the largest count as zero."""

    rtol: float = 1e-9

    def __post_init__(self) -> None:
        _check("rtol", self.rtol, 0 < self.rtol < 1, "lie between 0 and 1")

    def solve(self, system: LinearSystem) -> Solution:
        """Solve in the space of the larger singular vectors."""
        U, s, Vt = np.linalg.svd(system.R, full_matrices=False)
        rank = int((s > self.rtol * s[0]).sum())
        return Solution(Vt[:rank].T @ ((U.T @ system.Qty)[:rank] / s[:rank]), {"rank": rank})


@dataclass(frozen=True)
class Ridge(Solver):
    """Least ‖A θ − y‖² + α‖θ‖²; without α the one of least generalised cross-validation error.

    References
    ----------
    G. H. Golub, M. Heath, G. Wahba, Technometrics 21, 215 (1979), 10.1080/00401706.1979.10489751.
    """

    alpha: float | None = None

    def __post_init__(self) -> None:
        if self.alpha is not None:
            _check("alpha", self.alpha, self.alpha > 0, "be positive")

    def solve(self, system: LinearSystem) -> Solution:
        """Solve by singular values."""
        evidence = Evidence(system)
        alpha = self._cross_validated(evidence) if self.alpha is None else self.alpha
        return Solution(evidence.posterior(1.0, alpha).mean, {"alpha": alpha})

    @staticmethod
    def _cross_validated(e: Evidence) -> float:
        from scipy.optimize import minimize_scalar

        def error(t: float) -> float:
            shrink = np.exp(t) / (e.s**2 + np.exp(t))
            return float((np.sum((shrink * e.c) ** 2) + e.rest) / (e.n_rows - len(e.s) + shrink.sum()) ** 2)

        grid = np.linspace(2 * np.log(max(e.s[-1], 1e-13 * e.s[0])) - 5, 2 * np.log(e.s[0]), 100)
        best = int(np.argmin([error(t) for t in grid]))
        around = grid[max(best - 1, 0)], grid[min(best + 1, len(grid) - 1)]
        return float(np.exp(minimize_scalar(error, bounds=around, method="bounded").x))


@dataclass(frozen=True)
class BLR(Solver):
    """Bayesian linear regression: ridge with λ = σ_ε²/σ_c² of greatest evidence, or of variances that are given."""

    prior_variance: float | None = None  #: σ_c²
    noise_variance: float | None = None  #: σ_ε²

    def __post_init__(self) -> None:
        if (self.prior_variance is None) != (self.noise_variance is None):
            raise ValueError("prior_variance and noise_variance must be given together")
        for name in ("prior_variance", "noise_variance"):
            value = getattr(self, name)
            if value is not None:
                _check(name, value, value > 0, "be positive")

    def solve(self, system: LinearSystem) -> Solution:
        """Maximise the evidence and return the mean of the posterior."""
        evidence = Evidence(system)
        if self.prior_variance is None or self.noise_variance is None:
            variance, noise = evidence.maximize()
        else:
            variance, noise = self.prior_variance, self.noise_variance
        posterior = evidence.posterior(variance, noise)
        details = {
            "negative log evidence": evidence(variance, noise),
            "prior variance": variance,
            "noise variance": noise,
            "effective parameters": float((evidence.s**2 / (evidence.s**2 + noise / variance)).sum()),
        }
        return Solution(posterior.mean, details, posterior)


@dataclass(frozen=True)
class ASP(Solver):
    """Active-set path: sparse solutions along the lasso path, each refitted; one of them is taken.

    Parameters
    ----------
    select : "error" or "size"
        The smallest set of functions whose residual is at most `factor` times that of all, or of at most `size`.
    factor : float
    size : int, optional
    rtol : float
        Of the refit, see `TSVD`.

    References
    ----------
    B. Efron et al., Ann. Stat. 32, 407 (2004), 10.1214/009053604000000067.
    """

    select: Literal["error", "size"] = "error"
    factor: float = 1.1
    size: int | None = None
    rtol: float = 1e-9

    def __post_init__(self) -> None:
        if self.select not in ("error", "size"):
            raise ValueError(f"select must be 'error' or 'size', got {self.select!r}")
        if self.select == "size" and (self.size is None or self.size < 1):
            raise ValueError(f"size must be at least 1, got {self.size}")
        _check("factor", self.factor, self.factor >= 1, "be at least 1")

    def solve(self, system: LinearSystem) -> Solution:
        """Follow the path and refit what is chosen."""
        from sklearn.linear_model import lars_path_gram

        scale = np.maximum(np.linalg.norm(system.R, axis=0), 1e-300)
        R = system.R / scale
        _, _, path = lars_path_gram(
            R.T @ system.Qty, Gram=R.T @ R, n_samples=system.n_rows, method="lasso", max_iter=4 * R.shape[1]
        )
        supports = list(dict.fromkeys(tuple(np.flatnonzero(column).tolist()) for column in path.T))
        supports = sorted((s for s in supports if s), key=len) or [tuple(range(R.shape[1]))]
        if self.select == "size":
            chosen = [s for s in supports if len(s) <= (self.size or 0)][-1:] or supports[:1]
        else:
            least = np.sqrt(system.residual(TSVD(self.rtol).solve(system).theta))
            # residuals of the refits fall as sets grow: bisect
            low, high = 0, len(supports) - 1
            while low < high:
                middle = (low + high) // 2
                enough = np.sqrt(system.residual(self._refit(system, supports[middle]))) <= self.factor * least
                low, high = (low, middle) if enough else (middle + 1, high)
            chosen = [supports[low]]
        theta = self._refit(system, chosen[0])
        return Solution(theta, {"functions": len(chosen[0]), "path length": len(supports)})

    def _refit(self, system: LinearSystem, support: tuple[int, ...]) -> FloatArray:
        theta = np.zeros(system.n_columns)
        columns = list(support)
        part = LinearSystem(system.n_rows, R=system.R[:, columns], Qty=system.Qty, rest=system.rest)
        theta[columns] = TSVD(self.rtol).solve(part).theta
        return theta


@dataclass(frozen=True)
class Estimator(Solver):
    """Any linear estimator like scikit-learn's: `fit(A, y)`, then `coef_`. It needs the rows and has no intercept."""

    needs_rows: ClassVar[bool] = True
    estimator: Any

    def __post_init__(self) -> None:
        if not callable(getattr(self.estimator, "fit", None)):
            raise TypeError(f"an estimator must have a method fit, got {type(self.estimator).__name__}")
        if getattr(self.estimator, "fit_intercept", False):
            raise ValueError("an estimator must have fit_intercept=False: rows have no constant in common")

    def solve(self, system: LinearSystem) -> Solution:
        """Fit a copy of the estimator."""
        import copy

        assert system.A is not None
        fitted = copy.deepcopy(self.estimator).fit(system.A, system.y)
        coefficients = getattr(fitted, "coef_", None)
        if coefficients is None:
            raise TypeError(f"{type(fitted).__name__} is not linear: it has no coef_")
        if getattr(fitted, "intercept_", 0.0):
            raise ValueError("an estimator must not fit an intercept")
        return Solution(np.array(coefficients, dtype=np.float64).ravel())

    @property
    def name(self) -> str:
        """Name of the estimator."""
        return type(self.estimator).__name__


@dataclass(frozen=True)
class ARD(Solver):
    """Automatic relevance determination: one prior variance per function (scikit-learn's ARDRegression).

    References
    ----------
    D. J. C. MacKay, ASHRAE Trans. 100, 1053 (1994).
    """

    needs_rows: ClassVar[bool] = True
    max_iterations: int = 300
    tolerance: float = 1e-3
    threshold_lambda: float = 1e4

    def solve(self, system: LinearSystem) -> Solution:
        """Fit an ARDRegression."""
        from sklearn.linear_model import ARDRegression

        estimator = ARDRegression(
            max_iter=self.max_iterations,
            tol=self.tolerance,
            threshold_lambda=self.threshold_lambda,
            fit_intercept=False,
        )
        theta = Estimator(estimator).solve(system).theta
        return Solution(theta, {"functions": int(np.count_nonzero(theta))})


SOLVERS: dict[str, Callable[..., Solver]] = {
    "qr": QR, "rrqr": RRQR, "lsqr": LSQR, "tsvd": TSVD, "ridge": Ridge, "blr": BLR, "ard": ARD, "asp": ASP
}  # fmt: skip


def make_solver(solver: Any, **options: Any) -> Solver:
    """Return a solver given as such, by name ("blr", with its options), or as an estimator like scikit-learn's."""
    if isinstance(solver, Solver):
        return solver
    if not isinstance(solver, str):
        return Estimator(solver)
    kind = SOLVERS.get(solver.lower())
    if kind is None:
        near = difflib.get_close_matches(solver.lower(), SOLVERS, n=1, cutoff=0)
        raise ValueError(f"solver must be one of {', '.join(SOLVERS)}, got {solver!r}; the nearest is {near[0]!r}")
    known = [f.name for f in fields(kind)]  # type: ignore[arg-type]
    for name in options:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1, cutoff=0) or ["none"]
            raise ValueError(f"solver {solver!r} has no option {name!r}; the nearest is {near[0]!r}")
    return kind(**options)


def _check(name: str, value: float, valid: bool, rule: str) -> None:
    if not (valid and np.isfinite(value)):
        raise ValueError(f"{name} must {rule}, got {value}")
