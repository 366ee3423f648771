"""Plans for basis functions one by one: rows of design matrices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from .._types import FloatArray, IntArray
from ..models.ace import ETACEPotential
from ..models.pair import ETPairPotential
from ..plan import Plan, RowPlan, empty_plan, int32
from .dag import build_dag
from .stack import ace_plan, pair_radial


def lower_rows(potential: ETACEPotential | ETPairPotential) -> tuple[Plan, RowPlan]:
    """Lower a potential for its basis functions one by one.

    A pair model is a many-body model of order 1: Σ_j R_n = A_n00/Y_00.
    """
    if isinstance(potential, ETACEPotential):
        coupling = potential.layer.basis.coupling
        return ace_plan(potential), _row_plan(coupling.products, coupling.A2B)
    radial = pair_radial(potential)
    n, n_pairs = radial.function.shape
    runs = [[(int(f), k) for k, f in enumerate(radial.function[:, pair]) if f >= 0] for pair in range(n_pairs)]
    plan = replace(
        empty_plan(potential.elements),
        rcut=radial.plan.rcut,
        lmax=0,
        radial=radial.plan,
        n_A=n,
        run_first=int32(np.cumsum([0, *map(len, runs)])),
        runs=int32([run for pair in runs for run in pair]).reshape(-1, 2),
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
