"""Fitting of linear models to energies, forces and virials; see docs/fitting.md. Names are loaded when first used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._lazy import lazy_names

if TYPE_CHECKING:
    from .blr import Posterior as Posterior
    from .dataset import Configuration as Configuration
    from .dataset import Dataset as Dataset
    from .errors import ErrorTable as ErrorTable
    from .errors import error_table as error_table
    from .priors import algebraic_smoothness_prior as algebraic_smoothness_prior
    from .priors import exponential_smoothness_prior as exponential_smoothness_prior
    from .priors import gaussian_smoothness_prior as gaussian_smoothness_prior
    from .problem import Problem as Problem
    from .reading import read_dataset as read_dataset
    from .references import one_body_energies as one_body_energies
    from .result import FitResult as FitResult
    from .run import fit as fit
    from .solver import Solution as Solution
    from .solver import Solver as Solver
    from .solvers import BLR as BLR
    from .solvers import LSQR as LSQR
    from .solvers import QR as QR
    from .solvers import RRQR as RRQR
    from .solvers import TSVD as TSVD
    from .solvers import Ridge as Ridge
    from .sparse import ARD as ARD
    from .sparse import ASP as ASP
    from .sparse import Estimator as Estimator
    from .streaming import assemble as assemble
    from .system import IncrementalQR as IncrementalQR
    from .system import LinearSystem as LinearSystem

__all__, __getattr__, __dir__ = lazy_names(
    __name__,
    {
        "blr": "Posterior",
        "dataset": "Configuration Dataset",
        "errors": "ErrorTable error_table",
        "priors": "algebraic_smoothness_prior exponential_smoothness_prior gaussian_smoothness_prior",
        "problem": "Problem",
        "reading": "read_dataset",
        "references": "one_body_energies",
        "result": "FitResult",
        "run": "fit",
        "solver": "Solution Solver",
        "solvers": "BLR LSQR QR RRQR TSVD Ridge",
        "sparse": "ARD ASP Estimator",
        "streaming": "assemble",
        "system": "IncrementalQR LinearSystem",
    },
)
