"""Solvers by name."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import fields
from typing import Any

from .solver import Solver, is_number
from .solvers import BLR, LSQR, QR, RRQR, TSVD, Ridge
from .sparse import ARD, ASP, Estimator

SOLVERS: dict[str, Callable[..., Solver]] = {
    "qr": QR, "rrqr": RRQR, "lsqr": LSQR, "tsvd": TSVD, "ridge": Ridge, "blr": BLR, "ard": ARD, "asp": ASP
}  # fmt: skip


def make_solver(solver: Any, **options: Any) -> Solver:
    """Return a solver given as such, by name ("blr", with its options), or as an estimator like scikit-learn's.

    Raises
    ------
    ValueError
        For a name or an option that is not known, and for options out of range.
    TypeError
        For what is no solver.
    """
    if isinstance(solver, Solver):
        return solver
    if isinstance(solver, type):
        raise TypeError(f"solver must be an instance, {solver.__name__}(...), got the class {solver.__name__}")
    if solver is None:
        raise TypeError("solver must be a name, a Solver or an estimator, got None")
    if not isinstance(solver, str):
        return Estimator(solver)
    kind = SOLVERS.get(solver.lower())
    if kind is None:
        near = difflib.get_close_matches(solver.lower(), SOLVERS, n=1, cutoff=0)
        raise ValueError(f"solver must be one of {', '.join(SOLVERS)}, got {solver!r}; the nearest is {near[0]!r}")
    known = [f.name for f in fields(kind)]  # type: ignore[arg-type]
    for name, value in options.items():
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1, cutoff=0) or ["none"]
            raise ValueError(f"solver {solver!r} has no option {name!r}; the nearest is {near[0]!r}")
        if name != "select" and not (value is None or is_number(value)):
            raise TypeError(f"option {name} of solver {solver!r} must be a number, got {value!r}")
    return kind(**options)
