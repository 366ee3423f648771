"""Fitting of linear models to energies, forces and virials; see docs/fitting.md."""

from .dataset import Configuration, Dataset, read_dataset
from .errors import ErrorTable, error_table
from .priors import algebraic_smoothness_prior, exponential_smoothness_prior, gaussian_smoothness_prior
from .problem import Problem
from .references import one_body_energies
from .result import FitResult
from .run import fit
from .solvers import ARD, ASP, BLR, LSQR, QR, RRQR, TSVD, Estimator, Ridge, Solution, Solver
from .streaming import assemble
from .system import IncrementalQR, LinearSystem

__all__ = [
    "ARD",
    "ASP",
    "BLR",
    "LSQR",
    "QR",
    "RRQR",
    "TSVD",
    "Configuration",
    "Dataset",
    "ErrorTable",
    "Estimator",
    "FitResult",
    "IncrementalQR",
    "LinearSystem",
    "Problem",
    "Ridge",
    "Solution",
    "Solver",
    "algebraic_smoothness_prior",
    "assemble",
    "error_table",
    "exponential_smoothness_prior",
    "fit",
    "gaussian_smoothness_prior",
    "one_body_energies",
    "read_dataset",
]
