"""What is subtracted from the labels before the fit: one-body energies, ZBL, other calculators."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from contextlib import nullcontext
from typing import Any, Literal, NamedTuple

import numpy as np

from .._types import FloatArray
from ..elements import numbers_of
from ..evaluate import Evaluator
from ..models.base import Potential
from ..models.convert import as_calculator
from ..models.model import ACEModel
from ..models.onebody import ETOneBody, ETOneBodyPotential
from ..models.stacked import StackedCalculator
from .dataset import Configuration, Dataset

_SAME_ENERGY = 1e-6  #: eV

EnergiesFrom = Mapping[str, float] | Mapping[int, float] | Literal["isolated", "lsq"] | None


class Targets(NamedTuple):
    """Labels of a configuration less the reference; zeros where there are none."""

    energy: float  #: eV
    forces: FloatArray  #: (n_atoms, 3) eV/Å
    virial: FloatArray  #: (3, 3) eV


class References:
    """What is subtracted from labels: what of a model has no linear parameters, and other calculators.

    Parameters
    ----------
    model : ACEModel, potential or StackedCalculator
    others : iterable of ASE calculators
    one_body : bool
        Whether the model's one-body energies are among it.
    """

    def __init__(self, model: Potential | ACEModel, others: Iterable[Any] = (), *, one_body: bool = True) -> None:
        calculator = as_calculator(model)
        parts = calculator.components if isinstance(calculator, StackedCalculator) else (calculator,)
        fixed = [part for part in parts if not isinstance(part, Potential) or not part.readouts]
        if not one_body:
            fixed = [part for part in fixed if not isinstance(part, ETOneBodyPotential)]
        self.others = list(others)
        self._own = _stacked(fixed, calculator.elements)
        self._all = _stacked([*fixed, *self.others], calculator.elements)
        self._local = threading.local()

    def __getstate__(self) -> dict[str, Any]:
        return {"others": self.others, "_own": self._own, "_all": self._all}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _local=threading.local())

    def subtracted(self, c: Configuration, *, others: bool = True) -> Targets:
        """Return the labels of a configuration less the reference, `others` included or not."""
        energy = 0.0 if c.energy is None else c.energy
        forces = np.zeros((len(c), 3)) if c.forces is None else c.forces
        virial = np.zeros((3, 3)) if c.virial is None else c.virial
        evaluator = self._evaluator(others)
        if evaluator is None:
            return Targets(energy, forces, virial)
        gradients = evaluator.cache is not None or bool(evaluator.calculator.ase_calculators)
        gradients = gradients and not (c.forces is None and c.virial is None)
        with _ase_lock if evaluator.calculator.ase_calculators else nullcontext():
            found = evaluator.evaluate(c.atoms, gradients=gradients, virial=c.virial is not None)
        if c.energy is not None:
            energy -= found.energy
        if c.forces is not None and found.forces is not None:
            forces = forces - found.forces
        if c.virial is not None and found.virial is not None:
            virial = virial - found.virial
        return Targets(energy, forces, virial)

    def _evaluator(self, others: bool) -> Evaluator | None:
        """Return this thread's evaluator; None if there is nothing to subtract."""
        stack = self._all if others else self._own
        if stack is None:
            return None
        made: dict[bool, Evaluator] = self._local.__dict__.setdefault("made", {})
        if others not in made:
            made[others] = Evaluator(stack, threads=1)
        return made[others]


_ase_lock = threading.Lock()  # most calculators are not made for threads


def _stacked(parts: list[Any], elements: tuple[str, ...]) -> StackedCalculator | None:
    if not parts:
        return None
    if not any(isinstance(part, Potential) for part in parts):  # a stack has at least one potential
        parts = [ETOneBodyPotential(ETOneBody(dict.fromkeys(elements, 0.0))), *parts]
    return StackedCalculator(parts)


def one_body_energies(
    data: Dataset,
    elements: tuple[str, ...],
    how: Literal["isolated", "lsq"],
    reference: References | None = None,
) -> dict[str, float]:
    """Return an energy (eV) for every element.

    Parameters
    ----------
    data : Dataset
    elements : tuple of str
    how : "isolated" or "lsq"
        From the configurations of one atom that are not periodic or of a type that says so (`IsolatedAtom`), or by
        least squares of the energies per atom on the compositions, every configuration counting the same; the shortest
        solution where the data leave a choice.
    reference : References, optional
        Subtracted from the energies first.

    Raises
    ------
    ValueError
        If an element has no isolated atom, or two of different energies, or if there are no energies.
    """
    labelled = [c for c in data if c.energy is not None and len(c)]
    energies = [float(c.energy or 0.0) if reference is None else reference.subtracted(c).energy for c in labelled]
    numbers = numbers_of(elements)
    if how == "isolated":
        return _isolated(labelled, energies, elements)
    if how != "lsq":
        raise ValueError(f"E0s must be a mapping, 'isolated' or 'lsq', got {how!r}")
    if not labelled:
        raise ValueError("E0s='lsq' needs energies, got none")
    counts = np.array([[(c.atoms.numbers == z).sum() for z in numbers] for c in labelled], dtype=np.float64)
    size = counts.sum(axis=1)
    solution = np.linalg.lstsq(counts / size[:, None], np.array(energies) / size, rcond=1e-9)[0]
    return {e: float(v) for e, v in zip(elements, solution, strict=True)}


def _isolated(labelled: list[Configuration], energies: list[float], elements: tuple[str, ...]) -> dict[str, float]:
    found: dict[str, tuple[float, str]] = {}
    for c, energy in zip(labelled, energies, strict=True):
        if not is_isolated(c):
            continue
        element = c.atoms.symbols[0]
        first, name = found.setdefault(element, (energy, c.name))
        if abs(energy - first) > _SAME_ENERGY:
            raise ValueError(
                f"E0s='isolated' needs one energy of an isolated atom of {element}, got {first} eV of {name} and "
                f"{energy} eV of {c.name}"
            )
    missing = [e for e in elements if e not in found]
    if missing:
        raise ValueError(f"E0s='isolated' needs the energy of an isolated atom of {', '.join(missing)}, got none")
    return {e: found[e][0] for e in elements}


def is_isolated(configuration: Configuration) -> bool:
    """Say whether a configuration is one atom on its own."""
    kind = configuration.config_type.lower().replace("_", "").replace("-", "")
    return len(configuration) == 1 and (not configuration.atoms.pbc.any() or kind in ("isolatedatom", "isolated", "e0"))
