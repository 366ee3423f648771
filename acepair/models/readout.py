"""Linear readout: basis values to site energies, one weight vector per species of the centre."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .._types import Elements, FloatArray, IntArray
from ..basis.polynomials import read_only
from ..elements import numbers_of, parse_elements


class SelectLinear:
    """Site energy Σ_k weights[k, z] B_k of a centre of species z.

    Parameters
    ----------
    n_functions : int
        Number of basis functions.
    elements : elements
        Symbols or atomic numbers; their order defines the species indices.
    weights : array_like (n_functions, NZ), optional
        eV per unit of the basis functions. Normally distributed with standard deviation sqrt(2/(n_functions + 1))
        unless given.
    seed : int, optional
        Of the random weights; 0 unless given.

    Attributes
    ----------
    version : int
        Grows by one whenever the weights are replaced, so that what was derived from them can be refreshed.
    """

    def __init__(
        self, n_functions: int, elements: Elements, weights: npt.ArrayLike | None = None, *, seed: int | None = None
    ) -> None:
        if isinstance(n_functions, bool) or n_functions != int(n_functions) or n_functions < 1:
            raise ValueError(f"n_functions must be an integer of at least 1, got {n_functions!r}")
        self.n_functions = int(n_functions)
        self.elements = parse_elements(elements)
        self.version = 0
        if weights is None:
            scale = np.sqrt(2 / (self.n_functions + 1))
            weights = scale * np.random.default_rng(seed or 0).standard_normal(self.shape)
        self._weights = self._checked(weights)

    def __repr__(self) -> str:
        return f"SelectLinear({self.n_functions}, {self.elements}: {self.n_parameters} parameters)"

    def __getstate__(self) -> dict[str, object]:
        return dict(self.__dict__)

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(state)
        self._weights.setflags(write=False)  # NumPy's pickles and copies are writable

    @property
    def shape(self) -> tuple[int, int]:
        """Shape of the weights, (n_functions, NZ)."""
        return self.n_functions, len(self.elements)

    @property
    def n_parameters(self) -> int:
        """Number of weights."""
        return self.n_functions * len(self.elements)

    @property
    def numbers(self) -> IntArray:
        """Atomic numbers (NZ,)."""
        return numbers_of(self.elements)

    @property
    def weights(self) -> FloatArray:
        """Weights (n_functions, NZ), read-only; see `set_weights`."""
        return self._weights

    def set_weights(self, weights: npt.ArrayLike) -> None:
        """Replace the weights and increase `version`.

        Raises
        ------
        ValueError
            If the shape is not (n_functions, NZ) or a value is not finite.
        """
        self._weights = self._checked(weights)
        self.version += 1

    def copy(self) -> SelectLinear:
        """Return an independent readout with the same weights."""
        return SelectLinear(self.n_functions, self.elements, self._weights)

    def _checked(self, weights: npt.ArrayLike) -> FloatArray:
        array = read_only(weights)
        if array.shape != self.shape:
            raise ValueError(f"weights must have shape (n_functions, NZ) = {self.shape}, got {array.shape}")
        if not np.isfinite(array).all():
            raise ValueError(f"weights must be finite, got {array[~np.isfinite(array)][0]}")
        return array
