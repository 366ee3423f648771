"""What the components of a model have in common."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from .._types import FloatArray, IntArray
from ..basis.polynomials import read_only
from ..elements import numbers_of
from .readout import SelectLinear

MAX_RCUT = 1e4  #: Å; far beyond any use, and before neighbour searches overflow


class Layer:
    """Part of a model that maps atoms and edges to site energies, without a cutoff of its own."""

    elements: tuple[str, ...]  #: symbols; their order defines the species indices

    @property
    def numbers(self) -> IntArray:
        """Atomic numbers (NZ,) of the elements."""
        return numbers_of(self.elements)

    @property
    def readouts(self) -> tuple[SelectLinear, ...]:
        """Readouts that hold the linear parameters, in their order."""
        return ()


#: what ASE asks calculators for
_ASE_METHODS = {"get_potential_energy", "get_forces", "get_stress", "get_property", "calculation_required"}


class Potential:
    """Component of a `StackedCalculator`: site energies from atoms within a cutoff per species pair."""

    def __getattr__(self, name: str) -> Any:
        """Tell those who use a potential as an ASE calculator how to."""
        if name in _ASE_METHODS:
            message = f"a {type(self).__name__} is no ASE calculator; wrap it: atoms.calc = ACECalculator(model)"
            raise AttributeError(message, name=name)
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}", name=name, obj=self)

    rcuts: FloatArray  #: cutoff (NZ, NZ) in Å, species of the centre first

    @property
    def elements(self) -> tuple[str, ...]:
        """Symbols of the elements; their order defines the species indices."""
        raise NotImplementedError

    @property
    def numbers(self) -> IntArray:
        """Atomic numbers (NZ,) of the elements."""
        return numbers_of(self.elements)

    @property
    def rcut(self) -> float:
        """Largest cutoff (Å)."""
        return float(self.rcuts.max())

    @property
    def readouts(self) -> tuple[SelectLinear, ...]:
        """Readouts that hold the linear parameters, in their order."""
        return ()


class LayerPotential(Potential):
    """Potential made of a layer and cutoffs."""

    layer: Any

    def _set(self, kind: type[Layer], layer: Any, rcut: npt.ArrayLike) -> None:
        """Fill the fields of a frozen subclass whose layers are of one kind."""
        if not isinstance(layer, kind):
            raise TypeError(f"layer must be an {kind.__name__}, got {type(layer).__name__}")
        object.__setattr__(self, "layer", layer)
        object.__setattr__(self, "rcuts", parse_rcuts(rcut, len(layer.elements)))

    @property
    def elements(self) -> tuple[str, ...]:
        """Symbols of the elements; their order defines the species indices."""
        elements: tuple[str, ...] = self.layer.elements
        return elements

    @property
    def readouts(self) -> tuple[SelectLinear, ...]:
        """Readouts that hold the linear parameters, in their order."""
        readouts: tuple[SelectLinear, ...] = self.layer.readouts
        return readouts

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.layer!r}, rcut={_short(self.rcuts)})"


def parse_rcuts(rcut: npt.ArrayLike, n_elements: int) -> FloatArray:
    """Turn a cutoff, one for all or (NZ, NZ), into a read-only array (NZ, NZ).

    Raises
    ------
    ValueError
        If the shape is another or a cutoff is not within 0 and 1e4 Å.
    """
    array = np.asarray(rcut, dtype=np.float64)
    shape = (n_elements, n_elements)
    if array.shape not in ((), shape):
        raise ValueError(f"rcut must be a number or an array {shape} (Å), got shape {array.shape}")
    if not ((array > 0) & (array <= MAX_RCUT)).all():
        raise ValueError(f"rcut must be positive and at most {MAX_RCUT:g} Å, got {_short(array)}")
    return read_only(np.broadcast_to(array, shape))


def check_same_elements(**parts: Any) -> tuple[str, ...]:
    """Return the elements that all parts share.

    Raises
    ------
    ValueError
        If they differ, in kind or in order.
    """
    found = {name: part.elements for name, part in parts.items()}
    if len(set(found.values())) > 1:
        listed = "; ".join(f"{name}: {', '.join(elements)}" for name, elements in found.items())
        raise ValueError(f"the parts must have the same elements in the same order, got {listed}")
    return next(iter(found.values()))


def check_readout(readout: SelectLinear, n_functions: int) -> None:
    """Raise ValueError if a readout is made for another number of functions."""
    if readout.n_functions != n_functions:
        raise ValueError(f"readout must have {n_functions} functions as the basis, got {readout.n_functions}")


def _short(rcuts: FloatArray) -> str:
    return str(rcuts.flat[0]) if (rcuts == rcuts.flat[0]).all() else str(rcuts.tolist())
