"""Plans in the form the compiled kernels take."""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from . import _kernels
from ._types import FloatArray
from .lowering import lower
from .models.base import Potential
from .neighbors import NeighborList, aligned_empty
from .plan import Plan, RadialPlan, RowPlan
from .structure import Structure, refuse_coincident


class ReadyPlan:
    """A plan in the form the kernels take, and the buffers it reuses."""

    def __init__(self, plan: Plan, engine: _kernels.Plan, elements: tuple[str, ...]) -> None:
        self.engine = engine
        self.E0 = plan.E0
        self.has_edges = bool(plan.rcut.max() > 0)
        index = [plan.elements.index(element) for element in elements]
        self._index = None if index == list(range(len(plan.elements))) else np.array(index, dtype=np.int32)
        self._rows = np.empty((0, 4)), np.empty((0, 4))

    def species(self, species: Any) -> Any:
        """Translate the model's species indices to the plan's."""
        return species if self._index is None else self._index[species]

    def pack(self, structure: Structure, neighbors: NeighborList, species: Any) -> FloatArray:
        """Positions and species of atoms and images, in an array that is kept."""
        out, _ = self.rows(neighbors.n_atoms + neighbors.n_images)
        return neighbors.pack(structure.positions, structure.cell, species, out=out)

    def rows(self, n: int) -> tuple[FloatArray, FloatArray]:
        """Two arrays (n, 4) for positions of and forces on atoms and images; the next call gives the same memory."""
        if len(self._rows[0]) < n:
            self._rows = aligned_empty((n, 4)), aligned_empty((n, 4))
        return self._rows[0][:n], self._rows[1][:n]


_known_plans: WeakKeyDictionary[Potential, tuple[tuple[int, ...], list[tuple[Plan, _kernels.Plan]]]] = (
    WeakKeyDictionary()
)


def ready_plans(calculator: Potential, versions: tuple[int, ...]) -> list[ReadyPlan]:
    """Return the plans for parameters of these versions; all evaluators of a potential share their arrays."""
    known = _known_plans.get(calculator)
    if known is None or known[0] != versions:
        known = versions, [(plan, make_engine_plan(plan)) for plan in lower(calculator)]
        _known_plans[calculator] = known
    return [ReadyPlan(plan, engine, calculator.elements) for plan, engine in known[1]]


def make_engine_plan(plan: Plan) -> _kernels.Plan:
    """Hand a plan's arrays to the compiled kernels."""
    none = np.zeros(0, dtype=np.int32)
    dag = plan.dag
    return _kernels.Plan(
        E0=plan.E0,
        rcut=plan.rcut,
        pair_terms=[_make_engine_radial(term) for term in plan.pair_terms],
        lmax=plan.lmax,
        spherical=plan.spherical,
        radial=None if plan.radial is None else _make_engine_radial(plan.radial),
        n_A=plan.n_A,
        run_first=plan.run_first,
        runs=plan.runs,
        parent=none if dag is None else dag.parent,
        factor=none if dag is None else dag.factor,
        group_parent=none if dag is None else dag.group_parent,
        group_first=none if dag is None else dag.group_first,
        leaf_factor=none if dag is None else dag.leaf_factor,
        coefficients=np.ascontiguousarray(plan.coefficients).ravel(),
    )


def _make_engine_radial(radial: RadialPlan) -> _kernels.Radial:
    table = radial.table
    return _kernels.Radial(
        n_functions=radial.n_functions,
        kind=int(radial.kind),
        transform=radial.transform,
        envelope=radial.envelope,
        rcut=radial.rcut,
        recurrence=np.ascontiguousarray(radial.recurrence),
        weights=np.ascontiguousarray(radial.weights).ravel(),
        table=np.ascontiguousarray(table).ravel(),
        n_intervals=table.shape[1],
        degree=table.shape[2] - 1,
        n_columns=table.shape[3],
    )


def make_engine_rows(rows: RowPlan) -> _kernels.RowPlan:
    """Hand what basis rows need to the compiled kernels."""
    return _kernels.RowPlan(
        max_order=rows.max_order,
        product_first=rows.product_first,
        product_factor=rows.product_factor,
        A2B_first=rows.A2B_first,
        A2B_product=rows.A2B_product,
        A2B_value=rows.A2B_value,
        jacobian_first=rows.jacobian_first,
        jacobian_A=rows.jacobian_A,
        jacobian_place=rows.jacobian_place,
    )


def refuse_coincident_rows(pair: tuple[int, int], packed: FloatArray, neighbors: NeighborList) -> None:
    """Complain about two rows of `packed` in the same place."""
    i, j = pair
    distance = float(np.linalg.norm(packed[i, :3] - packed[j, :3]))
    refuse_coincident(i, int(neighbors.owner[j]), distance)
