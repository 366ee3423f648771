"""What edges are summed to: A, or moments that A is made of.

A_nlm = Σ_j R_nl Y_lm takes the radial weights of R_nl = Σ_q W_nq P_q to every edge. For l < n_degrees the kernels sum
moments M_qlm = Σ_j P_q Y_lm instead, over the neighbours of each species, and apply the weights once an atom:
A_nlm = Σ_q W_nq M_qlm. cython_src/arranged_plan.hpp does the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from .._types import FloatArray, Int32Array
from ..plan import BasisKind, Plan, int32

_NEIGHBORS = 32  #: for which cycles are counted
_WORTHWHILE = 0.9  #: moments must save a tenth: below, counts are no better than a guess


@dataclass(frozen=True, eq=False, kw_only=True)
class Mix:
    """A = mixture of sums, a sparse matrix for every species of centre, and its transpose."""

    A_first: Int32Array  #: (n_A + 1,) terms of every A
    A_sum: Int32Array  #: (n_terms,)
    A_weight: FloatArray  #: (NZ, n_terms)
    sum_first: Int32Array  #: (n_sums + 1,) terms of every sum
    sum_A: Int32Array  #: (n_terms,)
    sum_weight: FloatArray  #: (NZ, n_terms)


@dataclass(frozen=True, eq=False, kw_only=True)
class Sums:
    """What edges are summed to.

    Attributes
    ----------
    edges : Plan
        Its A are the sums. With moments, its radial functions are the polynomials, followed by those that are summed
        with weights; its weights are of the latter only.
    n_degrees : int
        Sums of l < n_degrees are moments, none if it is 0.
    mix : Mix, optional
        How A is made of sums; None where the sums are A.
    """

    edges: Plan
    n_degrees: int
    mix: Mix | None


def make_sums(plan: Plan) -> Sums:
    """Choose what takes the fewest cycles."""
    n_degrees = min(range(plan.lmax + 2), key=lambda n: _cycles(plan, n)) if _is_series(plan) else 0
    if not n_degrees or _cycles(plan, n_degrees) > _WORTHWHILE * _cycles(plan, 0):
        return Sums(edges=plan, n_degrees=0, mix=None)
    return _with_moments(plan, n_degrees)


def _is_series(plan: Plan) -> bool:
    return plan.radial is not None and plan.radial.kind == BasisKind.SERIES


def _runs(plan: Plan) -> Iterator[tuple[int, int, list[tuple[int, int]]]]:
    """Iterate over (species pair, l, runs), a run being a radial function and its first A."""
    for place in range(len(plan.run_first) - 1):
        begin, end = plan.run_first[place : place + 2]
        pair, l = divmod(place, plan.lmax + 1)
        yield pair, l, [(int(f), int(a)) for f, a in plan.runs[begin:end]]


def _functions_on_edges(plan: Plan, n_degrees: int) -> list[int]:
    return sorted({f for _, l, runs in _runs(plan) for f, _ in runs if l >= n_degrees})


def _cycles(plan: Plan, n_degrees: int) -> float:
    """Of a multiprocessor, for an atom there and back.

    A cycle has 64 operations, and reads 16 numbers, or one for all 32 threads of a warp. The counts are
    those of benchmarks/gpu_counts.py, with typical ones for what does not depend on `n_degrees`.
    """
    assert plan.radial is not None
    n_q, n_pairs, n_species = plan.radial.recurrence.shape[1], len(plan.rcut), len(plan.elements)
    n_contracted = len(_functions_on_edges(plan, n_degrees))
    operations = np.array([120 + n_q * (3.0 + n_contracted), 180 + n_q * (5.0 + 2 * n_contracted)])  # there, back
    reads = ((n_q if n_degrees else 0) + n_contracted + (plan.lmax + 1) ** 2) / 16
    terms = 0.0
    for _, l, runs in _runs(plan):
        n_m = 2 * l + 1
        n_functions = (n_q if l < n_degrees and runs else len(runs)) / n_pairs
        operations += n_functions * np.array([n_m, 2 * n_m + 1])
        reads += n_functions * (1 / 16 + (n_m / 32 if l else 0))
        terms += n_q * n_m * len(runs) / n_species * (l < n_degrees)
    there, back = operations / 64
    return float(_NEIGHBORS * (max(there, reads) + back) + terms / 4)


def _with_moments(plan: Plan, n_degrees: int) -> Sums:
    assert plan.radial is not None
    radial, n_species = plan.radial, len(plan.elements)
    n_q = radial.recurrence.shape[1]
    on_edges = _functions_on_edges(plan, n_degrees)
    with_weights = [(l, first) for _, l, runs in _runs(plan) for _, first in runs if l >= n_degrees]
    summed_A = sorted({a for l, first in with_weights for a in range(first, first + 2 * l + 1)})
    n_moments = n_species * n_q * n_degrees**2
    place = {f: n_q + k for k, f in enumerate(on_edges)}
    sum_of_A = {a: n_moments + k for k, a in enumerate(summed_A)}
    weight: dict[tuple[int, int], FloatArray] = {(a, s): np.ones(n_species) for a, s in sum_of_A.items()}

    edge_runs: list[list[tuple[int, int]]] = []
    for pair, l, runs in _runs(plan):
        if l >= n_degrees:
            edge_runs.append([(place[f], sum_of_A[a]) for f, a in runs])
            continue
        z_i, z_j = divmod(pair, n_species)
        n_m = 2 * l + 1
        moments = [n_q * (n_species * l * l + z_j * n_m) + q * n_m for q in range(n_q)]
        edge_runs.append(list(enumerate(moments)) if runs else [])
        for f, a in runs:
            for q, first in enumerate(moments):
                for m in range(n_m):
                    weight.setdefault((a + m, first + m), np.zeros(n_species))[z_i] += radial.weights[pair, f, q]

    edges = replace(
        plan,
        radial=replace(radial, n_functions=n_q + len(on_edges), weights=radial.weights[:, on_edges]),
        n_A=n_moments + len(summed_A),
        runs=int32([run for runs in edge_runs for run in runs]).reshape(-1, 2),
        run_first=int32(np.cumsum([0, *map(len, edge_runs)])),
        dag=None,
    )
    return Sums(edges=edges, n_degrees=n_degrees, mix=_mix(weight, plan.n_A, edges.n_A))


def _mix(weight: dict[tuple[int, int], FloatArray], n_A: int, n_sums: int) -> Mix:
    A, sums = int32(sorted(weight)).T
    values = np.array([weight[pair] for pair in sorted(weight)]).T
    by_sum = np.lexsort((A, sums))
    return Mix(
        A_first=int32(np.searchsorted(A, np.arange(n_A + 1))),
        A_sum=int32(sums),
        A_weight=np.ascontiguousarray(values),
        sum_first=int32(np.searchsorted(sums[by_sum], np.arange(n_sums + 1))),
        sum_A=int32(A[by_sum]),
        sum_weight=np.ascontiguousarray(values[:, by_sum]),
    )
