"""Lowering: from components to the flat arrays that every engine runs.

Nothing downstream knows transforms, bases or couplings: an engine reads a `Plan`, whose arrays are described in
`cython_src/core/plan.hpp`. A stack is lowered to as few plans as possible: pair terms join a many-body part whose
cutoffs are at least theirs, so that their edges are visited once. A change of linear parameters lowers coefficients
only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from ._types import FloatArray, Int32Array, IntArray
from .basis.many_body import SparseACEBasis
from .basis.polynomials import Polynomials, SplineTable
from .basis.radial import RadialEmbedding
from .basis.tabulated import TabulatedRadialEmbedding
from .basis.transforms import ACE1PolyEnvelope1sR, AgnesiTransform, PolyEnvelope1sR, PolyEnvelope2sX
from .dag import Dag, build_dag
from .models.ace import ETACE, ETACEPotential
from .models.base import Potential
from .models.onebody import ETOneBodyPotential
from .models.pair import ETPairPotential
from .models.stacked import StackedCalculator
from .models.zbl import ZBLPotential
from .tables import spline_table, tabulate


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


TABLE_COLUMNS = 8  #: tables are padded to a multiple of this, the widest vector of any instruction set


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


# ---------------------------------------------------------------------------------------------- radial functions


@dataclass(frozen=True, eq=False)
class _LoweredRadial:
    """A radial embedding as engines see it: which function of the plan each (n, l) is, for every pair."""

    plan: RadialPlan  #: all different functions
    function: IntArray  #: (n_nl, n_pairs): index into the plan's functions, −1 where R_nl vanishes


def _lower_radial(rembed: RadialEmbedding, rcuts: FloatArray, used: IntArray) -> _LoweredRadial:
    """Lower the functions `used` of an embedding of which `rcuts` (NZ, NZ) is the component's own cutoff."""
    if not has_formulas(rembed):
        rembed = tabulated(rembed, rcuts)
    nz = len(rembed.elements)
    rcut = np.minimum(rcuts, rembed.rcut).ravel()
    pairs = [(i, j) for i in range(nz) for j in range(nz)]
    nothing = {"recurrence": np.zeros((3, 0)), "weights": np.zeros((len(pairs), 0, 0)), "table": np.zeros((0, 0, 0, 0))}
    common = {"rcut": rcut} | nothing
    if isinstance(rembed, TabulatedRadialEmbedding):
        common |= {"transform": _affine(rembed.rcut.ravel()), "envelope": _plain_envelope(EnvelopeKind.ONE, len(pairs))}
        table = rembed.table.reshape(len(pairs), *rembed.table.shape[2:])[..., used]
        return _distinct(table, len(rembed), used, lambda t: _table_plan(t, common))
    common["transform"] = np.array([_transform_parameters(rembed.transform_of(*pair)) for pair in pairs], dtype=float)
    common["envelope"] = np.array([_envelope_parameters(rembed.envelope_of(*pair)) for pair in pairs], dtype=float)
    if isinstance(rembed.polynomials, SplineTable):
        splines = rembed.polynomials
        if not np.isclose(splines.x0, -1) or not np.isclose(splines.x0 + splines.h * (splines.n_nodes - 1), 1):
            raise ValueError(f"splines must span y from −1 to 1, got {splines!r}")
        table = spline_table(splines)[..., used].reshape(len(pairs), splines.n_nodes - 1, 4, len(used))
        return _distinct(table, len(rembed), used, lambda t: _table_plan(t, common))
    assert rembed.weights is not None
    weights = rembed.weights[:, :, used].reshape(len(pairs), len(used), -1)
    common["recurrence"] = _recurrence(rembed.polynomials)
    if _is_onehot(weights):
        return _lower_onehot(weights, len(rembed), used, common)
    return _distinct(weights, len(rembed), used, lambda w: _series_plan(w, common), axis=1)


def _series_plan(weights: FloatArray, common: dict[str, Any]) -> RadialPlan:
    common = common | {"weights": np.ascontiguousarray(weights)}
    return RadialPlan(n_functions=weights.shape[1], kind=BasisKind.SERIES, **common)


