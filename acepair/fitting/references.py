"""What is subtracted from the labels before the fit: one-body energies, ZBL, other calculators."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

import numpy as np

from ..elements import numbers_of
from ..models.base import Potential
from ..models.model import ACEModel
from ..models.onebody import ETOneBodyPotential
from ..models.stacked import StackedCalculator
from .dataset import Dataset

EnergiesFrom = Mapping[str, float] | Mapping[int, float] | Literal["isolated", "lsq"] | None


def one_body_energies(data: Dataset, elements: tuple[str, ...], how: Literal["isolated", "lsq"]) -> dict[str, float]:
    """Return an energy (eV) for every element.

    Parameters
    ----------
    data : Dataset
    elements : tuple of str
    how : "isolated" or "lsq"
        From the configurations of one atom that are not periodic or of a type that says so (`IsolatedAtom`), or by
        least squares of the energies on the numbers of atoms; the shortest solution where the data leave a choice.

    Raises
    ------
    ValueError
        If an element has no isolated atom, or if there are no energies.
    """
    labelled = [c for c in data if c.energy is not None]
    numbers = numbers_of(elements)
    if how == "isolated":
        found = {int(c.atoms.numbers[0]): c.energy for c in labelled if len(c) == 1 and is_isolated(c)}
        missing = [e for e, z in zip(elements, numbers, strict=True) if int(z) not in found]
        if missing:
            raise ValueError(f"E0s='isolated' needs the energy of an isolated atom of {', '.join(missing)}, got none")
        return {e: float(found[int(z)] or 0.0) for e, z in zip(elements, numbers, strict=True)}
    if how != "lsq":
        raise ValueError(f"E0s must be a mapping, 'isolated' or 'lsq', got {how!r}")
    if not labelled:
        raise ValueError("E0s='lsq' needs energies, got none")
    counts = np.array([[(c.atoms.numbers == z).sum() for z in numbers] for c in labelled], dtype=np.float64)
    size = counts.sum(axis=1)
    solution = np.linalg.lstsq(counts / size[:, None], np.array([c.energy for c in labelled]) / size, rcond=1e-9)[0]
    return {e: float(v) for e, v in zip(elements, solution, strict=True)}


def is_isolated(configuration: Any) -> bool:
    """Say whether a configuration is one atom on its own."""
    kind = configuration.config_type.lower().replace("_", "").replace("-", "")
    return len(configuration) == 1 and (not configuration.atoms.pbc.any() or kind in ("isolatedatom", "isolated", "e0"))


def reference_potential(model: Potential | ACEModel, others: Iterable[Any] = ()) -> StackedCalculator | None:
    """Return what of a model has no linear parameters, with other calculators; None if there is nothing."""
    from ..evaluate import evaluator_of

    calculator = evaluator_of(model).calculator
    parts = calculator.components if isinstance(calculator, StackedCalculator) else (calculator,)
    fixed = [part for part in parts if not isinstance(part, Potential) or not part.readouts]
    fixed += list(others)
    if not fixed:
        return None
    if not any(isinstance(part, Potential) for part in fixed):  # a stack has at least one potential
        from ..models.onebody import ETOneBody

        fixed.insert(0, ETOneBodyPotential(ETOneBody(dict.fromkeys(calculator.elements, 0.0))))
    return StackedCalculator(fixed)


def only_one_body(reference: StackedCalculator | None) -> bool:
    """Say whether a reference has energies only, which need no neighbours."""
    return reference is not None and all(isinstance(part, ETOneBodyPotential) for part in reference.components)
