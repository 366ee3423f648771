"""The source of the kernels' modules: what is known of a model stands in front of its kernels as constants."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from math import factorial, pi, sqrt

import numpy as np

from .._types import FloatArray
from ..plan import Plan, RadialPlan
from .backend import KERNELS
from .layout import (
    BLOCK_EDGES_BYTES,
    GATHER_LANES,
    MAX_COLUMNS,
    PAD,
    SMALL_TILE,
    SMALL_TILE_ROWS,
    THREADS,
    Layout,
    pool_stride,
)
from .sums import Sums
from .tables import Channels, Products


def model_source(
    plan: Plan, sums: Sums, channels: Channels, products: Products, layout: Layout, dtype: np.dtype[np.generic]
) -> str:
    """Return the translation unit of a model's kernels.

    Linear parameters, cutoffs and weights are data: they do not occur in it.
    """
    radial = sums.edges.radial
    components = [radial, *plan.pair_terms]
    lmax = max(plan.lmax, 0)
    constants = {
        "N_SPECIES": len(plan.elements),
        "N_PAIR_TERMS": len(plan.pair_terms),
        "LMAX": lmax,
        "N_Y": (plan.lmax + 1) ** 2,
        "N_R": 1 if radial is None else radial.n_functions,
        "N_A": plan.n_A,
        "N_SUMS": sums.edges.n_A,
        "N_CHANNELS": len(channels.function),
        "N_RUNS": len(channels.run_sum),
        "N_MOMENT_DEGREES": sums.n_degrees,
        "N_STORED": products.n_stored,
        "N_INTERNAL": products.n_internal,
        "N_LEVELS": products.n_levels,
        "TILE": layout.tile,
        "PRODUCT_ROWS": layout.product_rows,
        "SMALL_TILE": SMALL_TILE,
        "SMALL_TILE_ROWS": SMALL_TILE_ROWS,
        "EDGE_THREADS": layout.edge_threads,
        "RESIDENT_EDGES": layout.resident_edges,
        "MAX_COLUMNS": MAX_COLUMNS,
        "PAD": PAD,
        "GATHER_LANES": GATHER_LANES,
        "POOL_STRIDE": pool_stride(layout.edge_threads),
        "BLOCK_EDGES_BYTES": BLOCK_EDGES_BYTES,
    }
    flags = {
        "HAS_MANY_BODY": plan.lmax >= 0,
        "SPHERICAL": plan.spherical,
        "NODES_SHARED": layout.nodes_shared,
        "ADJOINTS_SHARED": layout.adjoints_shared,
    }
    unused = "[[maybe_unused]]"
    # instructions hold numbers of 32 bits themselves, others they read
    coefficient = "ACEPAIR_COEFFICIENTS" if dtype == np.float64 else "ACEPAIR_CONSTANT"
    arrays = _of_components(components) | {
        "CHANNEL_FIRST": channels.first.tolist() if plan.lmax >= 0 else [0, 0],
        "RUN_FIRST": channels.run_first.tolist() if plan.lmax >= 0 else [0, 0],
        "CHANNEL_FUNCTION": channels.function.tolist(),
        "CHANNEL_OFFSET": channels.offset.tolist(),
    }
    harmonics = zip(("A", "B", "RAISE", "LOWER", "ALONG"), harmonics_constants(lmax), strict=True)
    coefficients = {f"HARMONICS_{name}": row.tolist() for name, row in harmonics} | {
        "RECURRENCE": [c for part in components if part is not None for c in part.recurrence.T.ravel().tolist()]
    }
    return unit_source(
        "evaluate",
        f"using real = {'double' if dtype == np.float64 else 'float'};",
        *(f"{unused} constexpr int {name} = {value};" for name, value in constants.items()),
        *(f"{unused} constexpr bool {name} = {str(bool(value)).lower()};" for name, value in flags.items()),
        *(f"{unused} ACEPAIR_CONSTANT int {name}[] = {_braces(array or [0])};" for name, array in arrays.items()),
        *(f"{unused} {coefficient} real {name}[] = {_braces(array or [0.0])};" for name, array in coefficients.items()),
    )


def unit_source(name: str, *declarations: str) -> str:
    """Return the translation unit of kernels/NAME.cu, with declarations before it.

    The same for all models unless declarations are given.
    """
    return "\n".join(
        (
            f"// acepair {kernels_digest()}",
            '#include "device.hpp"',
            "namespace acepair::gpu {",
            f"constexpr int THREADS = {THREADS};",
            *declarations,
            "}",
            f'#include "{name}.cu"',
            "",
        )
    )


def _of_components(components: Sequence[RadialPlan | None]) -> dict[str, list[int]]:
    """Return what is known of radial functions: of the many-body part, if there is one, and of every pair term."""

    def numbers(of_plan: Callable[[RadialPlan], int]) -> list[int]:
        return [0 if part is None else of_plan(part) for part in components]

    def of_pairs(field: Callable[[RadialPlan], FloatArray]) -> list[int]:
        """Take what is the same for all species pairs, else −1."""
        columns = [np.zeros(1) if part is None else np.unique(field(part)) for part in components]
        return [int(column[0]) if len(column) == 1 and 0 <= column[0] == int(column[0]) else -1 for column in columns]

    sizes = numbers(lambda part: part.recurrence.shape[1])
    return {
        "RADIAL_KIND": numbers(lambda part: int(part.kind)),
        "TRANSFORM_KIND": of_pairs(lambda part: part.transform[:, 0]),
        "TRANSFORM_P": of_pairs(lambda part: part.transform[:, 1]),
        "TRANSFORM_Q": of_pairs(lambda part: part.transform[:, 2]),
        "ENVELOPE_KIND": of_pairs(lambda part: part.envelope[:, 0]),
        "ENVELOPE_P1": of_pairs(lambda part: part.envelope[:, 1]),
        "ENVELOPE_P2": of_pairs(lambda part: part.envelope[:, 2]),
        "N_POLYNOMIALS": sizes,
        "FIRST_POLYNOMIAL": np.cumsum([0, *sizes])[:-1].tolist(),
        "TABLE_INTERVALS": numbers(lambda part: part.table.shape[1]),
        "TABLE_DEGREE": numbers(lambda part: part.table.shape[2] - 1),
        "TABLE_COLUMNS": numbers(lambda part: part.table.shape[3]),
    }


def harmonics_constants(lmax: int) -> FloatArray:
    """Constants of the recurrences by (l, m ≥ 0), index l(l+1)/2 + m: the five rows of core/harmonics.hpp."""
    constants = np.zeros((5, (lmax + 1) * (lmax + 2) // 2))

    def ratio(l: int, m: int, l2: int, m2: int) -> float:
        """N_lm / N_l2m2."""
        squared = (2 * l + 1) / (2 * l2 + 1) * (2 if m else 1) / (2 if m2 else 1)
        squared *= factorial(l - m) / factorial(l2 - m2) * factorial(l2 + m2) / factorial(l + m)
        return sqrt(squared)

    diagonal = sqrt(1 / (4 * pi))  # Q_mm = N_mm (2m − 1)!!
    for m in range(lmax + 1):
        if m:
            diagonal *= (2 * m - 1) * ratio(m, m, m - 1, m - 1)
        for l in range(m, lmax + 1):
            k = l * (l + 1) // 2 + m
            constants[0, k] = diagonal if l == m else (2 * l - 1) / (l - m) * ratio(l, m, l - 1, m)
            if l > m + 1:
                constants[1, k] = (l + m - 1) / (l - m) * ratio(l, m, l - 2, m)
            if m:
                constants[2, k] = 0.5 * (l + m) * (l + m - 1) * ratio(l, m, l - 1, m - 1)
            if m + 1 < l:
                constants[3, k] = (0.5 if m else 1.0) * ratio(l, m, l - 1, m + 1)
            if m < l:
                constants[4, k] = (l + m) * ratio(l, m, l - 1, m)
    return constants


def _braces(values: Iterable[float]) -> str:
    return "{" + ", ".join(repr(float(v)) if isinstance(v, float) else str(v) for v in values) + "}"


@cache
def kernels_digest() -> str:
    """Tell sources from others: CuPy's cache on disk does not see changes of what is included."""
    files = sorted(path for path in KERNELS.iterdir() if path.suffix in (".cu", ".hpp"))
    return hashlib.sha256(b"\0".join(path.read_bytes() for path in files)).hexdigest()[:16]
