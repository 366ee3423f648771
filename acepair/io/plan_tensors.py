"""Lowered plans as named tensors of a model file, and back; docs/model_file.md describes them.

What is read may come from anywhere: every index that an engine follows is checked here, as every other reader should.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from .._types import FloatArray, Int32Array, IntArray
from ..elements import numbers_of, parse_elements
from ..models.base import MAX_RCUT
from ..plan import TABLE_COLUMNS, BasisKind, Dag, EnvelopeKind, Plan, RadialPlan, TransformKind, empty_plan, int32

Tensors = Mapping[str, npt.NDArray[Any]]

UNITS = {"energy": "eV", "length": "Angstrom"}  #: of everything in a file
MAX_LMAX = 100  #: far beyond any use, small enough for workspaces
MAX_EXPONENT = 1000

_DAG_ARRAYS = ("parent", "factor", "group_parent", "group_first", "leaf_factor", "place")
_RADIAL_ARRAYS = {
    BasisKind.RECURRENCE: ("transform", "envelope", "rcut", "recurrence"),
    BasisKind.SERIES: ("transform", "envelope", "rcut", "recurrence", "weights"),
    BasisKind.TABLE: ("transform", "envelope", "rcut", "table"),
}


def plan_tensors(plans: Sequence[Plan], elements: Sequence[str]) -> dict[str, npt.NDArray[Any]]:
    """Return the tensors of a model's plans by name.

    Parameters
    ----------
    plans : sequence of Plan
        Together they give the energy.
    elements : sequence of str
        Symbols of the model, whose order its species indices follow.
    """
    tensors: dict[str, npt.NDArray[Any]] = {"plan/count": int32(len(plans))}
    for k, plan in enumerate(plans):
        prefix = f"plan/{k}/"
        tensors |= {prefix + name: array for name, array in _of_plan(plan, elements).items()}
    return tensors


def _of_plan(plan: Plan, elements: Sequence[str]) -> dict[str, npt.NDArray[Any]]:
    tensors: dict[str, npt.NDArray[Any]] = {
        "numbers": int32(numbers_of(plan.elements)),
        "species": int32([plan.elements.index(element) for element in elements]),
        "E0": plan.E0,
        "rcut": plan.rcut,
        "n_pair_terms": int32(len(plan.pair_terms)),
        "lmax": int32(plan.lmax),
    }
    for t, term in enumerate(plan.pair_terms):
        tensors |= _of_radial(term, f"pair/{t}/")
    if plan.radial is not None and plan.dag is not None:
        tensors |= _of_radial(plan.radial, "radial/")
        tensors |= {
            "spherical": int32(plan.spherical),
            "n_A": int32(plan.n_A),
            "run_first": plan.run_first,
            "runs": plan.runs,
            "coefficients": plan.coefficients,
        }
        tensors |= {f"dag/{name}": int32(getattr(plan.dag, name)) for name in _DAG_ARRAYS}
    return tensors


def _of_radial(radial: RadialPlan, prefix: str) -> dict[str, npt.NDArray[Any]]:
    scalars = {"n_functions": radial.n_functions, "kind": int(radial.kind)}
    tensors: dict[str, npt.NDArray[Any]] = {prefix + name: int32(value) for name, value in scalars.items()}
    return tensors | {prefix + name: getattr(radial, name) for name in _RADIAL_ARRAYS[radial.kind]}


def check_units(metadata: Mapping[str, str]) -> None:
    """Refuse a file whose numbers are not in eV and Å (ValueError)."""
    text = metadata.get("units", "null")
    if json.loads(text) != UNITS:
        raise ValueError(f"units must be {UNITS}, got {text}")


def read_plans(tensors: Tensors, elements: Sequence[str]) -> tuple[Plan, ...]:
    """Return the plans of a file.

    Parameters
    ----------
    tensors : mapping of name to array
        All tensors of the file, numbers finite.
    elements : sequence of str
        Symbols of the model.

    Raises
    ------
    ValueError
        If a tensor is missing or has another shape or type, or holds a number that an engine cannot use.
    """
    count = _Reader(tensors, "plan/").scalar("count", 1, len(tensors))
    return tuple(_read_plan(_Reader(tensors, f"plan/{k}/"), tuple(elements)) for k in range(count))


def forms_products(dag: Dag, n_A: int, products: Sequence[IntArray]) -> bool:
    """Tell whether a graph forms the products (n_AA_ν, ν) of n_A one-particle functions, each at its place."""
    if dag.n_A != n_A or len(dag.place) != sum(len(group) for group in products):
        return False
    # sums of arbitrary numbers, one for each A, tell multisets of A apart
    label = np.frombuffer(hashlib.shake_128(b"A").digest(8 * n_A), dtype=np.uint64)
    nodes = label.tolist()
    for a, b in zip(dag.parent.tolist(), dag.factor.tolist(), strict=True):
        nodes.append((nodes[a] + nodes[b]) % 2**64)
    node = np.array(nodes, dtype=np.uint64)
    leaf = node[np.repeat(dag.group_parent, np.diff(dag.group_first))] + node[dag.leaf_factor]
    formed = np.concatenate([node, leaf])[dag.place]
    wanted = [label[group].sum(axis=1, dtype=np.uint64) for group in products]
    return np.array_equal(formed, np.concatenate([np.zeros(0, dtype=np.uint64), *wanted]))


class _Reader:
    """Tensors whose names begin with a prefix, checked as they are taken."""

    def __init__(self, tensors: Tensors, prefix: str) -> None:
        self.tensors = tensors
        self.prefix = prefix

    def under(self, prefix: str) -> _Reader:
        return _Reader(self.tensors, self.prefix + prefix)

    def array(self, name: str, dtype: type, *shape: int | None) -> npt.NDArray[Any]:
        """Array of a type and a shape; None stands for any length."""
        name = self.prefix + name
        array = take(self.tensors, name)
        if array.dtype != dtype:
            raise ValueError(f"tensor {name} must hold {np.dtype(dtype).name}, got {array.dtype}")
        if array.ndim != len(shape) or any(n not in (None, m) for n, m in zip(shape, array.shape, strict=True)):
            expected = ", ".join("any" if n is None else str(n) for n in shape)
            raise ValueError(f"tensor {name} must have shape ({expected}), got {array.shape}")
        return array

    def floats(self, name: str, *shape: int | None) -> FloatArray:
        return self.array(name, np.float64, *shape)

    def indices(self, name: str, stop: npt.ArrayLike, *shape: int | None) -> Int32Array:
        """Integers from 0 to below `stop`, one bound for all or one for each."""
        array = self.array(name, np.int32, *shape)
        if (array < 0).any() or (array >= stop).any():
            raise ValueError(
                f"tensor {self.prefix}{name} must hold indices of what is there, got {array.min()} ... {array.max()}"
            )
        return array

    def starts(self, name: str, length: int, end: int) -> Int32Array:
        """Ascending (length + 1,) integers from 0 to `end`."""
        array = self.array(name, np.int32, length + 1)
        if array[0] != 0 or array[-1] != end or (np.diff(array) < 0).any():
            raise ValueError(f"tensor {self.prefix}{name} must ascend from 0 to {end}")
        return array

    def cutoffs(self, n_pairs: int) -> FloatArray:
        """Take the tensor `rcut`, Å."""
        array = self.floats("rcut", n_pairs)
        if not ((array >= 0) & (array <= MAX_RCUT)).all():
            raise ValueError(f"tensor {self.prefix}rcut must lie in 0 ... {MAX_RCUT:g} Å, got {array}")
        return array

    def scalar(self, name: str, low: int, high: int) -> int:
        value = int(self.array(name, np.int32))
        if not low <= value <= high:
            raise ValueError(f"tensor {self.prefix}{name} must lie in {low} ... {high}, got {value}")
        return value


def take(tensors: Tensors, name: str) -> npt.NDArray[Any]:
    """Return a tensor; ValueError if there is none of that name."""
    if name not in tensors:
        raise ValueError(f"tensor {name} is missing")
    return tensors[name]


def _read_plan(file: _Reader, model_elements: tuple[str, ...]) -> Plan:
    numbers = file.indices("numbers", np.iinfo(np.int32).max, None).tolist()
    elements = parse_elements(numbers)
    nz, n_pairs = len(elements), len(elements) ** 2
    species = file.indices("species", nz, len(model_elements))
    if tuple(elements[z] for z in species) != model_elements:
        raise ValueError(
            f"tensor {file.prefix}species must lead to {', '.join(model_elements)}, got {species.tolist()}"
        )
    n_terms = file.scalar("n_pair_terms", 0, len(file.tensors))
    lmax = file.scalar("lmax", -1, MAX_LMAX)
    plan = replace(
        empty_plan(elements),
        E0=file.floats("E0", nz),
        rcut=file.cutoffs(n_pairs),
        pair_terms=tuple(_read_pair_term(file.under(f"pair/{t}/"), n_pairs) for t in range(n_terms)),
        lmax=lmax,
    )
    return plan if lmax < 0 else _with_many_body(file, plan)


def _with_many_body(file: _Reader, plan: Plan) -> Plan:
    nz, degrees = len(plan.elements), np.tile(np.arange(plan.lmax + 1), len(plan.rcut))
    radial = _read_radial(file.under("radial/"), len(plan.rcut))
    dag = _read_dag(file.under("dag/"), file.scalar("n_A", 0, np.iinfo(np.int32).max))
    runs = file.array("runs", np.int32, None, 2)
    run_first = file.starts("run_first", len(degrees), len(runs))
    l = np.repeat(degrees, np.diff(run_first))
    file.indices("runs", np.column_stack([np.full(len(l), radial.n_functions), dag.n_A - 2 * l]), None, 2)
    used = np.array(sorted(set(zip(runs[:, 1].tolist(), (runs[:, 1] + 2 * l).tolist(), strict=True)))).reshape(-1, 2)
    if np.any(used[1:, 0] <= used[:-1, 1]):
        raise ValueError(f"tensor {file.prefix}runs must not overlap in part")
    return replace(
        plan,
        spherical=bool(file.scalar("spherical", 0, 1)),
        radial=radial,
        n_A=dag.n_A,
        run_first=run_first,
        runs=runs,
        dag=dag,
        coefficients=file.floats("coefficients", nz, dag.size),
    )


def _read_dag(file: _Reader, n_A: int) -> Dag:
    n_internal = len(file.array("parent", np.int32, None))
    n_nodes = n_A + n_internal
    before = np.arange(n_A, n_nodes)
    n_leaves = len(file.array("leaf_factor", np.int32, None))
    group_parent = file.indices("group_parent", n_nodes, None)
    return Dag(
        n_A=n_A,
        parent=file.indices("parent", before, n_internal),
        factor=file.indices("factor", before, n_internal),
        group_parent=group_parent,
        group_first=file.starts("group_first", len(group_parent), n_leaves),
        leaf_factor=file.indices("leaf_factor", n_nodes, n_leaves),
        place=file.indices("place", n_nodes + n_leaves, None).astype(np.int64),
    )


def _read_pair_term(file: _Reader, n_pairs: int) -> RadialPlan:
    term = _read_radial(file, n_pairs)
    if term.n_functions != 1 or term.kind == BasisKind.RECURRENCE:
        raise ValueError(f"pair term {file.prefix} must be one function with weights or a table of one")
    return term


def _read_radial(file: _Reader, n_pairs: int) -> RadialPlan:
    n = file.scalar("n_functions", 1, np.iinfo(np.int32).max)
    kind = BasisKind(file.scalar("kind", 0, len(BasisKind) - 1))
    recurrence = np.zeros((3, 0)) if kind == BasisKind.TABLE else file.floats("recurrence", 3, None)
    n_q = recurrence.shape[1]
    if kind != BasisKind.TABLE and n_q < (n if kind == BasisKind.RECURRENCE else 1):
        raise ValueError(f"tensor {file.prefix}recurrence has too few polynomials, {n_q}")
    return RadialPlan(
        n_functions=n,
        kind=kind,
        transform=_read_transform(file, n_pairs),
        envelope=_read_envelope(file, n_pairs),
        rcut=file.cutoffs(n_pairs),
        recurrence=recurrence,
        weights=file.floats("weights", n_pairs, n, n_q) if kind == BasisKind.SERIES else np.zeros((n_pairs, 0, 0)),
        table=_read_table(file, n_pairs, n) if kind == BasisKind.TABLE else np.zeros((0, 0, 0, 0)),
    )


def _read_table(file: _Reader, n_pairs: int, n_functions: int) -> FloatArray:
    columns = -(-n_functions // TABLE_COLUMNS) * TABLE_COLUMNS
    table = file.floats("table", n_pairs, None, None, columns)
    if not table.size:
        raise ValueError(f"tensor {file.prefix}table must have intervals and powers, got shape {table.shape}")
    return table


def _read_transform(file: _Reader, n_pairs: int) -> FloatArray:
    rows = file.floats("transform", n_pairs, 8)
    kind, p, q = rows[:, 0], rows[:, 1], rows[:, 2]
    agnesi = (kind == TransformKind.AGNESI) & _integers(p, 1) & _integers(q, 1) & (p <= q)
    if not (agnesi | (kind == TransformKind.AFFINE)).all():
        raise ValueError(
            f"tensor {file.prefix}transform names a transform that is not known, or exponents out of range"
        )
    return rows


def _read_envelope(file: _Reader, n_pairs: int) -> FloatArray:
    rows = file.floats("envelope", n_pairs, 6)
    known = np.isin(rows[:, 0], [int(kind) for kind in EnvelopeKind])
    if not (known & _integers(rows[:, 1], 0) & _integers(rows[:, 2], 0)).all():
        raise ValueError(f"tensor {file.prefix}envelope names an envelope that is not known, or exponents out of range")
    return rows


def _integers(values: FloatArray, low: int) -> npt.NDArray[np.bool_]:
    good: npt.NDArray[np.bool_] = (values == np.floor(values)) & (values >= low) & (values <= MAX_EXPONENT)
    return good
