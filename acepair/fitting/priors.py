"""Smoothness priors: how strongly every function is held back, by its (n, l) lists.

The weighted design matrix is divided by a prior's diagonal column by column, solved, and the solution divided again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from .._types import FloatArray
from ..models.ace import ETACEPotential
from ..models.base import Potential
from ..models.model import ACEModel
from ..models.parameters import length_basis
from .problem import linear_potentials

Factors = tuple[tuple[int, int], ...]
_LARGEST_LOGARITHM = 700.0  # of a float: 709.78

Prior = str | npt.ArrayLike | Callable[[Any], npt.ArrayLike] | None


def algebraic_smoothness_prior(
    model: Potential | ACEModel, p: float = 4, *, wl: float = 2 / 3, wn: float = 1
) -> FloatArray:
    """Return Σ [(l/wl)^p + (n/wn)^p] over a function's factors, for every linear parameter (L,)."""
    return _diagonal(model, lambda nl: sum((l / wl) ** p + (n / wn) ** p for n, l in nl))


def exponential_smoothness_prior(model: Potential | ACEModel, *, wl: float = 2 / 3, wn: float = 1) -> FloatArray:
    """Return exp Σ (l/wl + n/wn) over a function's factors, e^700 at most, for every linear parameter (L,)."""
    return _exp(_diagonal(model, lambda nl: sum(l / wl + n / wn for n, l in nl)))


def gaussian_smoothness_prior(model: Potential | ACEModel, *, wl: float = 2**-0.5, wn: float = 2**-0.5) -> FloatArray:
    """Return exp Σ ((l/wl)² + (n/wn)²) over a function's factors, e^700 at most, for every linear parameter (L,)."""
    return _exp(_diagonal(model, lambda nl: sum((l / wl) ** 2 + (n / wn) ** 2 for n, l in nl)))


#: by the names that run files and `fit` take
PRIORS: dict[str, Callable[..., FloatArray]] = {
    "algebraic": algebraic_smoothness_prior,
    "exponential": exponential_smoothness_prior,
    "gaussian": gaussian_smoothness_prior,
}


def prior_diagonal(prior: Prior, model: Potential | ACEModel) -> FloatArray:
    """Return the diagonal (L,) of a prior given by name, as an array, a function of the model, or None for no prior."""
    if isinstance(prior, str):
        prior = prior_by_name(prior)
    if prior is None:
        return np.ones(length_basis(model))
    diagonal = np.array(prior(model) if callable(prior) else prior, dtype=np.float64)
    if diagonal.shape != (length_basis(model),):
        raise ValueError(f"prior must have length {length_basis(model)}, got shape {diagonal.shape}")
    if not (np.isfinite(diagonal).all() and (diagonal > 0).all()):
        bad = diagonal[~(np.isfinite(diagonal) & (diagonal > 0))][0]
        raise ValueError(f"prior must be finite and positive, got {bad}")
    return diagonal


def prior_by_name(name: str) -> Callable[..., FloatArray] | None:
    """Return a prior; None for "none"."""
    if name.lower() == "none":
        return None
    if name.lower() not in PRIORS:
        raise ValueError(f"prior must be one of {', '.join(PRIORS)}, none, got {name!r}")
    return PRIORS[name.lower()]


def _exp(logarithms: FloatArray) -> FloatArray:
    """Return the exponential where it does not overflow; a function held back by e^700 has no parameter anyway."""
    bounded: FloatArray = np.exp(np.minimum(logarithms, _LARGEST_LOGARITHM))
    return bounded


def _diagonal(model: Potential | ACEModel, value: Callable[[Factors], Any]) -> FloatArray:
    parts = [np.zeros(0)]
    for potential in linear_potentials(model):
        layer = potential.layer
        if isinstance(potential, ETACEPotential):
            functions = potential.layer.basis.coupling.mb_spec_of_B
        else:
            functions = [(nl,) for nl in layer.rembed.spec]
        parts += [np.array([value(tuple(nl)) for nl in functions], dtype=np.float64)] * len(layer.elements)
    return np.concatenate(parts)
