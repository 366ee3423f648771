"""What a fit returns."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from .._types import FloatArray
from ..models.base import Potential
from ..models.model import ACEModel
from ..models.stacked import StackedCalculator
from .blr import Posterior
from .errors import ErrorTable
from .rebuild import with_parameters
from .solver import is_number
from .system import LinearSystem


@dataclass(frozen=True, eq=False)
class FitResult:
    """A fitted model and how it was made.

    Attributes
    ----------
    model : StackedCalculator
        The fitted potential, with the calculators of `v_ref` if there were any.
    ace_model : ACEModel or Potential
        The model that was given, with the fitted parameters and one-body energies.
    theta : ndarray (L,)
        Its linear parameters.
    train, test : ErrorTable
        Errors on the data; `test` is None without test data.
    system : LinearSystem
        Triangle of the weighted rows, without the prior; the rows themselves are `assemble`'s to give.
    details : mapping
        What the solver has to say: evidence, variances, rank; numbers or text.
    timing : mapping
        Seconds by step.
    """

    model: StackedCalculator
    ace_model: ACEModel | Potential
    theta: FloatArray
    prior: FloatArray = field(repr=False)  #: (L,) diagonal
    system: LinearSystem = field(repr=False)
    solver: str
    train: ErrorTable = field(repr=False)
    test: ErrorTable | None = field(repr=False)
    details: Mapping[str, Any]
    timing: Mapping[str, float]
    posterior: Posterior | None = field(repr=False)
    notes: tuple[str, ...] = ()
    v_ref: tuple[str, ...] = ()  #: calculators the labels were taken relative to, by class and parameters
    _fitted: ACEModel | Potential = field(init=False, repr=False)  #: a copy that nobody changes

    def __post_init__(self) -> None:
        object.__setattr__(self, "_fitted", with_parameters(self.ace_model, self.theta))

    @cached_property
    def singular_values(self) -> FloatArray:
        """Singular values of the weighted matrix divided by the prior, largest first."""
        values = np.linalg.svd(self.system.R / self.prior, compute_uv=False)
        return np.asarray(values, dtype=np.float64)

    @property
    def evidence(self) -> float | None:
        """−log evidence, if the solver knows it."""
        value = self.details.get("negative log evidence")
        return None if value is None else float(value)

    def samples(self, n: int, seed: int | None = None) -> FloatArray:
        """Return parameters (n, L) drawn from the posterior of a Bayesian solver.

        Raises
        ------
        ValueError
            If the solver has no posterior.
        """
        if self.posterior is None:
            raise ValueError(f"solver {self.solver} has no posterior to draw from: use BLR")
        return self.posterior.sample(n, seed)

    def committee(self, n: int, seed: int | None = None) -> list[Potential | ACEModel]:
        """Return models with parameters drawn from the posterior, see `samples`, without calculators of `v_ref`."""
        return [with_parameters(self._fitted, theta) for theta in self.samples(n, seed)]

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fitted model to an `.acepair` file, with errors and settings as its provenance.

        It is the model of the fit, whatever was done to `ace_model` since. Calculators of `v_ref` are not in it, its
        provenance names them: add them where the model is used.
        """
        from ..io.model_file import save_model

        provenance = {
            "solver": self.solver,
            "rows": self.system.n_rows,
            "details": {k: float(v) if is_number(v) else str(v) for k, v in self.details.items()},
            "errors": {
                name: _finite(t.rmse) for name, t in (("train", self.train), ("test", self.test)) if t is not None
            },
        }
        if self.v_ref:
            provenance["relative to v_ref"] = list(self.v_ref)
        save_model(self._fitted, path, provenance=provenance)

    def save_report(self, path: str | os.PathLike[str]) -> None:
        """Write one self-contained HTML page with tables and plots."""
        from .html import write_report

        write_report(self, path)

    @property
    def report(self) -> str:
        """Errors, what the solver has to say, timing and what to look at, as text."""
        n_rows, L = self.system.n_rows, len(self.theta)
        s = self.singular_values
        lines = [f"{self.solver}, {n_rows} rows, {L} parameters"]
        lines += [f"{key}: {shown(value)}" for key, value in self.details.items()]
        if len(s):
            lines.append(f"singular values {s[0]:.3g} to {s[-1]:.3g}")
        for name, table in (("Training set", self.train), ("Test set", self.test)):
            if table is not None:
                lines += ["", f"{name}, {len(table.data)} configurations", str(table)]
        lines += ["", "Time: " + ", ".join(f"{step} {seconds:.2f} s" for step, seconds in self.timing.items())]
        remarks = self.remarks
        return "\n".join([*lines, *([""] if remarks else []), *(f"Note: {remark}" for remark in remarks)])

    @property
    def remarks(self) -> list[str]:
        """What to look at: notes, what the model is relative to, and outliers."""
        relative = f"the model is relative to v_ref = {', '.join(self.v_ref)}, which is in result.model, but in no file"
        return [*([relative] if self.v_ref else []), *self.notes, *self.outliers]

    @cached_property
    def outliers(self) -> list[str]:
        """Configurations with errors far above the others', training and test."""
        return [line for table in (self.train, self.test) if table is not None for line in table.outliers()]

    def __str__(self) -> str:
        return self.report

    def __repr__(self) -> str:
        size = f"{len(self.theta)} parameters, {self.system.n_rows} rows"
        return f"FitResult({self.solver}: {size}; print it for the report)"


def shown(value: Any) -> str:
    """Return a detail of a solver as text."""
    return f"{float(value):.6g}" if is_number(value) else str(value)


def _finite(errors: Mapping[str, Mapping[str, float]]) -> dict[str, dict[str, float]]:
    return {group: {q: v for q, v in values.items() if np.isfinite(v)} for group, values in errors.items()}
