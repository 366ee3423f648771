"""Many-body potential: linear atomic cluster expansion."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy.typing as npt

from .._types import FloatArray
from ..basis.angular import AngularEmbedding
from ..basis.many_body import SparseACEBasis
from ..basis.radial import RadialEmbedding
from .base import Layer, LayerPotential, check_readout, check_same_elements
from .readout import SelectLinear


@dataclass(frozen=True, eq=False)
class ETACE(Layer):
    """Site energy Σ_k weights[k, z_i] B_k with invariant products B_k of A_nlm = Σ_j R_nl Y_lm.

    Parameters
    ----------
    rembed : RadialEmbedding
        R_nl.
    yembed : AngularEmbedding
        Y_lm.
    basis : SparseACEBasis
        Made for the (n, l) list of `rembed`.
    readout : SelectLinear
        With len(basis) functions and the elements of `rembed`.
    """

    rembed: RadialEmbedding
    yembed: AngularEmbedding
    basis: SparseACEBasis
    readout: SelectLinear
    elements: tuple[str, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "elements", check_same_elements(rembed=self.rembed, readout=self.readout))
        check_readout(self.readout, len(self.basis))
        if self.basis.radial_spec != self.rembed.spec:
            raise ValueError(
                "basis must be made for the (n, l) list of rembed in the same order, "
                f"got {_short(self.basis.radial_spec)} for {_short(self.rembed.spec)}"
            )
        if self.basis.lmax > self.yembed.lmax:
            raise ValueError(f"lmax of yembed must be at least the basis' {self.basis.lmax}, got {self.yembed.lmax}")

    @property
    def readouts(self) -> tuple[SelectLinear, ...]:
        """Readouts that hold the linear parameters, in their order."""
        return (self.readout,)


@dataclass(frozen=True, init=False, eq=False, repr=False)
class ETACEPotential(LayerPotential):
    """Many-body model cut at `rcut`: a number or an array (NZ, NZ), in Å, species of the centre first.

    Where the radial functions do not vanish at `rcut`, energies jump.
    """

    layer: ETACE
    rcuts: FloatArray

    def __init__(self, layer: ETACE, rcut: npt.ArrayLike) -> None:
        self._set(ETACE, layer, rcut)


def _short(spec: tuple[tuple[int, int], ...]) -> str:
    return f"{len(spec)} functions {', '.join(map(str, spec[:3]))}, ..."
