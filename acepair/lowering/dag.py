"""The products of A as a graph of pairwise multiplications, built once per basis.

A product of order ν is the product of two shorter ones. Those that others are made of become *internal* nodes, which
the kernels store; the rest are *leaves*, which only the energy reads and nobody stores. Few internal nodes make a fast
kernel: a leaf costs two multiply-adds, an internal node four and memory traffic.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from .._types import IntArray
from ..plan import Dag

Product = tuple[int, ...]


def build_dag(n_A: int, products: Sequence[IntArray]) -> Dag:
    """Split every product into two shorter ones so that few internal nodes are needed.

    Parameters
    ----------
    n_A : int
        Number of one-particle functions.
    products : sequence of (n_AA_ν, ν) int
        Rows of indices into A, ascending in a row.
    """
    rows: list[Product] = [tuple(row) for group in products for row in np.asarray(group).tolist()]
    nodes = _Nodes(n_A, rows)
    # the longest products have the least choice: their parts are there when shorter ones look for theirs
    parts = {row: nodes.split(row) for row in sorted(rows, key=len, reverse=True) if len(row) > 1}
    leaves = [row for row in parts if row not in nodes.number]
    operands = [tuple(nodes.number[part] for part in parts[row]) for row in leaves]

    uses = Counter(itertools.chain.from_iterable(operands))
    paired = [(a, b) if (uses[a], a) >= (uses[b], b) else (b, a) for a, b in operands]
    order = sorted(range(len(leaves)), key=paired.__getitem__)
    leaf_parent = np.array([paired[k][0] for k in order], dtype=np.int32)
    group_parent, group_first = np.unique(leaf_parent, return_index=True)

    first_leaf = n_A + len(nodes.factors)
    place = dict(nodes.number)
    place.update((leaves[k], first_leaf + position) for position, k in enumerate(order))
    factors = np.array(nodes.factors, dtype=np.int32).reshape(-1, 2)
    return Dag(
        n_A=n_A,
        parent=np.ascontiguousarray(factors[:, 0]),
        factor=np.ascontiguousarray(factors[:, 1]),
        group_parent=group_parent.astype(np.int32),
        group_first=np.append(group_first, len(leaves)).astype(np.int32),
        leaf_factor=np.array([paired[k][1] for k in order], dtype=np.int32),
        place=np.array([place[row] for row in rows], dtype=np.int64),
    )


class _Nodes:
    """Internal nodes, made as products ask for them."""

    def __init__(self, n_A: int, rows: Sequence[Product]) -> None:
        self.number: dict[Product, int] = {(a,): a for a in range(n_A)}
        self.factors: list[tuple[int, int]] = []
        self.n_A = n_A
        self.rows = set(rows)
        # how many products a part could serve: parts in demand make better nodes
        self.demand: Counter[Product] = Counter()
        for row in rows:
            self.demand.update({part for split in _splits(row) for part in split if len(part) > 1})

    def split(self, row: Product) -> tuple[Product, Product]:
        """Choose two parts of a product and make nodes of them."""
        a, b = min(_splits(row), key=self._cost)
        self._add(a)
        self._add(b)
        return a, b

    def _cost(self, split: tuple[Product, Product]) -> tuple[int, int, int]:
        """Count the new nodes a split asks for; among equals prefer those that the basis has anyway, then demand."""
        missing = {part for part in split if part not in self.number}
        wanted = sum(part in self.rows for part in missing)
        return sum(len(part) - 1 for part in missing), -wanted, -sum(self.demand[part] for part in split)

    def _add(self, part: Product) -> None:
        if part not in self.number:
            a, b = self.split(part)
            self.factors.append((self.number[a], self.number[b]))
            self.number[part] = self.n_A + len(self.factors) - 1


def _splits(row: Product) -> Iterator[tuple[Product, Product]]:
    """All ways to cut a product in two, the larger part first, each once."""
    seen = set()
    n = len(row)
    for k in range(n // 2, 0, -1):
        for chosen in itertools.combinations(range(n), k):
            small = tuple(row[i] for i in chosen)
            large = tuple(row[i] for i in range(n) if i not in chosen)
            if (split := (large, small)) not in seen and (small, large) not in seen:
                seen.add(split)
                yield split
