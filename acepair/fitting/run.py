"""`fit`: from a model and data to a fitted model and its report."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from ..elements import by_symbol
from ..evaluate import evaluator_of
from ..models.base import Potential
from ..models.model import ACEModel
from .dataset import Dataset, as_dataset
from .errors import error_table
from .priors import Prior, algebraic_smoothness_prior, prior_diagonal
from .problem import Problem, check_structures
from .rebuild import as_stack, copy_model, with_parameters
from .references import EnergiesFrom, one_body_energies
from .restraint import TYPE, restraint_dimers
from .result import FitResult, notes_of
from .solvers import Solver, make_solver
from .streaming import DEFAULT_MEMORY, Store, assemble
from .weights import DEFAULT_WEIGHTS, Weights


def fit(
    model: ACEModel | Potential,
    data: Any,
    *,
    solver: Any = "blr",
    prior: Prior = algebraic_smoothness_prior,
    weights: Weights | None = None,
    test: Any = None,
    E0s: EnergiesFrom = None,
    v_ref: Iterable[Any] | Any = (),
    repulsion_restraint: bool | float = False,
    store: Store = "auto",
    memory: float | str = DEFAULT_MEMORY,
    threads: int | None = None,
    progress: bool | None = None,
    folder: str | os.PathLike[str] | None = None,
    scheduler: Any = None,
) -> FitResult:
    """Fit the linear parameters of a model to energies, forces and virials.

    Parameters
    ----------
    model : ACEModel, potential or StackedCalculator
        It is not changed.
    data : Dataset, or what `read_dataset` takes
    solver : str, Solver or estimator
        "blr" (Bayesian linear regression), "qr", "rrqr", "lsqr", "tsvd", "ridge", "ard", "asp", a `Solver` with
        options, or a linear estimator like scikit-learn's.
    prior : callable, array_like (L,) or None
        Diagonal that holds the functions back, or a function of the model that returns it.
    weights : mapping, optional
        {configuration type: {"E": , "F": , "V": }}; the type "default" is for all others, what is missing is 1. Without
        weights they are 30, 1, 1. Rows of energies and virials are also divided by √n_atoms.
    test : Dataset, or what `read_dataset` takes, optional
        For a second table of errors.
    E0s : mapping, "isolated" or "lsq", optional
        One-body energies (eV): given, those of isolated atoms, or least squares; the model's unless given.
    v_ref : ASE calculator or sequence of them
        Their energies, forces and virials are subtracted from the labels, as are the model's one-body energies and ZBL,
        and they join the fitted potential.
    repulsion_restraint : bool or float
        Add rows that make close pairs of atoms repel each other; a number is their weight.
    store, memory, threads, progress, folder, scheduler
        See `assemble`.

    Returns
    -------
    FitResult

    Raises
    ------
    ValueError
        For data the model cannot be fitted to; the configuration is named.
    """
    clock = _Clock()
    chosen = make_solver(solver)
    dataset, test_set = as_dataset(data), None if test is None else as_dataset(test)
    if test_set is not None:
        check_structures(model, test_set)
    others = [v_ref] if hasattr(v_ref, "get_potential_energy") else list(v_ref)
    prepared = _with_energies(model, dataset, E0s)
    rows, row_weights = _restrained(prepared, dataset, weights, repulsion_restraint)
    problem = Problem(prepared, rows, row_weights, others=others)
    clock.note("preparation")
    system = assemble(
        problem,
        store=_store_for(chosen, store),
        memory=memory,
        threads=threads,
        progress=progress,
        folder=folder,
        scheduler=scheduler,
    )
    clock.note("assembly")
    diagonal = prior_diagonal(prior, prepared)
    solution = chosen.solve(system.scaled(diagonal))
    theta = solution.theta / diagonal
    if not np.isfinite(theta).all():
        raise ArithmeticError(f"solver {chosen.name} found parameters that are not finite")
    clock.note("solution")
    fitted = with_parameters(prepared, theta)
    potential = as_stack(fitted, others)
    train_errors = error_table(potential, dataset, threads=threads)
    test_errors = None if test_set is None else error_table(potential, test_set, threads=threads)
    clock.note("errors")
    return FitResult(
        model=potential,
        ace_model=fitted,
        theta=theta,
        prior=diagonal,
        system=system,
        solver=chosen.name,
        train=train_errors,
        test=test_errors,
        details=solution.details,
        timing=clock.times,
        posterior=None if solution.posterior is None else solution.posterior.scaled(diagonal),
        notes=notes_of(dataset, test_set),
    )


class _Clock:
    """Seconds between notes."""

    def __init__(self) -> None:
        self.times: dict[str, float] = {}
        self._last = time.perf_counter()

    def note(self, step: str) -> None:
        now = time.perf_counter()
        self.times[step], self._last = now - self._last, now


def _store_for(solver: Solver, store: Store) -> Store:
    if not solver.needs_rows:
        return store
    if store == "qr":
        raise ValueError(f"solver {solver.name} needs the rows themselves: store must be 'dense' or 'disk', got 'qr'")
    return "dense" if store == "auto" else store


def _with_energies(model: Any, data: Dataset, E0s: EnergiesFrom) -> Any:
    """Return a copy of the model with the one-body energies asked for."""
    elements = evaluator_of(model).calculator.elements
    if E0s is None:
        return copy_model(model)
    if isinstance(E0s, str):
        return copy_model(model, one_body_energies(data, elements, E0s))
    given = by_symbol(E0s, "E0s")
    missing = [e for e in elements if e not in given]
    if missing:
        raise ValueError(f"E0s must be given for {', '.join(elements)}, got none for {', '.join(missing)}")
    return copy_model(model, {e: given[e] for e in elements})


def _restrained(
    model: Any, data: Dataset, weights: Weights | None, restraint: bool | float
) -> tuple[Dataset, Weights | None]:
    """Return the data with the dimers of the restraint, and weights for those."""
    if not restraint:
        return data, weights
    own: Mapping[str, Mapping[str, float]] = {TYPE: {"E": 1.0}}
    dimers = restraint_dimers(model, 1.0 if restraint is True else float(restraint))
    return data + dimers, {**(DEFAULT_WEIGHTS if weights is None else weights), **own}
