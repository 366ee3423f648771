"""Linear parameters as one flat vector.

Within a component, function k of species index z stands at z · n_functions + k. Components follow one another in the
order of their stack; an `ACEModel` has the many-body functions of all species, then the pair functions.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import numpy.typing as npt

from .._types import FloatArray
from .base import Layer, Potential
from .model import ACEModel
from .readout import SelectLinear

M = TypeVar("M", bound=Layer | Potential | ACEModel)


def length_basis(model: Layer | Potential | ACEModel) -> int:
    """Return the number of linear parameters of a layer, potential, stack or model."""
    return sum(readout.n_parameters for readout in _readouts(model))


def get_linear_parameters(model: Layer | Potential | ACEModel) -> FloatArray:
    """Return a copy of the linear parameters (length_basis,) of a layer, potential, stack or model."""
    return np.concatenate([np.zeros(0), *(readout.weights.T.ravel() for readout in _readouts(model))])


def set_linear_parameters(model: M, theta: npt.ArrayLike) -> M:
    """Change the linear parameters in place.

    Parameters
    ----------
    model : layer, potential, stack or model
        Its readouts are changed. An ACEModel and the stack made of it have different orders.
    theta : array_like (length_basis,)
        New parameters.

    Returns
    -------
    The `model` itself.

    Raises
    ------
    ValueError
        If the length is wrong or a parameter is not finite; nothing is changed then.
    """
    theta = np.array(theta, dtype=np.float64)
    expected = length_basis(model)
    if theta.shape != (expected,):
        raise ValueError(f"theta must have length {expected}, got shape {theta.shape}")
    if not np.isfinite(theta).all():
        bad = int(np.flatnonzero(~np.isfinite(theta))[0])
        raise ValueError(f"theta must be finite, got {theta[bad]} at index {bad}")
    start = 0
    for readout in _readouts(model):
        stop = start + readout.n_parameters
        readout.set_weights(theta[start:stop].reshape(len(readout.elements), readout.n_functions).T)
        start = stop
    return model


def _readouts(model: object) -> tuple[SelectLinear, ...]:
    if not isinstance(model, Layer | Potential | ACEModel):
        raise TypeError(f"a {type(model).__name__} has no linear parameters")
    return model.readouts
