"""Default length scales and tables of distances per species pair."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
import numpy.typing as npt

from .._types import Elements, FloatArray
from ..elements import parse_elements, symbol

Key = tuple[str | int, str | int]
Distances = float | Mapping[Key, float] | npt.ArrayLike  #: one for all pairs, per named pair, or (NZ, NZ), in Å


class RIn0Cut(NamedTuple):
    """Radii (Å) of one species pair's radial functions."""

    rin: float  #: inner radius, where the transform starts
    r0: float  #: length scale, typically a bond length
    rcut: float  #: cutoff


@cache
def _bond_lengths() -> dict[str, float]:
    table: dict[str, float] = json.loads(Path(__file__).with_name("bond_lengths.json").read_text(encoding="utf-8"))
    return table


def bond_lengths(elements: Elements) -> FloatArray:
    """Return typical bond lengths (NZ, NZ) in Å: means of the two elements' tabulated values.

    Raises
    ------
    ValueError
        If the table lacks an element; r0 must be given then.
    """
    symbols, table = parse_elements(elements), _bond_lengths()
    missing = [s for s in symbols if s not in table]
    if missing:
        raise ValueError(
            f"no typical bond length of {', '.join(missing)} is tabulated; give r0 (ace_model: rin0cuts) in Å"
        )
    lengths = np.array([table[s] for s in symbols], dtype=np.float64)
    return (lengths[:, None] + lengths) / 2


def default_rin0cuts(elements: Elements, *, rcut_factor: float = 2.5) -> tuple[tuple[RIn0Cut, ...], ...]:
    """Return radii (NZ, NZ) as `ace_model` uses them: rin = 0, r0 the bond length, rcut = 2.5 r0."""
    return tuple(
        tuple(RIn0Cut(0.0, float(r0), float(rcut_factor * r0)) for r0 in row) for row in bond_lengths(elements)
    )


def pair_table(values: Distances, elements: tuple[str, ...], name: str) -> FloatArray:
    """Write distances of species pairs as an array (NZ, NZ).

    Parameters
    ----------
    values : float, mapping or array_like (NZ, NZ)
        A mapping is keyed by pairs of symbols or atomic numbers; one order of a pair serves for both.
    elements : tuple of str
        Symbols.
    name : str
        What an error message calls it.
    """
    shape = (len(elements), len(elements))
    if isinstance(values, Mapping):
        return np.array(from_pairs(values, elements, name), dtype=np.float64)
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise ValueError(f"{name} must be a number, a mapping of pairs or an array {shape}, got {values!r}") from None
    if array.shape not in ((), shape):
        raise ValueError(f"{name} must be a number, a mapping of pairs or an array {shape}, got shape {array.shape}")
    return np.array(np.broadcast_to(array, shape))


def from_pairs(values: Mapping[Any, Any], elements: tuple[str, ...], name: str) -> list[list[Any]]:
    """Write a mapping of species pairs as nested lists NZ × NZ; one order of a pair serves for both."""
    table: dict[tuple[str, str], Any] = {}
    for key, value in values.items():
        if isinstance(key, str) or not isinstance(key, Sequence) or len(key) != 2:
            raise ValueError(f"{name} must be keyed by pairs of elements, got {key!r}")
        table[symbol(key[0]), symbol(key[1])] = value
    rows: list[list[Any]] = []
    for a in elements:
        missing = [b for b in elements if (a, b) not in table and (b, a) not in table]
        if missing:
            raise ValueError(f"{name} must be given for every pair, got none for {a}-{missing[0]}")
        rows.append([table.get((a, b), table.get((b, a))) for b in elements])
    return rows


def radii(rin0cuts: Any, rcut: Distances | None, symbols: tuple[str, ...]) -> tuple[FloatArray, ...]:
    """Return rin, r0, rcut, each (NZ, NZ)."""
    if isinstance(rin0cuts, str):
        if rin0cuts != "auto":
            raise ValueError(f"rin0cuts must be 'auto' or radii (rin, r0, rcut) per pair, got {rin0cuts!r}")
        rin0cuts = default_rin0cuts(symbols)
    elif isinstance(rin0cuts, Mapping):
        rin0cuts = from_pairs(rin0cuts, symbols, "rin0cuts")
    nz = len(symbols)
    rows = [[_triple(item) for item in row] for row in rin0cuts]
    if len(rows) != nz or any(len(row) != nz for row in rows):
        raise ValueError(f"rin0cuts must be {nz} x {nz} for {nz} elements, got rows of {[len(row) for row in rows]}")
    rin, r0, own = np.moveaxis(np.array(rows, dtype=np.float64), -1, 0)
    return rin, r0, own if rcut is None else pair_table(rcut, symbols, "rcut")


def _triple(item: Any) -> tuple[float, float, float]:
    """Read (rin, r0, rcut), given in this order or by name."""
    try:
        rin, r0, rcut = (item[k] for k in ("rin", "r0", "rcut")) if isinstance(item, Mapping) else item
        return float(rin), float(r0), float(rcut)
    except (TypeError, ValueError, KeyError):
        raise ValueError(f"rin0cuts must hold (rin, r0, rcut) in Å for every pair, got {item!r}") from None


def cutoffs(
    rcut: Distances | tuple[str, float], r0: FloatArray, symbols: tuple[str, ...], variable: bool, name: str
) -> FloatArray:
    """Return cutoffs (NZ, NZ); the largest for all pairs unless they may vary."""
    if isinstance(rcut, tuple) and len(rcut) == 2 and isinstance(rcut[0], str):
        if rcut[0] != "bondlen":
            raise ValueError(f"{name} must be ('bondlen', factor), a number or per pair (Å), got {rcut!r}")
        table = float(rcut[1]) * r0
    else:
        table = pair_table(cast(Distances, rcut), symbols, name)
    return table if variable else np.full_like(table, table.max())
