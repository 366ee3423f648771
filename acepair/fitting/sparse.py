"""Sparse solvers, and estimators like scikit-learn's."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from .._types import FloatArray, IntArray
from .solver import Solution, Solver, check_option
from .solvers import TSVD
from .spectrum import ZERO_MATRIX
from .system import LinearSystem

_DEPENDENT = 1e-7  #: part of a column that must be new for it to count


@dataclass(frozen=True)
class ASP(Solver):
    """Active-set path: functions are added one by one, each time that which lowers the residual most, and refitted.

    Parameters
    ----------
    select : "error" or "size"
        The first set of functions on the path whose residual is at most `factor` times that of all functions (which
        are the last set), or that of `size` functions. The report has the ratio of the residuals.
    factor : float
    size : int, optional
    rtol : float
        Of the refit, see `TSVD`.

    References
    ----------
    S. Chen, S. A. Billings, W. Luo, Int. J. Control 50, 1873 (1989), 10.1080/00207178908953472.
    """

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
        norms = np.linalg.norm(system.R, axis=0)
        if not norms.any():
            raise ValueError(ZERO_MATRIX)
        everything = self._refit(system, np.flatnonzero(norms))
        least = np.sqrt(system.residual(everything))
        path, squares = selection_path(system.R, system.Qty)
        if self.select == "size":
            enough = (self.size or 0) >= np.count_nonzero(norms)
            theta = everything if enough else self._refit(system, path[: self.size])
        else:
            theta = self._good_enough(system, path, squares, self.factor * least, everything)
        residual = np.sqrt(system.residual(theta))
        details = {
            "functions": int(np.count_nonzero(theta)),
            "residual ratio": float(residual / least) if least else float(residual > 0) + 1,
        }
        return Solution(theta, details)

    def _good_enough(
        self, system: LinearSystem, path: IntArray, squares: FloatArray, bound: float, everything: FloatArray
    ) -> FloatArray:
        """Return the refit of the first set on the path whose residual is at most `bound`."""
        first = int(np.count_nonzero(np.sqrt(squares + system.rest) > bound)) + 1
        step = 0  # more if the refit leaves out what is nearly dependent
        while first + step <= len(path):
            theta = self._refit(system, path[: first + step])
            if np.sqrt(system.residual(theta)) <= bound * (1 + 1e-9):
                return theta
            step = 2 * step + 1
        return everything

    def _refit(self, system: LinearSystem, columns: IntArray) -> FloatArray:
        theta = np.zeros(system.n_columns)
        part = LinearSystem(system.n_rows, R=system.R[:, columns], Qty=system.Qty, rest=system.rest)
        theta[columns] = TSVD(self.rtol).solve(part).theta
        return theta


def selection_path(R: FloatArray, y: FloatArray) -> tuple[IntArray, FloatArray]:
    """Return columns in the order in which each lowers ‖R θ − y‖² most, beside those before, and what it then is.

    Columns that depend on those before are left out: the path is as long as the matrix has rank.
    """
    norms = np.linalg.norm(R, axis=0)
    rest, left = y.copy(), norms > 0
    columns = np.asfortranarray(R / np.where(left, norms, 1))  # what of each is orthogonal to those chosen
    path, squares = [], []
    for _ in range(min(R.shape)):
        sizes = np.linalg.norm(columns, axis=0)
        left &= sizes > _DEPENDENT
        if not left.any():
            break
        gains = np.abs(rest @ columns) / np.where(left, sizes, 1)
        best = int(np.where(left, gains, -1).argmax())
        q = columns[:, best] / sizes[best]
        rest -= q * (q @ rest)
        columns -= np.outer(q, q @ columns)
        left[best] = False
        path.append(best)
        squares.append(float(rest @ rest))
    return np.array(path, dtype=np.int64), np.array(squares)


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
