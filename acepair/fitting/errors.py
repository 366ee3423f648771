"""Errors of a model on labelled configurations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from .._types import FloatArray
from ..batch import evaluate_batch
from ..evaluate import Evaluator, Model
from ..models.stacked import StackedCalculator
from ..threads import thread_count
from .dataset import Configuration, Dataset
from .problem import VOIGT_I, VOIGT_J
from .reading import as_dataset
from .weights import QUANTITIES

SET = "set"  #: name of all configurations together; a type of this name is called "set (type)"
UNITS = {"E": "meV/atom", "F": "eV/Å", "V": "meV/atom"}
SCALES = {"E": 1e3, "F": 1.0, "V": 1e3}  #: from eV/atom, eV/Å, eV/atom to what tables show

Errors = Mapping[str, Mapping[str, float]]


class Comparison(NamedTuple):
    """Label and prediction of one configuration for one quantity, as flat arrays."""

    reference: FloatArray
    predicted: FloatArray


@dataclass(frozen=True, eq=False)
class ErrorTable:
    """Errors by configuration type and for all ("set").

    Attributes
    ----------
    rmse, mae : mapping
        Configuration type → {"E", "F", "V"}: energy per atom (eV), force components (eV/Å), the six virial components
        per atom (eV). NaN where there are no labels.
    comparisons : list of {"E", "F", "V"} → Comparison
        Per configuration, in the order of the data; without those that have no label.
    """

    data: Dataset = field(repr=False)
    comparisons: list[dict[str, Comparison]] = field(repr=False)
    rmse: Errors = field(init=False)
    mae: Errors = field(init=False)

    def __post_init__(self) -> None:
        differences: dict[str, dict[str, list[FloatArray]]] = {}
        for c, found in zip(self.data, self.comparisons, strict=True):
            for group in (f"{SET} (type)" if c.config_type == SET else c.config_type, SET):
                own = differences.setdefault(group, {q: [] for q in QUANTITIES})
                for q, comparison in found.items():
                    own[q].append(comparison.predicted - comparison.reference)
        differences[SET] = differences.pop(SET, {q: [] for q in QUANTITIES})  # last
        rmse, mae = {}, {}
        for group, by_quantity in differences.items():
            flat = {q: np.concatenate([np.zeros(0), *parts]) for q, parts in by_quantity.items()}
            rmse[group] = {q: float(np.sqrt(np.mean(d**2))) if d.size else np.nan for q, d in flat.items()}
            mae[group] = {q: float(np.mean(np.abs(d))) if d.size else np.nan for q, d in flat.items()}
        object.__setattr__(self, "rmse", rmse)
        object.__setattr__(self, "mae", mae)

    def __str__(self) -> str:
        width = max(len(group or "no type") for group in self.rmse)
        heads = [f"{q} {UNITS[q]}" for _ in range(2) for q in QUANTITIES]
        lines = [
            f"{'':{width}}  {'RMSE':<36}  MAE",
            " " * width + "".join(f"{head:>12}" for head in heads[:3]) + "  " + "".join(f"{h:>12}" for h in heads[3:]),
        ]
        for group in self.rmse:
            numbers = [table[group][q] * SCALES[q] for table in (self.rmse, self.mae) for q in QUANTITIES]
            shown = [f"{x:12.3f}" if np.isfinite(x) else f"{'–':>12}" for x in numbers]
            lines.append(f"{group or 'no type':{width}}{''.join(shown[:3])}  {''.join(shown[3:])}")
        return "\n".join(lines)

    def pairs(self, quantity: str, config_type: str | None = None) -> Comparison:
        """Return labels and predictions of one quantity in one flat array each."""
        parts = [
            found[quantity]
            for c, found in zip(self.data, self.comparisons, strict=True)
            if quantity in found and config_type in (None, c.config_type)
        ]
        empty = np.zeros(0)
        return Comparison(
            np.concatenate([empty, *(p.reference for p in parts)]),
            np.concatenate([empty, *(p.predicted for p in parts)]),
        )

    def outliers(self, factor: float = 10.0) -> list[str]:
        """Name the configurations whose error of a quantity is more than `factor` times that of most others.

        The measure of most others is the 90 % quantile of the configurations' root mean square errors, all types
        together, or a thousandth of the labels' spread if that is more.
        """
        named = []
        for q in QUANTITIES:
            found = [(k, c[q]) for k, c in enumerate(self.comparisons) if q in c]
            if len(found) < 10:
                continue
            sizes = np.array([np.sqrt(np.mean((c.predicted - c.reference) ** 2)) for _, c in found])
            labels = np.concatenate([c.reference for _, c in found])
            spread = float(np.subtract(*np.percentile(labels, [75, 25])))
            usual = max(float(np.quantile(sizes, 0.9)), 1e-3 * spread)
            for (k, _), size in sorted(zip(found, sizes, strict=True), key=lambda item: -item[1]):
                if size > factor * usual:
                    unit, scale = UNITS[q], SCALES[q]
                    named.append(
                        f"{self.data[k].name}: error of {q} {size * scale:.4g} {unit}, usual {usual * scale:.2g}"
                    )
        return named


def error_table(model: Model, data: Any, *, threads: int | None = None) -> ErrorTable:
    """Compare a model with labels.

    Parameters
    ----------
    model : ACEModel, potential or StackedCalculator
    data : Dataset, or what `read_dataset` takes
    threads : int, optional
        The CPUs this process may use unless given.

    Raises
    ------
    ValueError
        If a configuration cannot be evaluated; it is named.
    """
    dataset = as_dataset(data)
    threads = thread_count(threads)
    evaluator = Evaluator(model, threads=threads)
    calculator = evaluator.calculator
    if isinstance(calculator, StackedCalculator) and calculator.ase_calculators:
        comparisons = [_one(evaluator, c) for c in dataset]  # only what is asked of them: some have no stress
    else:
        comparisons = _many(evaluator, dataset)
    return ErrorTable(dataset, comparisons)


def _many(evaluator: Evaluator, data: Dataset) -> list[dict[str, Comparison]]:
    comparisons: list[dict[str, Comparison]] = [{} for _ in data]
    for gradients in (False, True):
        chosen = [k for k, c in enumerate(data) if _is_labelled(c) and _needs_gradients(c) == gradients]
        atoms = (data[k].atoms for k in chosen)
        try:
            found = evaluate_batch(atoms, evaluator.calculator, gradients=gradients, threads=evaluator.threads)
        except ValueError:
            for k in chosen:
                _one(evaluator, data[k])  # raises the error with the name of the configuration
            raise
        for n, k in enumerate(chosen):
            rest = (found.forces[n], found.virials[n]) if gradients else (None, None)
            comparisons[k] = _compare(data[k], float(found.energies[n]), *rest)
    return comparisons


def _is_labelled(c: Configuration) -> bool:
    return c.energy is not None or _needs_gradients(c)


def _needs_gradients(c: Configuration) -> bool:
    return c.forces is not None or c.virial is not None


def _one(evaluator: Evaluator, c: Configuration) -> dict[str, Comparison]:
    if not _is_labelled(c):
        return {}
    try:
        found = evaluator.evaluate(c.atoms, gradients=_needs_gradients(c), virial=c.virial is not None)
    except ValueError as error:
        raise ValueError(f"{c.name}: {error}") from error
    return _compare(c, found.energy, found.forces, found.virial)


def _compare(
    c: Configuration, energy: float, forces: FloatArray | None, virial: FloatArray | None
) -> dict[str, Comparison]:
    n, out = max(len(c), 1), {}
    if c.energy is not None:
        out["E"] = Comparison(np.array([c.energy / n]), np.array([energy / n]))
    if c.forces is not None and forces is not None:
        kept = slice(None) if c.atom_factors is None else c.atom_factors > 0
        out["F"] = Comparison(c.forces[kept].ravel(), forces[kept].ravel())
    if c.virial is not None and virial is not None:
        out["V"] = Comparison(c.virial[VOIGT_I, VOIGT_J] / n, virial[VOIGT_I, VOIGT_J] / n)
    return out
