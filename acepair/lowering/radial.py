"""Radial functions: from an embedding to recurrences, series or tables of the plan."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .._types import FloatArray, IntArray
from ..basis.polynomials import Polynomials, SplineTable
from ..basis.radial import RadialEmbedding
from ..basis.tabulated import TabulatedRadialEmbedding
from ..basis.transforms import ACE1PolyEnvelope1sR, AgnesiTransform, PolyEnvelope1sR, PolyEnvelope2sX
from ..models.zbl import ZBLPotential
from ..plan import TABLE_COLUMNS, BasisKind, EnvelopeKind, RadialPlan, TransformKind
from .tables import spline_table, tabulate_pairs


@dataclass(frozen=True, eq=False)
class LoweredRadial:
    """A radial embedding as engines see it: which function of the plan each (n, l) is, for every pair."""

    plan: RadialPlan  #: all different functions
    function: IntArray  #: (n_nl, n_pairs): index into the plan's functions, −1 where R_nl vanishes


def lower_radial(rembed: RadialEmbedding, rcuts: FloatArray, used: IntArray) -> LoweredRadial:
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
        ends = np.array([splines.x0, splines.x0 + splines.h * (splines.n_nodes - 1)])
        if not np.allclose(ends, [-1, 1], rtol=0, atol=1e-13):
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
) -> LoweredRadial:
    """Keep one of several equal functions; leave out, pair by pair, those that vanish. Pairs are axis 0."""
    by_function = np.moveaxis(values, axis, 0).reshape(values.shape[axis], values.shape[0], -1)
    number: dict[bytes, int] = {}
    inverse = np.array([number.setdefault(row.tobytes(), len(number)) for row in by_function], dtype=np.int64)
    _, first = np.unique(inverse, return_index=True)
    function = np.full((n_nl, values.shape[0]), -1)
    function[used] = np.where(by_function.any(axis=2), inverse.reshape(-1, 1), -1)
    return LoweredRadial(make(np.take(values, first, axis=axis)), function)


def _is_onehot(weights: FloatArray) -> bool:
    """Each function is one polynomial or nothing, for every pair."""
    return bool(((weights == 0) | (weights == 1)).all() and (np.count_nonzero(weights, axis=2) <= 1).all())


def _lower_onehot(weights: FloatArray, n_nl: int, used: IntArray, common: dict[str, Any]) -> LoweredRadial:
    """Use the polynomials themselves as functions: no weights."""
    function = np.full((n_nl, len(weights)), -1)
    function[used] = np.where(weights.any(axis=2), weights.argmax(axis=2), -1).T
    n = max(int(function.max(initial=-1)) + 1, 1)  # all weights may be zero
    common["recurrence"] = np.ascontiguousarray(common["recurrence"][:, :n])
    return LoweredRadial(RadialPlan(n_functions=n, kind=BasisKind.RECURRENCE, **common), function)


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

    table = tabulate_pairs([values(pair) for pair in np.ndindex(rcut.shape)], rcut.ravel(), "the radial functions")
    return TabulatedRadialEmbedding(table.reshape(*rcut.shape, *table.shape[1:]), rcut, rembed.spec, rembed.elements)


def _transform_parameters(transform: Any) -> list[float] | None:
    """Row of TransformParameters."""
    if type(transform) is not AgnesiTransform:  # a subclass may compute anything
        return None
    t = transform
    scale = 2 / (t.x_rcut - t.x_rin)
    return [TransformKind.AGNESI, t.p, t.q, t.a, t.rin, 1 / (t.r0 - t.rin), t.x_rin, scale]


def _envelope_parameters(envelope: Any) -> list[float] | None:
    """Row of EnvelopeParameters: kind, p1, p2, rcut, r0, scale."""
    e = envelope
    if type(e) is PolyEnvelope2sX:  # not isinstance: a subclass may compute anything
        return [EnvelopeKind.POLY_2SX, e.p1, e.p2, 0, 0, e.scale]
    if type(e) is PolyEnvelope1sR:
        return [EnvelopeKind.POLY_1SR, e.p, 0, e.rcut, 0, 1]
    if type(e) is ACE1PolyEnvelope1sR:
        return [EnvelopeKind.ACE1_POLY_1SR, e.p, 0, e.rcut, e.r0, 1]
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


def contract(radial: LoweredRadial, weights: FloatArray) -> RadialPlan:
    """Contract the functions with readout weights (n_functions, NZ) to one function per species pair."""
    plan, function = radial.plan, radial.function
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


def lower_zbl(zbl: ZBLPotential) -> RadialPlan:
    """Tables of r V(r), which is smooth down to r = 0, under the envelope 1/r."""
    rcut = zbl.rcuts.ravel()
    nz = len(zbl.elements)

    def values(pair: int) -> Callable[[FloatArray], FloatArray]:
        def r_times_V(r: FloatArray) -> FloatArray:
            r = np.maximum(r, 1e-10)
            return (r * zbl.evaluate(r, *divmod(pair, nz)))[:, None]

        return r_times_V

    table = tabulate_pairs([values(p) for p in range(nz * nz)], rcut, "the ZBL potential")
    common = {
        "rcut": rcut,
        "recurrence": np.zeros((3, 0)),
        "weights": np.zeros((nz * nz, 0, 0)),
        "transform": _affine(rcut),
        "envelope": _plain_envelope(EnvelopeKind.INVERSE_R, nz * nz),
    }
    return _table_plan(table, common)
