"""Products of one-particle functions and the sparse matrix A2B that combines them into invariant functions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from .._types import FloatArray, IntArray
from .invariants import Block, Pattern, invariant_block
from .selection import NL, as_nl

_Array = TypeVar("_Array", bound=npt.NDArray[Any])


class CSR(NamedTuple):
    """Sparse matrix by rows: row i holds `data[indptr[i]:indptr[i + 1]]` in the columns `indices[...]`, ascending."""

    indptr: IntArray
    indices: IntArray
    data: FloatArray

    @classmethod
    def from_triples(cls, rows: IntArray, columns: IntArray, values: FloatArray, n_rows: int) -> CSR:
        """Sort entries given by row, column and value; no place may be given twice."""
        by_row = np.lexsort((columns, rows))
        indptr = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=n_rows))]).astype(np.int64)
        return cls(indptr, columns[by_row].astype(np.int64), values[by_row].astype(np.float64))

    def to_dense(self, n_columns: int) -> FloatArray:
        """Return the full matrix (n_rows, n_columns)."""
        dense = np.zeros((len(self.indptr) - 1, n_columns))
        dense[np.repeat(np.arange(len(dense)), np.diff(self.indptr)), self.indices] = self.data
        return dense


@dataclass(frozen=True, eq=False)
class Coupling:
    """Products of one-particle functions and their invariant combinations, B = A2B · AA.

    Attributes
    ----------
    A_spec : (n_A, 3) int
        (n, l, m) of each one-particle function, sorted by (l, n, m); every (n, l) has all its m.
    products : tuple of (n_AA_ν, ν) int, ν = 1, 2, ...
        The rows of A_spec that each product multiplies, ascending.
    A2B : CSR
        (n_B, n_AA) coefficients over the products of all orders, one order after the other.
    n_B : int
        Number of invariant functions.
    mb_spec_of_B : list of tuple of (n, l)
        The entry of the many-body specification that each function belongs to.
    """

    A_spec: IntArray
    products: tuple[IntArray, ...]
    A2B: CSR
    n_B: int
    mb_spec_of_B: list[tuple[NL, ...]]

    def __post_init__(self) -> None:
        object.__setattr__(self, "A_spec", _read_only(self.A_spec))
        object.__setattr__(self, "products", tuple(_read_only(rows) for rows in self.products))
        indptr, indices, data = self.A2B
        object.__setattr__(self, "A2B", CSR(_read_only(indptr), _read_only(indices), _read_only(data)))

    @property
    def n_AA(self) -> int:
        """Number of products of all orders."""
        return sum(len(rows) for rows in self.products)


def couple(mb_spec: Iterable[Iterable[object]]) -> Coupling:
    """Find all invariant functions of the given (n, l) multisets.

    The functions of one multiset span all polynomials in its A_{n l m} that rotation and inversion leave unchanged.
    They are orthonormal over products of *complex* harmonics with sorted m, as in ACEpotentials, and the largest
    coefficient of each is positive. A multiset without such a function (one factor with l > 0, an odd sum of l, ...)
    contributes none, and products that no function contains do not appear.

    Parameters
    ----------
    mb_spec : iterable of iterable of (n, l)
        Factors of each multiset, pairs or mappings with keys n and l. Functions follow its order; products are in
        lexicographic order of their rows of A_spec.

    Raises
    ------
    TypeError, ValueError
        If an entry is malformed, empty or given twice.
    """
    entries = as_mb_spec(mb_spec)
    groups = _group(entries)
    n_rows = np.zeros(len(entries), dtype=np.int64)
    for group in groups:
        n_rows[group.members] = len(group.block.rows)
    A_spec, offset = _one_particle_functions({nl for group in groups for entry in group.factors for nl in entry})
    order = max(map(len, entries), default=0)
    products, columns = _number_products([_instantiate(group, offset) for group in groups], order)
    A2B = _assemble(groups, columns, np.cumsum(n_rows) - n_rows, int(n_rows.sum()))
    mb_spec_of_B = [entry for entry, repeat in zip(entries, n_rows, strict=True) for _ in range(repeat)]
    return Coupling(A_spec, products, A2B, len(mb_spec_of_B), mb_spec_of_B)


def as_mb_spec(mb_spec: Iterable[Iterable[object]]) -> list[tuple[NL, ...]]:
    """Read a many-body specification as a list of tuples of (n, l).

    Raises
    ------
    TypeError, ValueError
        If an entry is malformed, empty or given twice.
    """
    entries: list[tuple[NL, ...]] = []
    seen: set[tuple[NL, ...]] = set()
    for k, raw in enumerate(mb_spec):
        entry = tuple(as_nl(factor, f"mb_spec[{k}]") for factor in raw)
        if not entry:
            raise ValueError(f"mb_spec[{k}] must have at least one factor, got none")
        multiset = tuple(sorted(entry))
        if multiset in seen:
            raise ValueError(f"mb_spec must name each multiset once, got {entry} again at position {k}")
        seen.add(multiset)
        entries.append(entry)
    return entries


class _Group(NamedTuple):
    """Multisets that share a block, with their factors in the order of the block."""

    block: Block
    members: list[int]  # positions in mb_spec
    factors: list[tuple[NL, ...]]


def _group(entries: Sequence[tuple[NL, ...]]) -> list[_Group]:
    """Collect the multisets of equal order and pattern; those without invariant functions are left out."""
    members: dict[tuple[int, Pattern], list[int]] = defaultdict(list)
    factors = [tuple(sorted(e, key=lambda nl: (nl[1], nl[1] and e.count(nl), nl[0]))) for e in entries]
    for k, entry in enumerate(factors):
        # Factors with l = 0 are invariant by themselves and never enter the pattern.
        pattern = tuple((nl[1], entry.count(nl)) for nl in dict.fromkeys(entry) if nl[1])
        members[len(entry), pattern].append(k)
    groups = [_Group(invariant_block(key[1]), ks, [factors[k] for k in ks]) for key, ks in members.items()]
    return [group for group in groups if len(group.block.rows)]


def _one_particle_functions(channels: set[NL]) -> tuple[IntArray, dict[NL, int]]:
    """List (n, l, m) of the channels, sorted by (l, n, m), and say which row has m = 0 of each channel."""
    ordered = sorted(channels, key=lambda nl: (nl[1], nl[0]))
    rows = np.array([(n, l, m) for n, l in ordered for m in range(-l, l + 1)], dtype=np.int64).reshape(-1, 3)
    return rows, dict(zip(ordered, np.flatnonzero(rows[:, 2] == 0).tolist(), strict=True))


def _instantiate(group: _Group, offset: dict[NL, int]) -> IntArray:
    """Products (n_multisets, n_products, ν) that the block stands for, as ascending rows of A_spec."""
    base = np.array([[offset[nl] for nl in entry] for entry in group.factors], dtype=np.int64)
    m = np.pad(group.block.m, ((0, 0), (base.shape[1] - group.block.m.shape[1], 0)))
    products: IntArray = np.sort(base[:, None, :] + m, axis=2)
    return products


def _number_products(groups: list[IntArray], order: int) -> tuple[tuple[IntArray, ...], list[IntArray]]:
    """Sort the products of each order and return the column of each product of each group.

    A product determines its multiset, so no two of them are equal.
    """
    products: list[IntArray] = []
    columns = [np.empty(group.shape[:2], dtype=np.int64) for group in groups]
    n_columns = 0
    for size in range(1, order + 1):
        mine = [g for g, group in enumerate(groups) if group.shape[2] == size]
        rows = np.concatenate([np.empty((0, size), dtype=np.int64), *(groups[g].reshape(-1, size) for g in mine)])
        by_rank = np.lexsort(rows.T[::-1])
        column = np.empty(len(rows), dtype=np.int64)
        column[by_rank] = np.arange(n_columns, n_columns + len(rows))
        stops = np.cumsum([columns[g].size for g in mine]).tolist()
        for g, stop in zip(mine, stops, strict=True):
            columns[g][:] = column[stop - columns[g].size : stop].reshape(columns[g].shape)
        products.append(rows[by_rank])
        n_columns += len(rows)
    return tuple(products), columns


def _assemble(groups: list[_Group], columns: list[IntArray], first_row: IntArray, n_rows: int) -> CSR:
    """Place the coefficients of all groups in one sparse matrix."""
    row, col, data = [np.empty(0, dtype=np.int64)], [np.empty(0, dtype=np.int64)], [np.empty(0)]
    for group, column in zip(groups, columns, strict=True):
        i, j = np.nonzero(group.block.rows)
        row.append((first_row[group.members, None] + i).ravel())
        col.append(column[:, j].ravel())
        data.append(np.tile(group.block.rows[i, j], len(group.members)))
    return CSR.from_triples(np.concatenate(row), np.concatenate(col), np.concatenate(data), n_rows)


def _read_only(array: _Array) -> _Array:
    view = array.view()
    view.flags.writeable = False
    return view
