"""`fit`: from a model and data to a fitted model and its report."""

from __future__ import annotations

import numbers
import os
import time
from collections.abc import Iterable
from typing import Any

import numpy as np

from .._types import FloatArray
from ..elements import by_symbol
from ..models.base import Potential
from ..models.convert import as_calculator
from ..models.model import ACEModel
from ..threads import thread_count
from .blas import limited_blas
from .dataset import Dataset
from .errors import error_table
from .priors import Prior, algebraic_smoothness_prior, prior_diagonal
from .problem import Problem, check_structures
from .reading import as_dataset
from .rebuild import as_stack, copy_model, with_parameters
from .references import EnergiesFrom, References, one_body_energies
from .remarks import described, remarks
from .restraint import restraint_dimers
from .result import FitResult
from .solver import Solution, Solver
from .solver_names import make_solver
from .streaming import DEFAULT_MEMORY, Store, assemble
from .system import LinearSystem
from .weights import Weights


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
    prior : callable, array_like (L,), str or None
        Diagonal that holds the functions back, a function of the model that returns it, or the name of one:
        "algebraic", "exponential", "gaussian", "none".
    weights : mapping, optional
        {configuration type: {"E": , "F": , "V": }}; the type "default" is for all others, what is missing is 1. Without
        weights they are 30, 1, 1. Rows of energies and virials are also divided by √n_atoms.
    test : Dataset, or what `read_dataset` takes, optional
        For a second table of errors.
    E0s : mapping, "isolated" or "lsq", optional
        One-body energies (eV): given, those of isolated atoms, or by least squares of the energies per atom on the
        compositions, ZBL and `v_ref` subtracted first; the model's unless given.
    v_ref : ASE calculator or sequence of them, optional
        Their energies, forces and virials are subtracted from the labels, as are the model's one-body energies and ZBL,
        and they join the fitted potential `result.model`, but no file: they are to be added where it is used.
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
    chosen.check_installed()
    store = _store_for(chosen, store, scheduler)
    threads = thread_count(threads)
    dataset, test_set = as_dataset(data), None if test is None else as_dataset(test)
    if test_set is not None:
        check_structures(model, test_set)
    others = _calculators(v_ref)
    prepared = _with_energies(model, dataset, E0s, others)
    restraint = None if not repulsion_restraint else restraint_dimers(prepared, _restraint_weight(repulsion_restraint))
    problem = Problem(prepared, dataset, weights, others=others, restraint=restraint)
    clock.note("preparation")
    system = assemble(
        problem,
        store=store,
        memory=memory,
        threads=threads,
        progress=progress,
        folder=folder,
        scheduler=scheduler,
    )
    clock.note("assembly")
    diagonal = prior_diagonal(prior, prepared)
    with limited_blas(threads):
        solution = _solve(chosen, system, diagonal)
    clock.note("solution")
    fitted = with_parameters(prepared, solution.theta)
    potential = as_stack(fitted, others)
    tables = [None if d is None else error_table(potential, d, threads=threads) for d in (dataset, test_set)]
    clock.note("errors")
    assert tables[0] is not None
    return FitResult(
        model=potential,
        ace_model=fitted,
        theta=solution.theta,
        prior=diagonal,
        system=system.reduced(),
        solver=chosen.name,
        train=tables[0],
        test=tables[1],
        details=solution.details,
        timing=clock.times,
        posterior=solution.posterior,
        notes=remarks(problem, dataset, test_set, tables[0], E0s),
        v_ref=described(others),
    )


def _solve(solver: Solver, system: LinearSystem, diagonal: FloatArray) -> Solution:
    """Return the solution of a system with columns divided by the prior, in terms of the model's parameters."""
    found = solver.solve(system.scaled(diagonal, rows=solver.needs_rows))
    theta = found.theta / diagonal
    if not np.isfinite(theta).all():
        raise ArithmeticError(f"solver {solver.name} found parameters that are not finite")
    posterior = None if found.posterior is None else found.posterior.scaled(diagonal)
    return Solution(theta, found.details, posterior)


def _calculators(v_ref: Any) -> list[Any]:
    """Return the ASE calculators of `v_ref`."""
    if v_ref is None:
        return []
    others = list(v_ref) if isinstance(v_ref, list | tuple) else [v_ref]
    for other in others:
        if isinstance(other, type) or not hasattr(other, "get_potential_energy"):
            kind = f"the class {other.__name__}" if isinstance(other, type) else type(other).__name__
            hint = "; of a potential ACECalculator makes one" if isinstance(other, Potential | ACEModel) else ""
            raise TypeError(f"v_ref must be ASE calculators, got {kind}{hint}")
    return others


def _restraint_weight(value: Any) -> float:
    if not isinstance(value, numbers.Real):
        raise TypeError(f"repulsion_restraint must be True, False or a number, got {value!r}")
    return float(value)


class _Clock:
    """Seconds between notes."""

    def __init__(self) -> None:
        self.times: dict[str, float] = {}
        self._last = time.perf_counter()

    def note(self, step: str) -> None:
        now = time.perf_counter()
        self.times[step], self._last = now - self._last, now


def _store_for(solver: Solver, store: Store, scheduler: Any) -> Store:
    if not solver.needs_rows:
        return store
    if scheduler is not None:
        raise ValueError(
            f"solver {solver.name} needs the rows themselves, of which a scheduler's workers keep the triangle only"
        )
    if store == "qr":
        raise ValueError(f"solver {solver.name} needs the rows themselves: store must be 'dense' or 'disk', got 'qr'")
    return "dense" if store == "auto" else store


def _with_energies(model: Any, data: Dataset, E0s: EnergiesFrom, others: list[Any]) -> Any:
    """Return a copy of the model with the one-body energies asked for."""
    elements = as_calculator(model).elements
    if E0s is None:
        return copy_model(model)
    if isinstance(E0s, str):
        check_structures(model, data)
        reference = References(model, others, one_body=False)
        return copy_model(model, one_body_energies(data, elements, E0s, reference))
    given = by_symbol(E0s, "E0s")
    missing = [e for e in elements if e not in given]
    if missing:
        raise ValueError(f"E0s must be given for {', '.join(elements)}, got none for {', '.join(missing)}")
    return copy_model(model, {e: given[e] for e in elements})
