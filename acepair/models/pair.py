"""Pair potential, linear in radial functions."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy.typing as npt

from .._types import FloatArray
from ..basis.radial import RadialEmbedding
from .base import Layer, LayerPotential, check_readout, check_same_elements
from .readout import SelectLinear


@dataclass(frozen=True, eq=False)
class ETPairModel(Layer):
    """Site energy Σ_k weights[k, z_i] Σ_j R_k(r_ij; z_i, z_j).

    Parameters
    ----------
    rembed : RadialEmbedding
        Radial functions R_k.
    readout : SelectLinear
        With as many functions and the same elements.
    """

    rembed: RadialEmbedding
    readout: SelectLinear
    elements: tuple[str, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "elements", check_same_elements(rembed=self.rembed, readout=self.readout))
        check_readout(self.readout, len(self.rembed))

    @property
    def readouts(self) -> tuple[SelectLinear, ...]:
        """Readouts that hold the linear parameters, in their order."""
        return (self.readout,)


@dataclass(frozen=True, init=False, eq=False, repr=False)
class ETPairPotential(LayerPotential):
    """Pair model cut at `rcut`: a number or an array (NZ, NZ), in Å, species of the centre first.

    Where the radial functions do not vanish at `rcut`, energies jump.
    """

    layer: ETPairModel
    rcuts: FloatArray

    def __init__(self, layer: ETPairModel, rcut: npt.ArrayLike) -> None:
        self._set(ETPairModel, layer, rcut)
