"""Radial functions given as tables: what a file holds of an embedding made of Python callables."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from .._types import Dict, Elements, FloatArray
from ..elements import parse_elements
from .polynomials import read_only
from .radial import RadialEmbedding, _parse_spec
from .registry import register


@dataclass(frozen=True)
class _Fraction:
    """y = r/rcut."""

    rcut: float

    def __call__(self, r: npt.ArrayLike) -> FloatArray:
        return np.asarray(r, dtype=np.float64) / self.rcut

    def derivative(self, r: npt.ArrayLike) -> FloatArray:
        return np.full(np.shape(r), 1 / self.rcut)


@dataclass(frozen=True)
class _Step:
    """1 inside the cutoff, 0 outside."""

    rcut: float

    argument: ClassVar[Literal["r", "y"]] = "r"

    def __call__(self, r: npt.ArrayLike) -> FloatArray:
        return np.where(np.asarray(r, dtype=np.float64) < self.rcut, 1.0, 0.0)

    def derivative(self, r: npt.ArrayLike) -> FloatArray:
        return np.zeros(np.shape(r))


@register("tabulated_radial_embedding")
@dataclass(frozen=True, init=False, eq=False, repr=False)
class TabulatedRadialEmbedding(RadialEmbedding):
    """Radial functions as piecewise polynomials of r, for every ordered pair of species.

    Unlike other embeddings it has no `polynomials`, and neither weights nor anything else to change.

    Parameters
    ----------
    table : array_like (NZ, NZ, n_intervals, degree + 1, n_nl)
        Coefficients of powers of t ∈ [0, 1) in each of the uniform intervals of r ∈ [0, cutoff]; species of the centre
        first.
    cutoffs : array_like (NZ, NZ)
        Where the tables end (Å); the functions are zero from there on.
    spec : iterable of (n, l)
        As in `RadialEmbedding`.
    elements : elements
        Symbols or atomic numbers; their order defines the species indices.

    Raises
    ------
    ValueError, TypeError
        If the parts do not fit together or a number is not finite.
    """

    table: FloatArray

    def __init__(
        self, table: npt.ArrayLike, cutoffs: npt.ArrayLike, spec: Iterable[object], elements: Elements
    ) -> None:
        table, cutoffs, symbols = read_only(table), read_only(cutoffs), parse_elements(elements)
        parsed = _parse_spec(spec)
        pairs = (len(symbols), len(symbols))
        if table.ndim != 5 or table.shape[:2] != pairs or table.shape[4] != len(parsed) or 0 in table.shape:
            raise ValueError(f"table must be {pairs} + (n_intervals, degree + 1, {len(parsed)}), got {table.shape}")
        if not np.isfinite(table).all():
            raise ValueError(f"table must be finite, got {table[~np.isfinite(table)][0]}")
        if cutoffs.shape != pairs or not (np.isfinite(cutoffs).all() and (cutoffs > 0).all()):
            raise ValueError(f"cutoffs must be {pairs} positive numbers (Å), got {cutoffs.tolist()}")
        fields = {
            "elements": symbols,
            "spec": parsed,
            "table": table,
            "transform": tuple(tuple(_Fraction(cut) for cut in row) for row in cutoffs.tolist()),
            "envelope": tuple(tuple(_Step(cut) for cut in row) for row in cutoffs.tolist()),
            "weights": None,
        }
        for name, value in fields.items():
            object.__setattr__(self, name, value)

    def __repr__(self) -> str:
        n_intervals, n_powers = self.table.shape[2:4]
        return (
            f"TabulatedRadialEmbedding({'-'.join(self.elements)}: {len(self)} functions (n, l), "
            f"{n_intervals} intervals of degree {n_powers - 1})"
        )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, TabulatedRadialEmbedding):
            return NotImplemented
        same = self.spec == other.spec and self.elements == other.elements and self.transform == other.transform
        return same and np.array_equal(self.table, other.table)

    def __hash__(self) -> int:
        return hash((self.spec, self.elements, self.table.tobytes()))

    def splinify(self, n_intervals: int = 99) -> RadialEmbedding:
        """Return the embedding unchanged: it is made of piecewise polynomials already."""
        return self

    def to_dict(self) -> Dict:
        """Return the parts, see `acepair.basis.registry`."""
        return {
            "kind": "tabulated_radial_embedding",
            "table": self.table,
            "cutoffs": self.rcut,
            "spec": [list(nl) for nl in self.spec],
            "elements": list(self.elements),
        }

    @classmethod
    def from_values(cls, **values: Any) -> TabulatedRadialEmbedding:
        """Build from the output of `to_dict`, without its "kind"."""
        return cls(**values)

    def _smooth(self, y: FloatArray, zi: int, zj: int, derivative: bool = False) -> FloatArray:
        """Value of the tables at y = r/rcut, or the derivative in y."""
        table = self.table[zi, zj]
        n_intervals, n_powers = table.shape[:2]
        position = y * n_intervals
        interval = np.clip(np.floor(position).astype(np.intp), 0, n_intervals - 1)
        t = (position - interval)[:, None]
        value, slope = np.zeros((2, len(y), len(self)))
        for power in range(n_powers - 1, -1, -1):
            slope = slope * t + value
            value = value * t + table[interval, power]
        return n_intervals * slope if derivative else value
