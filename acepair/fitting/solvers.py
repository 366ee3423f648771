"""Solvers of least-squares systems that work on the triangle: their cost does not depend on the number of rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .._types import FloatArray
from .blr import Evidence
from .solver import Solution, Solver, check_option
from .spectrum import Spectrum
from .system import LinearSystem

#: how SciPy's lsqr ended, by its number
_LSQR_ENDS = (
    "the solution is zero",
    "the equations hold to atol",
    "least squares to atol",
    "condition number",
    "the equations hold to rounding",
    "least squares to rounding",
    "condition number",
    "max_iterations",
)


@dataclass(frozen=True)
class QR(Solver):
    """Least squares by QR; with λ > 0 ‖A θ − y‖² + λ²‖θ‖², λ times the prior as more rows (Tikhonov).

    Parameters
    ----------
    lambda_ : float
    """

    lambda_: float = 0.0

    def __post_init__(self) -> None:
        check_option("lambda_", self.lambda_, self.lambda_ >= 0, "not be negative")

    def solve(self, system: LinearSystem) -> Solution:
        """Solve by the triangle.

        Raises
        ------
        LinAlgError
            If it is singular to rounding, which RRQR and TSVD do not mind.
        """
        R, Qty = system.R, system.Qty
        if self.lambda_:
            L = system.n_columns
            more = np.block([[R, Qty[:, None]], [self.lambda_ * np.eye(L), np.zeros((L, 1))]])
            extended = np.asarray(np.linalg.qr(more, mode="r"))
            R, Qty = extended[:L, :L], extended[:L, L]
        if _is_singular(R):
            raise np.linalg.LinAlgError(
                f"{system.n_rows} rows do not determine {system.n_columns} parameters: use "
                "QR(lambda_=...), RRQR, TSVD or BLR"
            )
        from scipy.linalg import solve_triangular

        return Solution(solve_triangular(R, Qty))


def _is_singular(R: FloatArray) -> bool:
    """Say whether a triangle is singular to rounding, whatever the scales of its columns."""
    from scipy.linalg.lapack import dtrcon

    n_rows, L = R.shape
    largest = np.abs(R).max(axis=0, initial=0.0)
    if n_rows < L or not largest.all():
        return True
    scaled = R / largest  # first, lest squares of very small columns vanish
    reciprocal_condition, _ = dtrcon(scaled / np.linalg.norm(scaled, axis=0))
    return bool(reciprocal_condition < L * np.finfo(float).eps)


@dataclass(frozen=True)
class RRQR(Solver):
    """Rank-revealing QR.

    Parameters
    ----------
    rtol : float
        Columns that add less than this part of the largest to those before get no parameter. The default, that of
        ACEpotentials.jl, leaves out only what rounding cannot tell from zero; 1e-11 or so is safer.
    """

    rtol: float = 1e-15

    def __post_init__(self) -> None:
        check_option("rtol", self.rtol, 0 < self.rtol < 1, "lie between 0 and 1")

    def solve(self, system: LinearSystem) -> Solution:
        """Solve with pivoted columns."""
        from scipy.linalg import qr, solve_triangular

        Q, R, order = qr(system.R, mode="economic", pivoting=True)
        pivots = np.abs(np.diag(R))
        rank = int((pivots > self.rtol * pivots.max(initial=0.0)).sum())
        theta = np.zeros(system.n_columns)
        if rank:
            theta[order[:rank]] = solve_triangular(R[:rank, :rank], (Q.T @ system.Qty)[:rank])
        return Solution(theta, {"rank": rank})


@dataclass(frozen=True)
class LSQR(Solver):
    """Krylov iteration. Stopped early it regularises, too.

    Parameters
    ----------
    damp : float
        As in SciPy: ‖A θ − y‖² + damp²‖θ‖².
    atol : float
        Relative error of the matrix and of the labels to which the solution is exact; 0 goes on until rounding.
    max_iterations : int, optional
        20 times the number of parameters unless given.
    """

    damp: float = 0.0
    atol: float = 1e-12
    max_iterations: int | None = None

    def __post_init__(self) -> None:
        check_option("damp", self.damp, self.damp >= 0, "not be negative")
        check_option("atol", self.atol, self.atol >= 0, "not be negative")
        if self.max_iterations is not None:
            check_option("max_iterations", self.max_iterations, self.max_iterations >= 1, "be at least 1")

    def solve(self, system: LinearSystem) -> Solution:
        """Solve by scipy.sparse.linalg.lsqr.

        References
        ----------
        C. C. Paige, M. A. Saunders, ACM Trans. Math. Softw. 8, 43 (1982), 10.1145/355984.355989.
        """
        from scipy.sparse.linalg import lsqr

        limit = self.max_iterations or 20 * system.n_columns
        # conlim=0: smoothness priors make matrices of any condition number
        found = lsqr(system.R, system.Qty, damp=self.damp, atol=self.atol, btol=self.atol, conlim=0, iter_lim=limit)
        return Solution(found[0], {"iterations": int(found[2]), "stopped by": _LSQR_ENDS[int(found[1])]})


@dataclass(frozen=True)
class TSVD(Solver):
    """Truncated singular value decomposition.

    Parameters
    ----------
    rtol : float
        Singular values up to this part of the largest count as zero.
    """

    rtol: float = 1e-9

    def __post_init__(self) -> None:
        check_option("rtol", self.rtol, 0 < self.rtol < 1, "lie between 0 and 1")

    def solve(self, system: LinearSystem) -> Solution:
        """Solve in the space of the larger singular vectors."""
        U, s, Vt = np.linalg.svd(system.R, full_matrices=False)
        rank = int((s > self.rtol * s.max(initial=0.0)).sum())
        return Solution(Vt[:rank].T @ ((U.T @ system.Qty)[:rank] / s[:rank]), {"rank": rank})


@dataclass(frozen=True)
class Ridge(Solver):
    """Least ‖A θ − y‖² + α‖θ‖².

    Parameters
    ----------
    alpha : float, optional
        That of least generalised cross-validation error unless given.

    References
    ----------
    G. H. Golub, M. Heath, G. Wahba, Technometrics 21, 215 (1979), 10.1080/00401706.1979.10489751.
    """

    alpha: float | None = None

    def __post_init__(self) -> None:
        if self.alpha is not None:
            check_option("alpha", self.alpha, self.alpha > 0, "be positive")

    def solve(self, system: LinearSystem) -> Solution:
        """Solve by singular values.

        Raises
        ------
        ValueError
            If α is to be found and the matrix or the labels are zero.
        """
        spectrum = Spectrum(system)
        alpha = self._cross_validated(spectrum) if self.alpha is None else self.alpha
        return Solution(spectrum.ridge(alpha), {"alpha": alpha})

    @staticmethod
    def _cross_validated(f: Spectrum) -> float:
        f.check()

        def error(t: float) -> float:
            shrink = np.exp(t) / (f.s**2 + np.exp(t))
            free = f.n_rows - len(f.s) + shrink.sum()  # N less the trace of the hat matrix
            return float((np.sum((shrink * f.c) ** 2) + f.rest) / free**2)

        return f.best_ratio(error)


@dataclass(frozen=True)
class BLR(Solver):
    """Bayesian linear regression: ridge with λ = σ_ε²/σ_c² of greatest evidence, or of variances that are given.

    Parameters
    ----------
    prior_variance : float, optional
        σ_c², of the parameters times the prior's diagonal.
    noise_variance : float, optional
        σ_ε², of the weighted labels. Both or neither must be given.
    """

    prior_variance: float | None = None
    noise_variance: float | None = None

    def __post_init__(self) -> None:
        if (self.prior_variance is None) != (self.noise_variance is None):
            raise ValueError("prior_variance and noise_variance must be given together")
        for name in ("prior_variance", "noise_variance"):
            value = getattr(self, name)
            if value is not None:
                check_option(name, value, value > 0, "be positive")

    def solve(self, system: LinearSystem) -> Solution:
        """Maximise the evidence and return the mean of the posterior.

        Raises
        ------
        ValueError
            If variances are to be found and the matrix or the labels are zero.
        """
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
            "effective parameters": evidence.effective_parameters(noise / variance),
        }
        return Solution(posterior.mean, details, posterior)
