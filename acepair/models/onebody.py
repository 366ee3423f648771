"""One-body energies: a constant per species."""

from __future__ import annotations

import numbers
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from .._types import FloatArray
from ..basis.polynomials import read_only
from ..elements import by_symbol
from .base import Layer, LayerPotential


@dataclass(frozen=True, init=False, eq=False)
class ETOneBody(Layer):
    """Reference energy of each element. Needs no neighbors.

    Parameters
    ----------
    E0 : mapping
        Element (symbol or atomic number) to energy in eV; the order defines the species indices.

    Attributes
    ----------
    energies : ndarray (NZ,)
        In eV.
    """

    elements: tuple[str, ...]
    energies: FloatArray = field(repr=False)

    def __init__(self, E0: Mapping[str, float] | Mapping[int, float] | Mapping[str | int, float]) -> None:
        values = by_symbol(E0, "E0")
        if not values:
            raise ValueError("E0 must name at least one element, got none")
        for element, energy in values.items():
            if not (isinstance(energy, numbers.Real) and np.isfinite(energy)):
                raise ValueError(f"E0 of {element} must be finite (eV), got {energy!r}")
        object.__setattr__(self, "elements", tuple(values))
        object.__setattr__(self, "energies", read_only(list(values.values())))

    @property
    def E0(self) -> dict[str, float]:
        """Energies (eV) by symbol."""
        return {element: float(energy) for element, energy in zip(self.elements, self.energies, strict=True)}

    def __eq__(self, other: object) -> bool:
        return self.E0 == other.E0 and self.elements == other.elements if isinstance(other, ETOneBody) else False

    def __hash__(self) -> int:
        return hash(tuple(self.E0.items()))

    def __repr__(self) -> str:
        return f"ETOneBody({self.E0})"


@dataclass(frozen=True, eq=False, repr=False)
class ETOneBodyPotential(LayerPotential):
    """One-body energies as a potential; its cutoff is 0."""

    layer: ETOneBody
    rcuts: FloatArray = field(init=False)

    def __post_init__(self) -> None:
        if not isinstance(self.layer, ETOneBody):
            raise TypeError(f"layer must be an ETOneBody, got {type(self.layer).__name__}")
        n = len(self.layer.elements)
        object.__setattr__(self, "rcuts", read_only(np.zeros((n, n))))

    def __repr__(self) -> str:
        return f"ETOneBodyPotential({self.layer!r})"
