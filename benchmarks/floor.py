"""The least a kernel can cost if every multiply-add takes an issue slot and nothing else costs any.

Vector operations per block of W edges: 40 (distance, transform, envelope) + 6 n_q (recurrence, value and slope)
+ 2 n_R n_q (radial weights, where they are dense) + 8 (lmax + 1)² (harmonics and gradients) + 3 n_A (A, and back) + 6;
per block of W atoms: 2 n_A + 3 n_int + 2 n_leaf (products, and back). lmax, n_R, n_A are those the products read. At
512 bits W is 8 in float64; one operation a cycle. Blocks are taken as full: neighbours/W of them an atom. This is the
plain algorithm's floor: kernels that need fewer operations (docs/kernels.md: weights after the sum, Chebyshev's
polynomials) may come below it.
"""

from __future__ import annotations

from typing import Any

from acepair.evaluate import as_calculator
from acepair.lowering import lower
from acepair.models.ace import ETACEPotential
from acepair.plan import BasisKind, Plan

WIDTH = 8


def many_body_plan(model: Any) -> Plan:
    """Return the plan with the many-body part."""
    return max(lower(as_calculator(model)), key=lambda plan: plan.lmax)


def sizes(model: Any) -> dict[str, int]:
    """Return the numbers the formula takes, from the lowered plan."""
    plan = many_body_plan(model)
    radial, dag = plan.radial, plan.dag
    if radial is None or dag is None:
        raise ValueError("model must have a many-body part")
    n_q, dense = radial.recurrence.shape[1], radial.kind is BasisKind.SERIES
    if radial.kind is BasisKind.TABLE:  # what the table stands for
        (layer,) = (p.layer for p in as_calculator(model).potentials if isinstance(p, ETACEPotential))
        dense = layer.rembed.weights is not None
        n_q = layer.rembed.weights.shape[-1] if dense else radial.table.shape[2]
    return {
        "n_q": n_q,
        "n_R": radial.n_functions,
        "dense": int(dense),
        "lmax": plan.lmax,
        "n_A": plan.n_A,
        "n_int": len(dag.parent),
        "n_leaf": len(dag.leaf_factor),
    }


def operations(size: dict[str, int]) -> tuple[int, int]:
    """Return vector operations per block of edges and per block of atoms."""
    n_q, n_R, n_A = size["n_q"], size["n_R"], size["n_A"]
    edges = 40 + 6 * n_q + 2 * n_R * n_q * size["dense"] + 8 * (size["lmax"] + 1) ** 2 + 3 * n_A + 6
    return edges, 2 * n_A + 3 * size["n_int"] + 2 * size["n_leaf"]


def floor_cycles(model: Any, neighbors: float) -> float:
    """Return the floor in cycles per atom for a number of neighbours."""
    edges, atoms = operations(sizes(model))
    return (edges * neighbors + atoms) / WIDTH
