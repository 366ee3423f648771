"""From models to the layers and potentials they consist of, and from polynomials to splines.

Parameters are copied: what is made here is independent of what it was made from. Only `as_calculator` shares them.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TypeVar, overload
from weakref import WeakKeyDictionary

from ..basis.radial import RadialEmbedding
from .ace import ETACE, ETACEPotential
from .base import Layer, Potential
from .model import ACEModel
from .onebody import ETOneBody, ETOneBodyPotential
from .pair import ETPairModel, ETPairPotential
from .stacked import StackedCalculator

P = TypeVar("P", ETACEPotential, ETPairPotential)

INTERVALS_ACE = 50
INTERVALS_PAIR = 30
INTERVALS_MODEL = 99  #: of both parts of an ACEModel: 100 nodes


def one_body(E0: Mapping[str, float] | Mapping[int, float]) -> ETOneBody:
    """Return the one-body layer of reference energies (eV) by element."""
    return ETOneBody(E0)


def convert2et(model: ACEModel) -> ETACE:
    """Return the many-body layer of a model."""
    return ETACE(model.rembed, model.yembed, model.basis, model.readout.copy())


def convertpair(model: ACEModel) -> ETPairModel:
    """Return the pair layer of a model.

    Raises
    ------
    ValueError
        If the model has no pair part.
    """
    if model.pair_rembed is None or model.pair_readout is None:
        raise ValueError("the model must have a pair part, got one without")
    return ETPairModel(model.pair_rembed, model.pair_readout.copy())


def convert2et_full(model: ACEModel) -> StackedCalculator:
    """Return the whole model as a stack of one-body, pair, many-body and, if it has one, ZBL potentials.

    The stack's linear parameters are those of the pair part, then of the many-body part: not the order of the model's.
    """
    components: list[Potential] = [ETOneBodyPotential(ETOneBody(model.E0s))]
    if model.pair_rembed is not None:
        components.append(ETPairPotential(convertpair(model), model.pair_rcuts))
    components.append(ETACEPotential(convert2et(model), model.rcuts))
    if model.zbl is not None:
        components.append(model.zbl)
    return StackedCalculator(components)


def as_calculator(model: Potential | ACEModel) -> Potential:
    """Return the potential that evaluates a model; that of an ACEModel shares its parameters, in its order."""
    if isinstance(model, Potential):
        return model
    if not isinstance(model, ACEModel):
        hint = ""
        if isinstance(model, Layer):
            hint = "; wrap the layer in its potential first"
        elif isinstance(model, str | os.PathLike):
            hint = "; load_model reads files"
        got = type(model).__name__
        raise TypeError(f"model must be a potential, a StackedCalculator or an ACEModel, got {got}{hint}")
    known = _potentials.get(model)
    if known is None:
        known = _potentials[model] = _potential_of(model)
    return known


#: kept, so that what engines prepare for a potential is prepared once for a model
_potentials: WeakKeyDictionary[ACEModel, StackedCalculator] = WeakKeyDictionary()


def _potential_of(model: ACEModel) -> StackedCalculator:
    components: list[Potential] = [ETOneBodyPotential(ETOneBody(model.E0s))]
    components.append(ETACEPotential(ETACE(model.rembed, model.yembed, model.basis, model.readout), model.rcuts))
    if model.pair_rembed is not None and model.pair_readout is not None:
        components.append(ETPairPotential(ETPairModel(model.pair_rembed, model.pair_readout), model.pair_rcuts))
    if model.zbl is not None:
        components.append(model.zbl)
    return StackedCalculator(components)


@overload
def splinify(model: ETACE, n_intervals: int | None = None) -> ETACE: ...
@overload
def splinify(model: ETPairModel, n_intervals: int | None = None) -> ETPairModel: ...
@overload
def splinify(model: ACEModel, n_intervals: int | None = None) -> ACEModel: ...
@overload
def splinify(model: P, n_intervals: int | None = None) -> P: ...
@overload
def splinify(model: StackedCalculator, n_intervals: int | None = None) -> StackedCalculator: ...
def splinify(model: object, n_intervals: int | None = None) -> object:
    """Return a copy whose radial functions are cubic splines in the transformed distance.

    Parameters
    ----------
    model : ETACE, ETPairModel, ACEModel, potential or stack
        Transforms and envelopes stay analytic. Parts without radial functions stay as they are.
    n_intervals : int, optional
        Of the uniform grid: 50 for an ETACE, 30 for an ETPairModel, 99 (100 nodes) for both parts of an ACEModel
        unless given.

    Raises
    ------
    TypeError
        For other objects.
    """
    if isinstance(model, ETACE):
        rembed = model.rembed.splinify(n_intervals or INTERVALS_ACE)
        return ETACE(rembed, model.yembed, model.basis, model.readout.copy())
    if isinstance(model, ETPairModel):
        return ETPairModel(model.rembed.splinify(n_intervals or INTERVALS_PAIR), model.readout.copy())
    if isinstance(model, ACEModel):
        return _splinify_model(model, n_intervals or INTERVALS_MODEL)
    if isinstance(model, ETACEPotential | ETPairPotential):
        return type(model)(splinify(model.layer, n_intervals), model.rcuts)  # type: ignore[arg-type]
    if isinstance(model, StackedCalculator):
        has_radials = (ETACEPotential, ETPairPotential)
        parts = model.components
        return StackedCalculator([splinify(p, n_intervals) if isinstance(p, has_radials) else p for p in parts])
    raise TypeError(f"model must be a layer, potential, stack or ACEModel, got {type(model).__name__}")


def _splinify_model(model: ACEModel, n_intervals: int) -> ACEModel:
    pair: RadialEmbedding | None = model.pair_rembed
    return ACEModel(
        model.rembed.splinify(n_intervals),
        model.yembed,
        model.basis,
        model.readout.copy(),
        rcuts=model.rcuts,
        pair_rembed=None if pair is None else pair.splinify(n_intervals),
        pair_readout=None if model.pair_readout is None else model.pair_readout.copy(),
        pair_rcuts=model.pair_rcuts,
        E0s=model.E0s,
        zbl=model.zbl,
    )
