"""Plans of potentials and stacks.

A stack becomes as few plans as possible: pair terms join a many-body part whose cutoffs are at least theirs, so that
their edges are visited once. What does not depend on linear parameters is lowered once; a change of parameters lowers
coefficients only.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from weakref import WeakKeyDictionary

import numpy as np

from .._types import FloatArray, Int32Array
from ..basis.many_body import SparseACEBasis
from ..models.ace import ETACE, ETACEPotential
from ..models.base import Potential
from ..models.onebody import ETOneBodyPotential
from ..models.pair import ETPairModel, ETPairPotential
from ..models.stacked import StackedCalculator
from ..models.zbl import ZBLPotential
from ..plan import Dag, Plan, RadialPlan, empty_plan
from .dag import build_dag
from .radial import LoweredRadial, contract, lower_radial, lower_zbl


def lower(calculator: Potential) -> tuple[Plan, ...]:
    """Lower a potential or a stack to plans that together give its energy.

    One-body energies alone make a plan without cutoff, `plan.rcut` = 0.
    """
    potentials = calculator.potentials if isinstance(calculator, StackedCalculator) else (calculator,)
    many_body = [ace_plan(p) for p in potentials if isinstance(p, ETACEPotential)]
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


def ace_plan(potential: ETACEPotential) -> Plan:
    """Return the plan of a many-body potential alone."""
    layer, s = potential.layer, _ace_structure(potential)
    coefficients = np.zeros((len(layer.elements), s.dag.size))
    coefficients[:, s.dag.place] = _product_weights(layer, layer.readout.weights).T
    return replace(
        empty_plan(layer.elements),
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
    empty = empty_plan(potential.elements)
    match potential:
        case ETOneBodyPotential():
            return replace(empty, E0=potential.layer.energies)
        case ETPairPotential():
            term = contract(pair_radial(potential), potential.layer.readout.weights)
        case ZBLPotential():
            term = lower_zbl(potential)
        case _:
            raise TypeError(f"cannot evaluate a {type(potential).__name__}")
    return replace(empty, rcut=term.rcut, pair_terms=(term,))


def _join(host: Plan, guest: Plan) -> Plan:
    """Both in one pass; the guest has no many-body part."""
    return replace(host, E0=host.E0 + guest.E0, pair_terms=host.pair_terms + guest.pair_terms)


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
    radial = lower_radial(layer.rembed, rcuts, used)
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


# Lowered once for each layer and cutoffs.
_ace_structures: WeakKeyDictionary[ETACE, dict[bytes, _ACEStructure]] = WeakKeyDictionary()
_pair_radials: WeakKeyDictionary[ETPairModel, dict[bytes, LoweredRadial]] = WeakKeyDictionary()


def _ace_structure(potential: ETACEPotential) -> _ACEStructure:
    known, key = _ace_structures.setdefault(potential.layer, {}), potential.rcuts.tobytes()
    if key not in known:
        known[key] = _lower_ace(potential.layer, potential.rcuts)
    return known[key]


def pair_radial(potential: ETPairPotential) -> LoweredRadial:
    """Return the radial functions of a pair potential before its readout sums them."""
    rembed, rcuts = potential.layer.rembed, potential.rcuts
    known, key = _pair_radials.setdefault(potential.layer, {}), rcuts.tobytes()
    if key not in known:
        known[key] = lower_radial(rembed, rcuts, np.arange(len(rembed)))
    return known[key]
