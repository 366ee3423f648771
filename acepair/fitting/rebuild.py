"""Copies of models with other linear parameters or one-body energies."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar, cast

import numpy.typing as npt

from ..models.ace import ETACE, ETACEPotential
from ..models.base import Potential
from ..models.convert import convert2et_full
from ..models.model import ACEModel
from ..models.onebody import ETOneBody, ETOneBodyPotential
from ..models.pair import ETPairModel, ETPairPotential
from ..models.parameters import set_linear_parameters
from ..models.stacked import StackedCalculator

M = TypeVar("M", bound=Potential | ACEModel)


def copy_model(model: M, E0s: Mapping[str, float] | None = None) -> M:
    """Return a copy with readouts of its own, and other one-body energies if given; all else is shared."""
    if isinstance(model, ACEModel):
        pair = model.pair_readout
        copied: Any = ACEModel(
            model.rembed,
            model.yembed,
            model.basis,
            model.readout.copy(),
            rcuts=model.rcuts,
            pair_rembed=model.pair_rembed,
            pair_readout=None if pair is None else pair.copy(),
            pair_rcuts=model.pair_rcuts,
            E0s=model.E0s if E0s is None else E0s,
            zbl=model.zbl,
        )
        return cast(M, copied)
    components = list(model.components) if isinstance(model, StackedCalculator) else [model]
    if E0s is not None:
        others = [part for part in components if not isinstance(part, ETOneBodyPotential)]
        components = [ETOneBodyPotential(ETOneBody(E0s)), *others]
    copies = [_copy_potential(part) for part in components]
    made: Any = StackedCalculator(copies) if isinstance(model, StackedCalculator) or len(copies) > 1 else copies[0]
    return cast(M, made)


def _copy_potential(part: Any) -> Any:
    match part:
        case ETACEPotential(layer=layer, rcuts=rcuts):
            return ETACEPotential(ETACE(layer.rembed, layer.yembed, layer.basis, layer.readout.copy()), rcuts)
        case ETPairPotential(layer=layer, rcuts=rcuts):
            return ETPairPotential(ETPairModel(layer.rembed, layer.readout.copy()), rcuts)
        case _:
            return part


def with_parameters(model: M, theta: npt.ArrayLike) -> M:
    """Return a copy with other linear parameters."""
    return set_linear_parameters(copy_model(model), theta)


def as_stack(model: Potential | ACEModel, others: Iterable[Any] = ()) -> StackedCalculator:
    """Return a stack of a model's potentials and other calculators."""
    stack = convert2et_full(model) if isinstance(model, ACEModel) else StackedCalculator([model])
    others = list(others)
    return StackedCalculator([stack, *others]) if others else stack
