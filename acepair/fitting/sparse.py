"""Sparse solvers, and estimators like scikit-learn's."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from .._types import FloatArray
from .solver import Solution, Solver, check_option
from .solvers import TSVD
from .system import LinearSystem

Support = tuple[int, ...]  #: columns


@dataclass(frozen=True)
class ASP(Solver):
    """Active-set path: sparse solutions along the lasso path, each refitted; one of them is taken.

    Parameters
    ----------
    select : "error" or "size"
        The smallest set of functions whose residual is at most `factor` times that of all, or, of the sets of at most
        `size` functions, that of least residual. The sets are those of the path, all functions, and the one that
        explains most. The report has the ratio of the residuals.
    factor : float
    size : int, optional
    rtol : float
        Of the refit, see `TSVD`.

    References
    ----------
    B. Efron et al., Ann. Stat. 32, 407 (2004), 10.1214/009053604000000067.
    """

    needs_module: ClassVar[str] = "sklearn"
    select: Literal["error", "size"] = "error"
    factor: float = 1.1
    size: int | None = None
    rtol: float = 1e-9

    def __post_init__(self) -> None:
        if self.select not in ("error", "size"):
            raise ValueError(f"select must be 'error' or 'size', got {self.select!r}")
        if self.select == "size" and (self.size is None or not self.size >= 1):
            raise ValueError(f"size must be at least 1, got {self.size}")
        check_option("factor", self.factor, self.factor >= 1, "be at least 1")
        check_option("rtol", self.rtol, 0 < self.rtol < 1, "lie between 0 and 1")

    def solve(self, system: LinearSystem) -> Solution:
        """Follow the path and refit what is chosen.

        Raises
        ------
        ValueError
            If the matrix is zero.
        """
        supports = self._supports(system)
        everything = supports[-1]
        least = np.sqrt(system.residual(self._refit(system, everything)))
        if self.select == "size":
            small = [s for s in supports if len(s) <= (self.size or 0)]
            theta = min((self._refit(system, s) for s in small), key=system.residual)
        else:
            theta = next(self._good_enough(system, supports, self.factor * least))
        residual = np.sqrt(system.residual(theta))
        details = {
            "functions": int(np.count_nonzero(theta)),
            "path length": len(supports),
            "residual ratio": float(residual / least) if least else float(residual > 0) + 1,
        }
        return Solution(theta, details)

    @staticmethod
    def _supports(system: LinearSystem) -> list[Support]:
        """Return sets of functions, smallest first, all functions last."""
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.linear_model import lars_path_gram

        norms = np.linalg.norm(system.R, axis=0)
        if not norms.any():
            raise ValueError("the design matrix must not be zero")
        R = system.R / np.where(norms, norms, 1)
        correlation = R.T @ system.Qty
        with warnings.catch_warnings():
            # nearly dependent columns end the path early; the set of all functions is among the candidates, too
            warnings.simplefilter("ignore", ConvergenceWarning)
            _, _, path = lars_path_gram(
                correlation, Gram=R.T @ R, n_samples=system.n_rows, method="lasso", max_iter=4 * R.shape[1]
            )
        found = [(int(np.abs(correlation).argmax()),), *(tuple(np.flatnonzero(c).tolist()) for c in path.T)]
        everything = tuple(np.flatnonzero(norms).tolist())
        return [*sorted((s for s in dict.fromkeys(found) if s and s != everything), key=len), everything]

    def _good_enough(self, system: LinearSystem, supports: list[Support], bound: float) -> Iterator[FloatArray]:
        """Iterate over the refits, smallest first, whose residual is at most `bound`.

        One after the other: sets of the path are not nested, residuals need not fall from one to the next.
        """
        for support in supports:
            # a bound from below by QR, which is many times cheaper than the refit
            if support == supports[-1] or _least_residual(system, support) <= bound:
                theta = self._refit(system, support)
                if support == supports[-1] or np.sqrt(system.residual(theta)) <= bound:
                    yield theta

    def _refit(self, system: LinearSystem, support: Support) -> FloatArray:
        theta = np.zeros(system.n_columns)
        columns = list(support)
        part = LinearSystem(system.n_rows, R=system.R[:, columns], Qty=system.Qty, rest=system.rest)
        theta[columns] = TSVD(self.rtol).solve(part).theta
        return theta


def _least_residual(system: LinearSystem, support: Support) -> float:
    """Return the least ‖A θ − y‖ with the columns of a set, less rounding."""
    part = np.column_stack([system.R[:, list(support)], system.Qty])
    triangle = np.asarray(np.linalg.qr(part, mode="r"))
    last = len(support)
    beyond = float(triangle[last, last] ** 2) if len(triangle) > last else 0.0
    return float(np.sqrt(beyond + system.rest)) * (1 - 1e-9)


@dataclass(frozen=True)
class Estimator(Solver):
    """Any linear estimator like scikit-learn's: `fit(A, y)`, then `coef_`. It needs the rows and has no intercept.

    Raises
    ------
    TypeError
        If it has no method `fit`.
    ValueError
        If it would fit an intercept.
    """

    needs_rows: ClassVar[bool] = True
    estimator: Any

    def __post_init__(self) -> None:
        if not callable(getattr(self.estimator, "fit", None)):
            raise TypeError(f"an estimator must have a method fit, got {type(self.estimator).__name__}")
        if getattr(self.estimator, "fit_intercept", False):
            raise ValueError("an estimator must have fit_intercept=False: rows have no constant in common")

    def solve(self, system: LinearSystem) -> Solution:
        """Fit a copy of the estimator.

        Raises
        ------
        ValueError
            If the system is without its rows, or if an intercept was fitted.
        TypeError
            If the estimator is not linear.
        """
        A, y = rows_of(system, self.name)
        fitted = copy.deepcopy(self.estimator).fit(A, y)
        coefficients = getattr(fitted, "coef_", None)
        if coefficients is None:
            raise TypeError(f"{type(fitted).__name__} is not linear: it has no coef_")
        if np.any(getattr(fitted, "intercept_", 0.0)):
            raise ValueError("an estimator must not fit an intercept")
        return Solution(np.array(coefficients, dtype=np.float64).ravel())

    @property
    def name(self) -> str:
        """Name of the estimator."""
        return type(self.estimator).__name__


@dataclass(frozen=True)
class ARD(Solver):
    """Automatic relevance determination: one prior variance per function (scikit-learn's ARDRegression).

    Labels and columns are brought to unit root mean square before: what is found does not depend on units. The prior
    then has no effect, each function having a variance of its own.

    Parameters
    ----------
    max_iterations : int
    tolerance : float
        Change of the parameters, of unit root mean square each, at which the iteration ends.
    threshold_lambda : float
        Functions of a larger precision, the inverse of their variance, get no parameter.

    References
    ----------
    D. J. C. MacKay, ASHRAE Trans. 100, 1053 (1994).
    """

    needs_rows: ClassVar[bool] = True
    needs_module: ClassVar[str] = "sklearn"
    max_iterations: int = 300
    tolerance: float = 1e-3
    threshold_lambda: float = 1e4

    def __post_init__(self) -> None:
        check_option("max_iterations", self.max_iterations, self.max_iterations >= 1, "be at least 1")
        check_option("tolerance", self.tolerance, self.tolerance > 0, "be positive")
        check_option("threshold_lambda", self.threshold_lambda, self.threshold_lambda > 0, "be positive")

    def solve(self, system: LinearSystem) -> Solution:
        """Fit an ARDRegression.

        Raises
        ------
        ValueError
            If the system is without its rows, or if the labels are zero.
        """
        from sklearn.linear_model import ARDRegression

        y = rows_of(system, self.name)[1]
        size = float(np.sqrt(np.mean(y**2)))
        if size == 0:
            raise ValueError("the labels less their reference must not be zero everywhere")
        columns = np.linalg.norm(system.R, axis=0) / np.sqrt(system.n_rows)
        zero = columns == 0
        columns[zero] = 1
        A = rows_of(system.scaled(columns, rows=True), self.name)[0]
        estimator = ARDRegression(
            max_iter=self.max_iterations,
            tol=self.tolerance,
            threshold_lambda=self.threshold_lambda,
            fit_intercept=False,
            copy_X=False,
        )
        theta = np.asarray(estimator.fit(A, y / size).coef_, dtype=np.float64) * size / columns
        theta[zero] = 0  # where scikit-learn leaves rounding
        return Solution(theta, {"functions": int(np.count_nonzero(theta))})


def rows_of(system: LinearSystem, name: str) -> tuple[FloatArray, FloatArray]:
    """Return the matrix and the labels of a system, or say who needs them."""
    if system.A is None or system.y is None:
        raise ValueError(f"solver {name} needs the rows themselves: assemble with store='dense' or 'disk'")
    return system.A, system.y
