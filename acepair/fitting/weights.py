"""Weights of energies (E), forces (F) and virials (V) by configuration type."""

from __future__ import annotations

import difflib
import numbers
import warnings
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

Weights = Mapping[str, Mapping[str, float]]

QUANTITIES = ("E", "F", "V")
DEFAULT_WEIGHTS: Weights = {"default": {"E": 30.0, "F": 1.0, "V": 1.0}}  #: those of ACEpotentials' `acefit!`


def check_weights(weights: Weights | None, types: Iterable[str] = ()) -> dict[str, dict[str, float]]:
    """Return weights by lower-case configuration type, checked; those of ACEpotentials if None.

    Parameters
    ----------
    weights : mapping of mappings
        Configuration type (without case, or "default") to {"E": , "F": , "V": }; what is not given is 1.
    types : iterable of str
        Types there are in the data. A type that is none of them is warned about: it may be misspelt.

    Raises
    ------
    ValueError
        For other keys than E, F and V, and for weights that are negative or not finite.
    """
    if not isinstance(weights, Mapping | None):
        raise TypeError(f"weights must be a mapping of configuration types to mappings, got {weights!r}")
    checked: dict[str, dict[str, float]] = {}
    for name, values in (DEFAULT_WEIGHTS if weights is None else weights).items():
        if not isinstance(values, Mapping):
            raise TypeError(f"weights of {name!r} must be a mapping like {{'E': 30, 'F': 1, 'V': 1}}, got {values!r}")
        for key, value in values.items():
            if key not in QUANTITIES:
                raise ValueError(f"weights of {name!r} must be for E, F or V, got {key!r}")
            check_weight(f"weight {key} of {name!r}", value)
        if str(name).lower() in checked:
            raise ValueError(f"weights of {name!r} must be given once; types are compared without case")
        checked[str(name).lower()] = dict.fromkeys(QUANTITIES, 1.0) | {k: float(v) for k, v in values.items()}
    known = {t.lower(): t for t in types}
    for name in checked.keys() - known.keys() - {"default"} if known else ():
        near = difflib.get_close_matches(name, known, n=1, cutoff=0)
        hint = f"; the nearest type is {known[near[0]]!r}" if near else ""
        warnings.warn(f"weights for {name!r} have no effect: no configuration has this type{hint}", stacklevel=3)
    return checked


def check_weight(name: str, value: Any) -> float:
    """Return a weight, or a factor on one, as a float; refuse what is negative or not finite."""
    weight = float(value) if isinstance(value, numbers.Real) and not isinstance(value, bool) else np.nan
    if not (np.isfinite(weight) and weight >= 0):
        raise ValueError(f"{name} must be finite and not negative, got {value!r}")
    return weight


def weights_of(config_type: str, checked: Mapping[str, Mapping[str, float]]) -> Mapping[str, float]:
    """Return the weights of a configuration type: its own, else those of "default", else 1."""
    own = checked.get(config_type.lower())
    return own if own is not None else checked.get("default", dict.fromkeys(QUANTITIES, 1.0))
