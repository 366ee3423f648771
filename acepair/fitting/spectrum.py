"""A system along its singular vectors, and the search for the ratio λ by which it is regularised."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .._types import FloatArray
from .system import LinearSystem

_DECADES = 12  #: of λ/s² that are searched on either side of the singular values
_POINTS = 200

ZERO_MATRIX = "the design matrix must not be zero: are there atoms closer to each other than the cutoff?"

Objective = Callable[[float], float]


class Spectrum:
    """Singular values s_1 ≥ ... ≥ s_r > 0 of a system, r its rank: values up to rounding of the largest count as zero.

    Attributes
    ----------
    s : ndarray (r,)
    c : ndarray (r,)
        uᵀy with the left vectors u.
    V : ndarray (L, L)
        Right vectors in columns, those of the singular values that are zero last.
    rest : float
        ‖y‖² − ‖c‖², what no parameters explain; 0 where there are no more rows than the rank.
    n_rows : int
    """

    def __init__(self, system: LinearSystem) -> None:
        U, s, Vt = np.linalg.svd(system.R, full_matrices=True)
        largest = s[0] if s.size else 0.0
        rank = int((s > max(system.R.shape) * np.finfo(float).eps * largest).sum()) if largest else 0
        c = U.T @ system.Qty
        self.V, self.s, self.c, self.n_rows = Vt.T, s[:rank], c[:rank], system.n_rows
        self.rest = system.rest + float(c[rank:] @ c[rank:]) if self.n_rows > rank else 0.0

    def check(self) -> None:
        """Raise a ValueError if there is nothing to fit, or nothing to fit it with."""
        if not self.s.size:
            raise ValueError(ZERO_MATRIX)
        if self.rest == 0 and not self.c.any():
            raise ValueError("the labels less their reference must not be zero everywhere")

    def ridge(self, ratio: float) -> FloatArray:
        """Return the least ‖A θ − y‖² + λ‖θ‖² for a ratio λ, (L,)."""
        solution: FloatArray = self.V[:, : len(self.s)] @ (self.s * self.c / (self.s**2 + ratio))
        return solution

    def best_ratio(self, objective: Objective, slope: Objective | None = None) -> float:
        """Return the λ of least `objective`(ln λ): a wide scan finds the valley, which is then refined.

        Where the objective still falls at the end of the scan, 12 decades beyond the singular values, that end is the
        answer: what lies beyond is least squares, or no parameters at all.

        Parameters
        ----------
        objective : callable
        slope : callable, optional
            Its derivative: a zero is found to rounding, a minimum of the values to its square root only.
        """
        from scipy.optimize import brentq, minimize_scalar

        beyond = np.log(10.0) * _DECADES
        grid = np.linspace(2 * np.log(self.s[-1]) - beyond, 2 * np.log(self.s[0]) + beyond, _POINTS)
        best = int(np.argmin([objective(t) for t in grid]))
        if best in (0, len(grid) - 1):
            return float(np.exp(grid[best]))
        low, high = float(grid[best - 1]), float(grid[best + 1])
        if slope is None:
            found = minimize_scalar(objective, bounds=(low, high), method="bounded", options={"xatol": 1e-9})
            t = float(found.x) if found.fun <= objective(grid[best]) else float(grid[best])
        elif slope(low) < 0 < slope(high):
            t = float(brentq(slope, low, high, xtol=1e-14, rtol=1e-14))
        else:
            t = float(grid[best])
        return float(np.exp(t))
