"""Models as declarations, nested dictionaries of JSON values and arrays, and back.

What is read is built by the same constructors as everything else, which check it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any

import numpy as np

from .._types import Dict, FloatArray, IntArray
from ..basis.angular import AngularEmbedding
from ..basis.many_body import SparseACEBasis
from ..basis.radial import RadialEmbedding
from ..basis.registry import from_dict, to_dict
from ..lowering import has_formulas, tabulated
from ..models.ace import ETACE, ETACEPotential
from ..models.base import Layer, Potential
from ..models.model import ACEModel
from ..models.onebody import ETOneBody, ETOneBodyPotential
from ..models.pair import ETPairModel, ETPairPotential
from ..models.readout import SelectLinear
from ..models.stacked import StackedCalculator
from ..models.zbl import ZBLPotential

Model = Potential | ACEModel

_INTEGERS = {"spec", "A_radial", "A_angular", "products", "indptr", "indices", "first", "nl"}


def many_body_bases(model: Model) -> list[SparseACEBasis]:
    """Return the bases of the many-body components, whose plans come first and in this order."""
    if isinstance(model, ACEModel):
        return [model.basis]
    potentials = model.potentials if isinstance(model, StackedCalculator) else (model,)
    return [potential.layer.basis for potential in potentials if isinstance(potential, ETACEPotential)]


def describe(model: object) -> Dict:
    """Return the declaration of a model.

    Python callables among its radial functions are described by the tables that engines see of them.

    Raises
    ------
    TypeError
        If it is no model, or has a component that no file can hold.
    """
    match model:
        case ACEModel():
            return _describe_ace_model(model)
        case StackedCalculator():
            return {"kind": "stack", "components": [_component(k, part) for k, part in enumerate(model.components)]}
        case ETOneBodyPotential(layer=layer):
            return {"kind": "one_body", "elements": list(layer.elements), "E0": layer.energies}
        case ETPairPotential(layer=layer, rcuts=rcuts):
            return {"kind": "pair", "rcuts": rcuts, **_part(layer.rembed, layer.readout, rcuts)}
        case ETACEPotential(layer=layer, rcuts=rcuts):
            return {"kind": "many_body", "rcuts": rcuts, **_many_body(layer, rcuts)}
        case ZBLPotential():
            return {"kind": "zbl", "elements": list(model.elements), "rcuts": model.rcuts}
    hint = "; wrap the layer in its potential first" if isinstance(model, Layer) else ""
    raise TypeError(
        f"only an ACEModel, a potential or a stack of them can be saved, not a {type(model).__name__}{hint}"
    )


def _component(k: int, part: object) -> Dict:
    if not isinstance(part, Potential):
        raise TypeError(f"component {k} of the stack cannot be saved: {type(part).__name__} is an ASE calculator")
    return describe(part)


def _describe_ace_model(model: ACEModel) -> Dict:
    pair = None
    if model.pair_rembed is not None and model.pair_readout is not None:
        pair = _part(model.pair_rembed, model.pair_readout, model.pair_rcuts)
    return {
        "kind": "ace_model",
        "E0": np.array([model.E0s[element] for element in model.elements]),
        "many_body": _many_body(model, model.rcuts),
        "rcuts": model.rcuts,
        "pair": pair,
        "pair_rcuts": model.pair_rcuts,
        "zbl": None if model.zbl is None else describe(model.zbl),
    }


def _many_body(layer: ETACE | ACEModel, rcuts: FloatArray) -> Dict:
    basis = layer.basis
    return {
        **_part(layer.rembed, layer.readout, rcuts),
        "yembed": to_dict(layer.yembed),
        "basis": {
            "A_radial": basis.A_radial,
            "A_angular": basis.A_angular,
            "products": list(basis.coupling.products),
            "A2B": basis.coupling.A2B._asdict(),
            "mb_spec": _flat(basis.coupling.mb_spec_of_B),
        },
    }


def _part(rembed: RadialEmbedding, readout: SelectLinear, rcuts: FloatArray) -> Dict:
    """Describe what pair and many-body components have in common."""
    radial = to_dict(rembed if has_formulas(rembed) else tabulated(rembed, rcuts))
    return {"rembed": radial | {"spec": np.array(radial["spec"])}, "weights": readout.weights}


def _flat(rows: list[tuple[tuple[int, int], ...]]) -> Dict:
    """Rows of different lengths: all (n, l), and where each row begins."""
    nl = np.array([nl for row in rows for nl in row], dtype=np.int64).reshape(-1, 2)
    return {"first": np.cumsum([0, *map(len, rows)]), "nl": nl}


def build(data: Mapping[str, Any]) -> Model:
    """Make the model that `describe` described.

    Raises
    ------
    Exception
        Whatever the constructors raise when something is missing, of another kind or out of range.
    """
    _check_types(data)
    kind = data["kind"]
    if kind not in _BUILDERS:
        raise ValueError(f"kind of a model must be one of {', '.join(_BUILDERS)}, got {kind!r}")
    return _BUILDERS[kind](data)


def _build_ace_model(data: Mapping[str, Any]) -> ACEModel:
    layer = _build_ace(data["many_body"])
    pair = None if data["pair"] is None else _build_pair_model(data["pair"])
    return ACEModel(
        layer.rembed,
        layer.yembed,
        layer.basis,
        layer.readout,
        rcuts=data["rcuts"],
        pair_rembed=None if pair is None else pair.rembed,
        pair_readout=None if pair is None else pair.readout,
        pair_rcuts=data["pair_rcuts"],
        E0s=_energies(layer.elements, data["E0"]),
        zbl=None if data["zbl"] is None else _build_zbl(data["zbl"]),
    )


def _build_stack(data: Mapping[str, Any]) -> StackedCalculator:
    parts = [build(part) for part in data["components"]]
    return StackedCalculator(parts)


def _build_one_body(data: Mapping[str, Any]) -> ETOneBodyPotential:
    return ETOneBodyPotential(ETOneBody(_energies(data["elements"], data["E0"])))


def _build_pair(data: Mapping[str, Any]) -> ETPairPotential:
    return ETPairPotential(_build_pair_model(data), data["rcuts"])


def _build_many_body(data: Mapping[str, Any]) -> ETACEPotential:
    return ETACEPotential(_build_ace(data), data["rcuts"])


def _build_zbl(data: Mapping[str, Any]) -> ZBLPotential:
    return ZBLPotential(data["elements"], data["rcuts"])


def _build_pair_model(data: Mapping[str, Any]) -> ETPairModel:
    return ETPairModel(*_build_part(data))


def _build_ace(data: Mapping[str, Any]) -> ETACE:
    rembed, readout = _build_part(data)
    yembed = from_dict(data["yembed"])
    return ETACE(rembed, yembed, _build_basis(data["basis"], rembed, yembed), readout)


def _build_part(data: Mapping[str, Any]) -> tuple[RadialEmbedding, SelectLinear]:
    spec: IntArray = data["rembed"]["spec"]
    rembed: RadialEmbedding = from_dict({**data["rembed"], "spec": spec.tolist()})
    weights: FloatArray = data["weights"]
    return rembed, SelectLinear(len(weights), rembed.elements, weights)


def _build_basis(data: Mapping[str, Any], rembed: RadialEmbedding, yembed: AngularEmbedding) -> SparseACEBasis:
    A_radial, A_angular, A2B, flat = data["A_radial"], data["A_angular"], data["A2B"], data["mb_spec"]
    n_m = [2 * l + 1 for _, l in rembed.spec]
    # so that the list of one-particle functions, which is filled up with all m, gets no longer than it is in the file
    if sum(n_m[k] for k in set(A_radial.tolist())) != len(A_radial) or A_angular.max(initial=0) >= len(yembed):
        raise ValueError("A_radial and A_angular must have every m of each radial function, up to lmax")
    nl, first = [tuple(row) for row in flat["nl"].tolist()], flat["first"].tolist()
    entries = [nl[start:stop] for start, stop in pairwise(first)]
    A2B_arrays = (A2B["indptr"], A2B["indices"], A2B["data"])
    return SparseACEBasis.from_arrays(A_radial, A_angular, data["products"], A2B_arrays, rembed.spec, entries)


def _check_types(value: Any, key: str = "model") -> None:
    """Raise ValueError if an array holds floats in place of integers or the other way round."""
    match value:
        case dict():
            for name, item in value.items():
                _check_types(item, name)
        case list():
            for item in value:
                _check_types(item, key)
        case np.ndarray() if (value.dtype.kind == "i") != (key in _INTEGERS):
            raise ValueError(f"{key} must not be an array of {value.dtype}")


def _energies(elements: Any, E0: FloatArray) -> dict[str, float]:
    return dict(zip(elements, E0.tolist(), strict=True))


_BUILDERS: dict[Any, Callable[[Mapping[str, Any]], Model]] = {
    "ace_model": _build_ace_model,
    "stack": _build_stack,
    "one_body": _build_one_body,
    "pair": _build_pair,
    "many_body": _build_many_body,
    "zbl": _build_zbl,
}
