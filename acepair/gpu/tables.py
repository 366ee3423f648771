"""A plan as the GPU kernels read it: what they gather instead of scatter, level by level, with functions innermost."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from .._types import FloatArray, Int32Array, IntArray
from ..plan import Dag, Plan, RadialPlan, int32


@dataclass(frozen=True, eq=False, kw_only=True)
class Channels:
    """The pairs (l, radial function) that are summed, by l: the same for all species pairs; some may lack one."""

    first: Int32Array  #: (lmax + 2,) channels of each l
    function: Int32Array  #: (n_channels,)
    sum: Int32Array  #: (n_pairs, n_channels) first sum of the channel, −1 where it vanishes
    #: (n_channels,) how far from the first channel of its l that is, −1 if that is not the same for all species pairs
    offset: Int32Array
    run_first: Int32Array  #: (lmax + 2,) runs of each l: their 2 l + 1 sums
    run_sum: Int32Array  #: (n_runs,) the first of them
    run_function: Int32Array  #: (n_pairs, n_runs) the radial function, −1 where the sums vanish


@dataclass(frozen=True, eq=False, kw_only=True)
class Products:
    """The graph of products, ordered for kernels that gather: see kernels/products.cu.

    Stored nodes are A and the internal nodes. Level 0 is A; a product is one level above the higher of its factors. A
    row is what one stored node's adjoint is made of. Rows come by level, the highest first, and then the longest.
    """

    n_A: int
    product_first: Int32Array  #: (n_levels + 1,)
    product: Int32Array  #: (n_internal, 4) node, parent, factor, 0; by level
    row_first: Int32Array  #: (n_levels + 2,)
    row_node: Int32Array  #: (n_stored,)
    leaf_first: Int32Array  #: (n_stored + 1,)
    leaf_other: Int32Array  #: (n_leaf_terms,) the other factor
    leaf_coefficient: FloatArray  #: (NZ, n_leaf_terms)
    use_first: Int32Array  #: (n_stored + 1,)
    use: Int32Array  #: (n_uses, 2) internal node, counted from 0, and its other factor
    node_coefficient: FloatArray  #: (NZ, n_stored)

    @property
    def n_levels(self) -> int:
        """Levels above A."""
        return len(self.product_first) - 1

    @property
    def n_stored(self) -> int:
        """Nodes kept: A and internal ones."""
        return len(self.row_node)

    @property
    def n_internal(self) -> int:
        """Products that others are made of."""
        return len(self.product)


def permuted(plan: Plan, elements: tuple[str, ...]) -> Plan:
    """Return a plan for some of its species, in the given order."""
    if elements == plan.elements:
        return plan
    order = np.array([plan.elements.index(element) for element in elements], dtype=np.int64)
    pairs = (order[:, None] * len(plan.elements) + order).ravel()
    n_l = plan.lmax + 1
    runs = [
        plan.runs[plan.run_first[pair * n_l + l] : plan.run_first[pair * n_l + l + 1]]
        for pair in pairs
        for l in range(n_l)
    ]
    return replace(
        plan,
        elements=elements,
        E0=plan.E0[order],
        rcut=plan.rcut[pairs],
        pair_terms=tuple(_permuted_radial(term, pairs) for term in plan.pair_terms),
        radial=None if plan.radial is None else _permuted_radial(plan.radial, pairs),
        runs=np.concatenate(runs) if runs else plan.runs,
        run_first=int32(np.cumsum([0, *map(len, runs)])),
        coefficients=plan.coefficients[order],
    )


def _permuted_radial(radial: RadialPlan, pairs: IntArray) -> RadialPlan:
    def of_pairs(array: Any) -> Any:
        return array[pairs] if len(array) else array

    return replace(
        radial,
        transform=radial.transform[pairs],
        envelope=radial.envelope[pairs],
        rcut=radial.rcut[pairs],
        weights=of_pairs(radial.weights),
        table=of_pairs(radial.table),
    )


def padded_weights(weights: FloatArray, real: np.dtype[Any]) -> npt.NDArray[Any]:
    """Return weights of a series, the last axis filled up with zeros to whole 16 bytes."""
    missing = -weights.shape[-1] % (16 // real.itemsize)
    return np.pad(weights, ((0, 0), (0, 0), (0, missing))).astype(real)


def make_channels(plan: Plan) -> Channels:
    """Find the channels of the runs of a plan whose A are the sums: `Sums.edges`."""
    n_l, n_pairs = plan.lmax + 1, len(plan.rcut)
    runs = [
        [plan.runs[plan.run_first[p * n_l + l] : plan.run_first[p * n_l + l + 1]].tolist() for l in range(n_l)]
        for p in range(n_pairs)
    ]
    first, function = [0], []
    first_sum = np.full((n_pairs, 0), -1, dtype=np.int32)
    run_sums: list[list[int]] = []  # by l
    for l in range(n_l):
        for f in sorted({f for of_pair in runs for f, _ in of_pair[l]}):
            # one function may serve several sums of a pair
            served = [[a for g, a in of_pair[l] if g == f] for of_pair in runs]
            many = max(map(len, served))
            function += [f] * many
            columns = np.array([a + [-1] * (many - len(a)) for a in served], dtype=np.int32)
            first_sum = np.concatenate((first_sum, columns), axis=1)
        first.append(len(function))
        run_sums.append(sorted({a for of_pair in runs for _, a in of_pair[l]}))
    if run_sums:  # sums to which nothing adds are runs of l = 0: they must become zero
        summed = {a + m for l, of_l in enumerate(run_sums) for a in of_l for m in range(2 * l + 1)}
        run_sums[0] += sorted(set(range(plan.n_A)) - summed)
    run_sum = [a for of_l in run_sums for a in of_l]
    of_run = [{a: f for of_l in of_pair for f, a in of_l} for of_pair in runs]
    run_function = [[functions.get(a, -1) for a in run_sum] for functions in of_run]
    return Channels(
        first=int32(first),
        function=int32(function),
        sum=np.ascontiguousarray(first_sum),
        offset=_offsets(first_sum, first),
        run_first=int32(np.cumsum([0, *map(len, run_sums)])),
        run_sum=int32(run_sum),
        run_function=int32(run_function).reshape(n_pairs, -1),
    )


def _offsets(first_sum: Int32Array, first: list[int]) -> Int32Array:
    """Distance of each channel's sum from the first of its l; −1 unless all species pairs agree.

    Where they do, kernels need not look it up.
    """
    offsets = np.full(first_sum.shape[1], -1)
    for begin, end in pairwise(first):
        of_l = first_sum[:, begin:end]
        there = of_l[(of_l >= 0).any(axis=1)]  # pairs that have channels of this l
        differences = there - there[:, :1]
        if len(there) and (there >= 0).all() and (differences >= 0).all() and (differences == differences[0]).all():
            offsets[begin:end] = differences[0]
    return int32(offsets)


def make_products(dag: Dag, coefficients: FloatArray) -> Products:
    """Order a graph of products by levels and rows; `coefficients` are the plan's (NZ, dag.size)."""
    n_A, n_internal = dag.n_A, len(dag.parent)
    n_stored = n_A + n_internal
    level = np.zeros(n_stored, dtype=np.int64)
    for k, (p, f) in enumerate(zip(dag.parent.tolist(), dag.factor.tolist(), strict=True)):
        level[n_A + k] = 1 + max(level[p], level[f])
    n_levels = int(level.max(initial=0))
    by_level = np.argsort(level[n_A:], kind="stable")
    product_first = np.searchsorted(level[n_A:][by_level], np.arange(1, n_levels + 2))

    leaf_parent = np.repeat(dag.group_parent, np.diff(dag.group_first)).astype(np.int64)
    leaf_factor = dag.leaf_factor.astype(np.int64)
    c_leaf = coefficients[:, n_stored:]
    square, apart = leaf_parent == leaf_factor, leaf_parent != leaf_factor
    leaf_node = np.concatenate((leaf_parent, leaf_factor[apart]))
    leaf_other = np.concatenate((leaf_factor, leaf_parent[apart]))
    leaf_c = np.concatenate((c_leaf * np.where(square, 2, 1), c_leaf[:, apart]), axis=1)
    internal = np.arange(n_internal)
    use_node = np.concatenate((dag.parent, dag.factor)).astype(np.int64)
    use_other = np.concatenate((dag.factor, dag.parent))
    use_product = np.concatenate((internal, internal))

    work = np.bincount(leaf_node, minlength=n_stored) + np.bincount(use_node, minlength=n_stored)
    rows = np.lexsort((np.arange(n_stored), -work, -level))
    place = np.empty(n_stored, dtype=np.int64)
    place[rows] = np.arange(n_stored)
    leaf_order, leaf_first = _by_row(place[leaf_node], n_stored)
    use_order, use_first = _by_row(place[use_node], n_stored)
    return Products(
        n_A=n_A,
        product_first=int32(product_first),
        product=int32(np.column_stack((n_A + by_level, dag.parent[by_level], dag.factor[by_level], 0 * by_level))),
        row_first=int32(np.searchsorted(-level[rows], np.arange(-n_levels, 2))),
        row_node=int32(rows),
        leaf_first=leaf_first,
        leaf_other=int32(leaf_other[leaf_order]),
        leaf_coefficient=np.ascontiguousarray(leaf_c[:, leaf_order]),
        use_first=use_first,
        use=int32(np.column_stack((use_product, use_other))[use_order]),
        node_coefficient=np.ascontiguousarray(coefficients[:, :n_stored]),
    )


def _by_row(row: IntArray, n_rows: int) -> tuple[IntArray, Int32Array]:
    """Order of terms by row, and where each row begins."""
    return np.argsort(row, kind="stable"), int32(np.searchsorted(np.sort(row), np.arange(n_rows + 1)))