def _table_plan(table: FloatArray, common: dict[str, Any]) -> RadialPlan:
    n = table.shape[-1]
    padded = np.zeros((*table.shape[:-1], -(-n // TABLE_COLUMNS) * TABLE_COLUMNS))
    padded[..., :n] = table
    return RadialPlan(n_functions=n, kind=BasisKind.TABLE, **common | {"table": padded})


def _distinct(
    values: FloatArray, n_nl: int, used: IntArray, make: Callable[[FloatArray], RadialPlan], axis: int = -1
) -> _LoweredRadial:
    """Keep one of several equal functions; leave out, pair by pair, those that vanish. Pairs are axis 0."""
    by_function = np.moveaxis(values, axis, 0).reshape(values.shape[axis], values.shape[0], -1)
    number: dict[bytes, int] = {}
    inverse = np.array([number.setdefault(row.tobytes(), len(number)) for row in by_function], dtype=np.int64)
    _, first = np.unique(inverse, return_index=True)
    function = np.full((n_nl, values.shape[0]), -1)
    function[used] = np.where(by_function.any(axis=2), inverse.reshape(-1, 1), -1)
    return _LoweredRadial(make(np.take(values, first, axis=axis)), function)


def _is_onehot(weights: FloatArray) -> bool:
    """Each function is one polynomial or nothing, for every pair."""
    return bool(((weights == 0) | (weights == 1)).all() and (np.count_nonzero(weights, axis=2) <= 1).all())


def _lower_onehot(weights: FloatArray, n_nl: int, used: IntArray, common: dict[str, Any]) -> _LoweredRadial:
    """Use the polynomials themselves as functions: no weights."""
    function = np.full((n_nl, len(weights)), -1)
    function[used] = np.where(weights.any(axis=2), weights.argmax(axis=2), -1).T
    n = int(function.max()) + 1
    common["recurrence"] = np.ascontiguousarray(common["recurrence"][:, : max(n, 1)])
    return _LoweredRadial(RadialPlan(n_functions=n, kind=BasisKind.RECURRENCE, **common), function)


def has_formulas(rembed: RadialEmbedding) -> bool:
    """Tell whether engines can evaluate an embedding as it is; `tabulated` makes one that they can of any other."""
    if isinstance(rembed, TabulatedRadialEmbedding):
        return True
    pairs = list(np.ndindex(len(rembed.elements), len(rembed.elements)))
    transforms = all(_transform_parameters(rembed.transform_of(*pair)) for pair in pairs)
    return transforms and all(_envelope_parameters(rembed.envelope_of(*pair)) for pair in pairs)


def tabulated(rembed: RadialEmbedding, rcuts: FloatArray) -> TabulatedRadialEmbedding:
    """Return an embedding's functions as tables in r up to the cutoffs (NZ, NZ): what engines see of callables."""
    rcut = np.minimum(rcuts, rembed.rcut)
    if not np.isfinite(rcut).all():
        raise ValueError("rcut must be finite for radial functions given as Python callables")

    def values(pair: tuple[int, ...]) -> Callable[[FloatArray], FloatArray]:
        return lambda r: rembed.evaluate(r, *pair)

    table = _tabulate_pairs([values(pair) for pair in np.ndindex(rcut.shape)], rcut.ravel(), "the radial functions")
    return TabulatedRadialEmbedding(table.reshape(*rcut.shape, *table.shape[1:]), rcut, rembed.spec, rembed.elements)


def _tabulate_pairs(functions: Sequence[Callable[[FloatArray], FloatArray]], rcut: FloatArray, what: str) -> FloatArray:
    """Tables (n_pairs, n_intervals, degree + 1, n_functions) with the number of intervals the hardest pair needs."""
    # a table is exact in r ≤ rcut only; the end belongs to it, though no edge sits there
    tables = [tabulate(f, cut * (1 - 1e-15), what) for f, cut in zip(functions, rcut, strict=True)]
    n = max(len(t) for t in tables)
    return np.stack([_subdivide(t, n // len(t)) for t in tables])


def _subdivide(table: FloatArray, k: int) -> FloatArray:
    """Return the same piecewise polynomials on k times as many intervals."""
    if k == 1:
        return table
    degree = table.shape[1] - 1
    parts = []
    for part in range(k):  # t = (part + u)/k
        shift = np.zeros((degree + 1, degree + 1))
        for d in range(degree + 1):
            for e in range(d + 1):
                shift[e, d] = _binomial(d, e) * part ** (d - e) / k**d
        parts.append(np.einsum("ed,ndf->nef", shift, table))
    return np.stack(parts, axis=1).reshape(-1, *table.shape[1:])


def _binomial(n: int, k: int) -> int:
    return 1 if k == 0 else _binomial(n - 1, k - 1) * n // k


def _transform_parameters(transform: Any) -> list[float] | None:
    """Row of TransformParameters; the kernels know integer powers with 1 ≤ p ≤ q."""
    if not isinstance(transform, AgnesiTransform):
        return None
    t = transform
    if not (float(t.p).is_integer() and float(t.q).is_integer() and 1 <= t.p <= t.q):
        return None
    scale = 2 / (t.x_rcut - t.x_rin)
    return [TransformKind.AGNESI, t.p, t.q, t.a, t.rin, 1 / (t.r0 - t.rin), t.x_rin, scale]


def _envelope_parameters(envelope: Any) -> list[float] | None:
    """Row of EnvelopeParameters: kind, p1, p2, rcut, r0, scale."""
    match envelope:
        case PolyEnvelope2sX(p1=p1, p2=p2, scale=scale):
            return [EnvelopeKind.POLY_2SX, p1, p2, 0, 0, scale]
        case PolyEnvelope1sR(rcut=rcut, p=p):
            return [EnvelopeKind.POLY_1SR, p, 0, rcut, 0, 1]
        case ACE1PolyEnvelope1sR(rcut=rcut, r0=r0, p=p):
            return [EnvelopeKind.ACE1_POLY_1SR, p, 0, rcut, r0, 1]
        case _:
            return None


def _affine(rcut: FloatArray) -> FloatArray:
    """Return parameters of y = −1 + 2 r/rcut."""
    rows = np.zeros((len(rcut), 8))
    rows[:, 0], rows[:, 7] = TransformKind.AFFINE, 2 / rcut
    return rows


def _plain_envelope(kind: EnvelopeKind, n_pairs: int) -> FloatArray:
    rows = np.zeros((n_pairs, 6))
    rows[:, 0], rows[:, 5] = kind, 1
    return rows


def _recurrence(polynomials: Polynomials) -> FloatArray:
    return np.stack([polynomials.A, polynomials.B, polynomials.C])


# ------------------------------------------------------------------------------------------------------ components


@dataclass(frozen=True, eq=False)
class _PairStructure:
    """A pair model without its readout."""

    radial: _LoweredRadial

    def term(self, weights: FloatArray) -> RadialPlan:
        """Contract the functions with readout weights (n_functions, NZ) to one function per species pair."""
        plan, function = self.radial.plan, self.radial.function
        nz = weights.shape[1]
        per_function = np.zeros((nz * nz, plan.n_functions))
        for pair in range(nz * nz):
            present = function[:, pair] >= 0
            np.add.at(per_function[pair], function[present, pair], weights[present, pair // nz])
        if plan.kind == BasisKind.TABLE:
            table = np.einsum("pidk,pk->pid", plan.table[..., : plan.n_functions], per_function)
            return _table_plan(table[..., None], _common(plan))
        if plan.kind == BasisKind.RECURRENCE:  # function k is polynomial k
            return _series_plan(per_function[:, None], _common(plan))
        return _series_plan(np.einsum("pk,pkq->pq", per_function, plan.weights)[:, None], _common(plan))


def _common(plan: RadialPlan) -> dict[str, Any]:
    names = ("transform", "envelope", "rcut", "recurrence", "weights", "table")
    return {name: getattr(plan, name) for name in names}


@dataclass(frozen=True, eq=False)
class _ACEStructure:
    """A many-body model without its readout."""

    radial: RadialPlan
    lmax: int
    run_first: Int32Array
    runs: Int32Array
    dag: Dag


def _lower_ace(layer: ETACE, rcuts: FloatArray) -> _ACEStructure:
    A_radial, A_angular = np.asarray(layer.basis.A_radial), np.asarray(layer.basis.A_angular)
    l = np.sqrt(A_angular).astype(np.int64)
    # A has complete runs of m, by l, then n: the basis sees to that
    channels: dict[tuple[int, int], int] = {}
    for a, channel in enumerate(zip(l.tolist(), A_radial.tolist(), strict=True)):
        channels.setdefault(channel, a)
    lmax = int(l.max(initial=0))

    # not np.unique, which imports numpy.ma: that takes longer than the lowering
    used = np.array(sorted(set(A_radial.tolist())), dtype=np.int64)
    radial = _lower_radial(layer.rembed, rcuts, used)
    run_first, runs = [0], []
    for pair in range(len(layer.elements) ** 2):
        for degree in range(lmax + 1):
            here = [(int(radial.function[r, pair]), first) for (li, r), first in channels.items() if li == degree]
            runs += sorted(run for run in here if run[0] >= 0)
            run_first.append(len(runs))
    return _ACEStructure(
        radial=radial.plan,
        lmax=lmax,
        run_first=np.array(run_first, dtype=np.int32),
        runs=np.array(runs, dtype=np.int32).reshape(-1, 2),
        dag=_dag_of(layer.basis),
    )


_dags: WeakKeyDictionary[SparseACEBasis, Dag] = WeakKeyDictionary()


def _dag_of(basis: SparseACEBasis) -> Dag:
    """Return the graph of a basis' products, built once for all layers that share the basis."""
    if basis not in _dags:
        _dags[basis] = build_dag(len(basis.A_radial), basis.coupling.products)
    return _dags[basis]


def adopt_dag(basis: SparseACEBasis, dag: Dag) -> None:
    """Use a graph built earlier, which saves the longest step of lowering; the caller checks that it is the basis'."""
    _dags[basis] = dag


def _product_weights(layer: ETACE, weights: FloatArray) -> FloatArray:
    """c̃ = A2Bᵀ WB, (n_AA, NZ)."""
    A2B = layer.basis.coupling.A2B
    rows = np.repeat(np.arange(len(A2B.indptr) - 1), np.diff(A2B.indptr))
    c = np.zeros((sum(len(group) for group in layer.basis.coupling.products), weights.shape[1]))
    np.add.at(c, A2B.indices, A2B.data[:, None] * weights[rows])
    return c


_structures: WeakKeyDictionary[Any, tuple[bytes, Any]] = WeakKeyDictionary()


def _structure(potential: ETACEPotential | ETPairPotential) -> Any:
    """Lower what does not depend on the linear parameters, once for each layer and cutoff."""
    layer, rcuts = potential.layer, potential.rcuts
    known = _structures.get(layer)
    if known is None or known[0] != rcuts.tobytes():
        if isinstance(potential, ETACEPotential):
            lowered: Any = _lower_ace(potential.layer, rcuts)
        else:
            lowered = _PairStructure(_lower_radial(layer.rembed, rcuts, np.arange(len(layer.rembed))))
        known = _structures[layer] = (rcuts.tobytes(), lowered)
    return known[1]


# ----------------------------------------------------------------------------------------------------------- plans


def lower(calculator: Potential) -> tuple[Plan, ...]:
    """Lower a potential or a stack to plans that together give its energy.

    One-body energies alone make a plan without cutoff, `plan.rcut` = 0.
    """
    potentials = calculator.potentials if isinstance(calculator, StackedCalculator) else (calculator,)
    many_body = [_ace_plan(p) for p in potentials if isinstance(p, ETACEPotential)]
    others = [_other_plan(p) for p in potentials if not isinstance(p, ETACEPotential)]
    plans = list(many_body)
    for plan in sorted(others, key=lambda p: -float(p.rcut.max())):
        for k, host in enumerate(plans):
            if host.elements == plan.elements and (host.rcut >= plan.rcut).all():
                plans[k] = _join(host, plan)
                break
        else:
            plans.append(plan)
    return tuple(plans)


def _empty_plan(elements: tuple[str, ...]) -> Plan:
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


def _ace_plan(potential: ETACEPotential) -> Plan:
    layer, s = potential.layer, _structure(potential)
    coefficients = np.zeros((len(layer.elements), s.dag.size))
    coefficients[:, s.dag.place] = _product_weights(layer, layer.readout.weights).T
    return replace(
        _empty_plan(layer.elements),
        rcut=s.radial.rcut,
        lmax=s.lmax,
        spherical=layer.yembed.kind == "spherical",
        radial=s.radial,
        n_A=s.dag.n_A,
        run_first=s.run_first,
        runs=s.runs,
        dag=s.dag,
        coefficients=coefficients,
    )


def _other_plan(potential: Potential) -> Plan:
    empty = _empty_plan(potential.elements)
    match potential:
        case ETOneBodyPotential():
            return replace(empty, E0=potential.layer.energies)
        case ETPairPotential():
            term = _structure(potential).term(potential.layer.readout.weights)
        case ZBLPotential():
            term = _lower_zbl(potential)
        case _:
            raise TypeError(f"cannot evaluate a {type(potential).__name__}")
    return replace(empty, rcut=term.rcut, pair_terms=(term,))


def _lower_zbl(zbl: ZBLPotential) -> RadialPlan:
    """Tables of r V(r), which is smooth down to r = 0, under the envelope 1/r."""
    rcut = zbl.rcuts.ravel()
    nz = len(zbl.elements)

    def values(pair: int) -> Callable[[FloatArray], FloatArray]:
        def r_times_V(r: FloatArray) -> FloatArray:
            r = np.maximum(r, 1e-10)
            return (r * zbl.evaluate(r, *divmod(pair, nz)))[:, None]

        return r_times_V

    table = _tabulate_pairs([values(p) for p in range(nz * nz)], rcut, "the ZBL potential")
    common = {
        "rcut": rcut,
        "recurrence": np.zeros((3, 0)),
        "weights": np.zeros((nz * nz, 0, 0)),
        "transform": _affine(rcut),
        "envelope": _plain_envelope(EnvelopeKind.INVERSE_R, nz * nz),
    }
    return _table_plan(table, common)


def _join(host: Plan, guest: Plan) -> Plan:
    """Both in one pass; the guest has no many-body part."""
    return replace(host, E0=host.E0 + guest.E0, pair_terms=host.pair_terms + guest.pair_terms)


def lower_rows(potential: ETACEPotential | ETPairPotential) -> tuple[Plan, RowPlan]:
    """Lower a potential for its basis functions one by one.

    A pair model is a many-body model of order 1: Σ_j R_n = A_n00/Y_00.
    """
    if isinstance(potential, ETACEPotential):
        coupling = potential.layer.basis.coupling
        return _ace_plan(potential), _row_plan(coupling.products, coupling.A2B)
    radial = _structure(potential).radial
    n, n_pairs = radial.function.shape
    runs = [[(int(f), k) for k, f in enumerate(radial.function[:, pair]) if f >= 0] for pair in range(n_pairs)]
    plan = replace(
        _empty_plan(potential.elements),
        rcut=radial.plan.rcut,
        lmax=0,
        radial=radial.plan,
        n_A=n,
        run_first=np.cumsum([0, *map(len, runs)]).astype(np.int32),
        runs=np.array([run for pair in runs for run in pair], dtype=np.int32).reshape(-1, 2),
        dag=build_dag(n, ()),
        coefficients=np.zeros((len(potential.elements), n)),
    )
    inverse_Y00 = np.full(n, np.sqrt(4 * np.pi))
    return plan, _row_plan((np.arange(n)[:, None],), (np.arange(n + 1), np.arange(n), inverse_Y00))


def _row_plan(products: Sequence[IntArray], A2B: tuple[IntArray, IntArray, FloatArray]) -> RowPlan:
    indptr, indices, data = A2B
    factors = [row for group in products for row in np.asarray(group).tolist()]
    max_order = max(map(len, factors), default=1)
    place = np.zeros((len(indices), max_order), dtype=np.int32)
    jacobian_first, jacobian_A = [0], list[int]()
    for b in range(len(indptr) - 1):
        columns: dict[int, int] = {}
        for e in range(indptr[b], indptr[b + 1]):
            for t, a in enumerate(factors[indices[e]]):
                place[e, t] = columns.setdefault(a, len(jacobian_A) + len(columns))
        jacobian_A += columns
        jacobian_first.append(len(jacobian_A))

    def int32(values: Any) -> Int32Array:
        return np.ascontiguousarray(values, dtype=np.int32)

    return RowPlan(
        max_order=max_order,
        product_first=int32(np.cumsum([0, *map(len, factors)])),
        product_factor=int32([a for row in factors for a in row]),
        A2B_first=int32(indptr),
        A2B_product=int32(indices),
        A2B_value=np.ascontiguousarray(data, dtype=np.float64),
        jacobian_first=int32(jacobian_first),
        jacobian_A=int32(jacobian_A),
        jacobian_place=place.ravel(),
    )
