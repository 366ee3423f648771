"""The evaluation plan: a model as the flat arrays that every engine runs.

`acepair.lowering` makes plans; engines and model files read them. Shapes and meaning are those of
`cython_src/core/plan.hpp` and `rows.hpp`. Species pairs are numbered z_i · NZ + z_j, centre first.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from ._types import FloatArray, Int32Array, IntArray


class TransformKind(IntEnum):
    """As in core/plan.hpp."""

    AGNESI = 0
    AFFINE = 1


class EnvelopeKind(IntEnum):
    """As in core/plan.hpp."""

    ONE = 0
    POLY_2SX = 1
    POLY_1SR = 2
    ACE1_POLY_1SR = 3
    INVERSE_R = 4


class BasisKind(IntEnum):
    """As in core/plan.hpp."""

    RECURRENCE = 0
    SERIES = 1
    TABLE = 2


TABLE_COLUMNS = 8  #: tables are padded to a multiple of this, the doubles of the widest vector of any instruction set


@dataclass(frozen=True, eq=False, kw_only=True)
class RadialPlan:
    """Radial functions envelope(r) · f_k(y(r)) for every species pair; shapes as in core/plan.hpp."""

    n_functions: int
    kind: BasisKind
    transform: FloatArray  #: (n_pairs, 8)
    envelope: FloatArray  #: (n_pairs, 6)
    rcut: FloatArray  #: (n_pairs,)
    recurrence: FloatArray  #: (3, n_polynomials) A, B, C
    weights: FloatArray  #: (n_pairs, n_functions, n_polynomials) if kind is SERIES
    table: FloatArray  #: (n_pairs, n_intervals, degree + 1, n_columns) if kind is TABLE


@dataclass(frozen=True, eq=False)
class Dag:
    """Products of A in the order in which the kernels form them.

    Nodes 0..n_A−1 are A itself; node n_A + k = node[parent[k]] · node[factor[k]].

    Attributes
    ----------
    n_A : int
    parent, factor : (n_internal,) int32
        Factors of the internal nodes; a node's factors come before it.
    group_parent : (n_groups,) int32
        Node shared by the leaves of a group.
    group_first : (n_groups + 1,) int32
        Leaves of each group.
    leaf_factor : (n_leaves,) int32
        The other factor of each leaf.
    place : (n_AA,) int
        Where each product of the basis stands among the n_A + n_internal nodes and the n_leaves after them.
    """

    n_A: int
    parent: Int32Array
    factor: Int32Array
    group_parent: Int32Array
    group_first: Int32Array
    leaf_factor: Int32Array
    place: IntArray

    @property
    def size(self) -> int:
        """Nodes and leaves together: the length of the coefficients the kernels read."""
        return self.n_A + len(self.parent) + len(self.leaf_factor)


@dataclass(frozen=True, eq=False, kw_only=True)
class Plan:
    """One pass over the edges: one-body energies, pair terms and at most one many-body part."""

    elements: tuple[str, ...]
    E0: FloatArray  #: (NZ,) eV
    rcut: FloatArray  #: (n_pairs,) Å, the largest of the parts
    pair_terms: tuple[RadialPlan, ...]
    lmax: int  #: −1 without many-body part
    spherical: bool
    radial: RadialPlan | None
    n_A: int
    run_first: Int32Array  #: (n_pairs (lmax + 1) + 1,) int32
    runs: Int32Array  #: (n_runs, 2) int32: radial function, first A
    dag: Dag | None
    coefficients: FloatArray  #: (NZ, dag.size)


@dataclass(frozen=True, eq=False, kw_only=True)
class RowPlan:
    """Basis functions one by one; arrays as in core/rows.hpp."""

    max_order: int
    product_first: Int32Array
    product_factor: Int32Array
    A2B_first: Int32Array
    A2B_product: Int32Array
    A2B_value: FloatArray
    jacobian_first: Int32Array
    jacobian_A: Int32Array
    jacobian_place: Int32Array


def empty_plan(elements: tuple[str, ...]) -> Plan:
    """Return a plan of energy zero."""
    nz = len(elements)
    return Plan(
        elements=elements,
        E0=np.zeros(nz),
        rcut=np.zeros(nz * nz),
        pair_terms=(),
        lmax=-1,
        spherical=False,
        radial=None,
        n_A=0,
        run_first=np.zeros(1, dtype=np.int32),
        runs=np.zeros((0, 2), dtype=np.int32),
        dag=None,
        coefficients=np.zeros((nz, 0)),
    )


def int32(values: npt.ArrayLike) -> Int32Array:
    """Return indices as the plan's integers, in C order.

    Raises
    ------
    ValueError
        If one does not fit.
    """
    array = np.asarray(values)
    if array.size and not (-(2**31) <= array.min() and array.max() < 2**31):
        raise ValueError(f"indices of a plan must fit into 32 bits, got {array.min()} ... {array.max()}")
    return np.ascontiguousarray(array, dtype=np.int32).reshape(array.shape)
