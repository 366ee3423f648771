"""Sum of potentials."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from ase.calculators.abc import GetPropertiesMixin

from .._types import FloatArray
from ..basis.polynomials import read_only
from .base import Layer, Potential
from .readout import SelectLinear


class StackedCalculator(Potential):
    """Sum of components, evaluated together on one set of edges.

    Parameters
    ----------
    components : iterable of potentials and ASE calculators
        Stacks among them are taken apart. An ASE calculator adds energy, forces and stress, and no basis functions.

    Attributes
    ----------
    components : tuple
        In the given order, which is also the order of the linear parameters.
    potentials : tuple of Potential
        The components that are not ASE calculators.
    ase_calculators : tuple
        The others.

    Raises
    ------
    TypeError
        If a component is something else.
    ValueError
        If no potential is among them, or no element is common to all.
    """

    def __init__(self, components: Iterable[Potential | GetPropertiesMixin]) -> None:
        if isinstance(components, Potential | GetPropertiesMixin):
            raise TypeError(f"components must be a sequence of potentials, got one {type(components).__name__}")
        self.components = tuple(part for item in components for part in _parts(item))
        self.potentials = tuple(part for part in self.components if isinstance(part, Potential))
        self.ase_calculators = tuple(part for part in self.components if not isinstance(part, Potential))
        if not self.potentials:
            raise ValueError(f"components must contain at least one potential of this package, got {self.components}")
        known = [set(part.elements) for part in self.potentials]
        self._elements = tuple(e for e in self.potentials[0].elements if all(e in elements for elements in known))
        if not self._elements:
            raise ValueError(f"components must have an element in common, got {[p.elements for p in self.potentials]}")

    def __repr__(self) -> str:
        return "StackedCalculator(\n" + "".join(f"    {part!r},\n" for part in self.components) + ")"

    @property
    def elements(self) -> tuple[str, ...]:
        """Symbols of the elements that every component knows, in the order of the first."""
        return self._elements

    @property
    def rcuts(self) -> FloatArray:  # type: ignore[override]
        """Largest cutoff (NZ, NZ) of any component for each species pair, in Å."""
        rcuts = []
        for part in self.potentials:
            index = [part.elements.index(element) for element in self._elements]
            rcuts.append(part.rcuts[np.ix_(index, index)])
        return read_only(np.max(rcuts, axis=0))

    @property
    def readouts(self) -> tuple[SelectLinear, ...]:
        """Readouts that hold the linear parameters, in their order."""
        return tuple(readout for part in self.potentials for readout in part.readouts)


def _parts(item: object) -> tuple[Potential | GetPropertiesMixin, ...]:
    if isinstance(item, StackedCalculator):
        return item.components
    if isinstance(item, Potential | GetPropertiesMixin):
        return (item,)
    hint = " (wrap the layer in its potential first)" if isinstance(item, Layer) else ""
    raise TypeError(f"a component must be a potential or an ASE calculator, got {type(item).__name__}{hint}")
