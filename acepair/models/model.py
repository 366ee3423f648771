"""Model as users declare and fit it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy.typing as npt

from .._types import FloatArray, IntArray
from ..basis.angular import AngularEmbedding
from ..basis.many_body import SparseACEBasis
from ..basis.radial import RadialEmbedding
from ..elements import numbers_of
from .ace import ETACE
from .base import parse_rcuts
from .onebody import ETOneBody
from .pair import ETPairModel
from .readout import SelectLinear
from .zbl import ZBLPotential

if TYPE_CHECKING:
    from .stacked import StackedCalculator


@dataclass(frozen=True, eq=False, init=False, repr=False)
class ACEModel:
    """One-body + pair + many-body (+ ZBL) model: its declaration and its parameters.

    `ace_model` and `ace1_model` make one with sensible defaults.

    Parameters
    ----------
    rembed, yembed, basis, readout
        Many-body part, see `ETACE`.
    pair_rembed, pair_readout
        Pair part, see `ETPairModel`; both None for none.
    E0s : mapping, optional
        Element to one-body energy (eV), for every element; 0 unless given.
    rcuts, pair_rcuts : float or array_like (NZ, NZ)
        Cutoffs (Å) of the many-body and the pair part; those of the many-body part serve both unless given.
    zbl : ZBLPotential, optional
        Nuclear repulsion.
    """

    rembed: RadialEmbedding
    yembed: AngularEmbedding
    basis: SparseACEBasis
    readout: SelectLinear
    pair_rembed: RadialEmbedding | None
    pair_readout: SelectLinear | None
    _E0s: dict[str, float]
    rcuts: FloatArray
    pair_rcuts: FloatArray
    zbl: ZBLPotential | None
    elements: tuple[str, ...] = field(repr=False)

    def __init__(
        self,
        rembed: RadialEmbedding,
        yembed: AngularEmbedding,
        basis: SparseACEBasis,
        readout: SelectLinear,
        *,
        rcuts: npt.ArrayLike,
        pair_rembed: RadialEmbedding | None = None,
        pair_readout: SelectLinear | None = None,
        pair_rcuts: npt.ArrayLike | None = None,
        E0s: Mapping[str, float] | Mapping[int, float] | None = None,
        zbl: ZBLPotential | None = None,
    ) -> None:
        elements = ETACE(rembed, yembed, basis, readout).elements  # checks that the parts fit
        if (pair_rembed is None) != (pair_readout is None):
            raise ValueError("pair_rembed and pair_readout must be given together")
        if pair_rembed is not None and pair_readout is not None:
            _check_elements(elements, pair=ETPairModel(pair_rembed, pair_readout).elements)
        if zbl is not None:
            _check_elements(elements, zbl=zbl.elements)
        values = {
            "rembed": rembed,
            "yembed": yembed,
            "basis": basis,
            "readout": readout,
            "pair_rembed": pair_rembed,
            "pair_readout": pair_readout,
            "_E0s": _all_energies(elements, E0s),
            "rcuts": parse_rcuts(rcuts, len(elements)),
            "pair_rcuts": parse_rcuts(rcuts if pair_rcuts is None else pair_rcuts, len(elements)),
            "zbl": zbl,
            "elements": elements,
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def __repr__(self) -> str:
        n_pair = len(self.pair_rembed) if self.pair_rembed is not None else 0
        return (
            f"ACEModel({', '.join(self.elements)}: {len(self.basis)} many-body and {n_pair} pair functions per "
            f"species, rcut={self.rcut}, E0s={self._E0s}{', ZBL' if self.zbl else ''})"
        )

    @property
    def E0s(self) -> Mapping[str, float]:
        """One-body energies (eV) by element, read-only."""
        return MappingProxyType(self._E0s)

    @property
    def numbers(self) -> IntArray:
        """Atomic numbers (NZ,) of the elements."""
        return numbers_of(self.elements)

    @property
    def rcut(self) -> float:
        """Largest cutoff (Å) of any part."""
        others = [self.pair_rcuts.max()] if self.pair_rembed is not None else []
        others += [self.zbl.rcut] if self.zbl is not None else []
        return float(max([self.rcuts.max(), *others]))

    @property
    def readouts(self) -> tuple[SelectLinear, ...]:
        """Readouts that hold the linear parameters: many-body, then pair."""
        return (self.readout,) if self.pair_readout is None else (self.readout, self.pair_readout)

    def to_calculator(self) -> StackedCalculator:
        """Return the stack of one-body, pair, many-body and ZBL potentials with parameters of its own."""
        from .convert import convert2et_full

        return convert2et_full(self)


def _check_elements(elements: tuple[str, ...], **parts: tuple[str, ...]) -> None:
    for name, found in parts.items():
        if found != elements:
            raise ValueError(f"the {name} part must have the elements {', '.join(elements)}, got {', '.join(found)}")


def _all_energies(elements: tuple[str, ...], E0s: Mapping[str, float] | Mapping[int, float] | None) -> dict[str, float]:
    """One-body energies in the order of the elements; every element must have one."""
    if E0s is None:
        return dict.fromkeys(elements, 0.0)
    given = ETOneBody(E0s).E0
    if set(given) != set(elements):
        raise ValueError(f"E0s must be given for {', '.join(elements)}, got {', '.join(given)}")
    return {element: given[element] for element in elements}
