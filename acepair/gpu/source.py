"""The kernels' source for one model: what is known of it stands in front of the kernels as constants."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from math import factorial, pi, sqrt

import numpy as np

from .._types import FloatArray
from ..plan import Plan, RadialPlan
from .backend import KERNELS
from .sums import Sums
from .tables import Channels, Products

PAD = 32  #: columns of a species are filled up to a multiple of this, which every tile divides
MAX_COLUMNS = 16  #: columns whose edges one block takes on
FEW_TILE, FEW_ROWS = 8, 64  #: tile and rows of threads of blocks of `products_of_few`
_ENERGIES = 8 * 512  # bytes for one number of every thread of blocks of products, at most
_BLOCK_EDGES = 16 * -(-(4 + 8 * MAX_COLUMNS) // 16)


@dataclass(frozen=True, kw_only=True)
class Layout:
    """How the kernels divide their work; chosen by `choose_layout`, or by tests."""

    tile: int  #: columns whose products one block evaluates
    product_rows: int  #: rows of threads of such a block
    edge_threads: int  #: edges one block evaluates at a time
    resident_edges: int  #: edges that registers of a multiprocessor have room for, at least: a multiple of edge_threads
    nodes_shared: bool  #: nodes are in shared memory
    adjoints_shared: bool  #: so are the adjoints of internal nodes


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """Numbers of a plan on which the layout depends."""

    n_functions: int
    n_contracted: int  #: radial functions that a thread keeps in registers
    n_harmonics: int
    n_stored: int
    n_internal: int


def sizes_of(plan: Plan, sums: Sums) -> Sizes:
    """Sizes of a plan."""
    n_internal = 0 if plan.dag is None else len(plan.dag.parent)
    radial = sums.edges.radial
    n_functions = 1 if radial is None else radial.n_functions
    return Sizes(
        n_functions=n_functions,
        n_contracted=n_functions - (radial.recurrence.shape[1] if radial is not None and sums.n_degrees else 0),
        n_harmonics=(plan.lmax + 1) ** 2,
        n_stored=plan.n_A + n_internal,
        n_internal=n_internal,
    )


def choose_layout(sizes: Sizes, itemsize: int, max_shared: int) -> Layout:
    """Choose the largest tile whose nodes fit into shared memory; nodes of 8 columns that do not stay outside."""
    rows = 8
    for tile in (32, 16, 8):
        nodes = sizes.n_stored * tile * itemsize
        if nodes + _ENERGIES <= max_shared:
            break
    else:
        tile, nodes = 32, max_shared
    fits = nodes + _ENERGIES <= max_shared
    adjoints_fit = fits and nodes + sizes.n_internal * tile * itemsize + _ENERGIES <= max_shared
    taken = (nodes + adjoints_fit * sizes.n_internal * tile * itemsize) if fits else 0
    if taken > max_shared // 3:
        rows = 16  # one or two blocks per multiprocessor: more threads each
    threads = 128
    while threads > 32 and 2 * _pool_bytes(sizes, threads, itemsize) > max_shared:
        threads //= 2  # one block evaluates edges while another sums
    registers = 2 * sizes.n_contracted * itemsize // 4  # of 32 bits, for values and slopes
    return Layout(
        tile=tile,
        product_rows=rows,
        edge_threads=threads,
        resident_edges=512 if registers <= 64 else 384 if registers <= 104 else 256,
        nodes_shared=fits,
        adjoints_shared=adjoints_fit,
    )


def pool_bytes(sizes: Sizes, layout: Layout, itemsize: int) -> int:
    """Shared memory of a block of `pool`."""
    return _pool_bytes(sizes, layout.edge_threads, itemsize)


def backward_bytes(layout: Layout, itemsize: int) -> int:
    """Shared memory of a block of `backward`."""
    return _BLOCK_EDGES + 3 * layout.edge_threads * itemsize


def products_bytes(sizes: Sizes, layout: Layout, itemsize: int, tile: int, rows: int) -> int:
    """Shared memory of a block of `products` or `products_of_few`."""
    nodes = sizes.n_stored * layout.nodes_shared + sizes.n_internal * layout.adjoints_shared
    return tile * (8 * rows + nodes * itemsize)


def scratch_nodes(sizes: Sizes, layout: Layout) -> int:
    """Nodes of a column that `products` keeps in global memory."""
    return sizes.n_stored * (not layout.nodes_shared) + sizes.n_internal * (not layout.adjoints_shared)


def _pool_bytes(sizes: Sizes, threads: int, itemsize: int) -> int:
    return _BLOCK_EDGES + (sizes.n_functions + sizes.n_harmonics + 1) * (threads + 2) * itemsize


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
        "N_GROUPS": len(channels.group_sum),
        "N_MOMENT_DEGREES": sums.n_degrees,
        "N_STORED": products.n_stored,
        "N_INTERNAL": products.n_internal,
        "N_LEVELS": products.n_levels,
        "TILE": layout.tile,
        "PRODUCT_ROWS": layout.product_rows,
        "FEW_TILE": FEW_TILE,
        "FEW_ROWS": FEW_ROWS,
        "EDGE_THREADS": layout.edge_threads,
        "RESIDENT_EDGES": layout.resident_edges,
        "MAX_COLUMNS": MAX_COLUMNS,
        "PAD": PAD,
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
        "CHANNEL_FIRST": channels.first.tolist(),
        "GROUP_FIRST": channels.group_first.tolist(),
        "CHANNEL_FUNCTION": channels.function.tolist(),
        "CHANNEL_OFFSET": channels.offset.tolist(),
    }
    harmonics = zip(("A", "B", "RAISE", "LOWER", "ALONG"), harmonics_constants(lmax), strict=True)
    coefficients = {f"HARMONICS_{name}": row.tolist() for name, row in harmonics} | {
        "RECURRENCE": [c for part in components if part is not None for c in part.recurrence.T.ravel().tolist()]
    }
    return "\n".join(
        (
            f"// acepair {kernels_digest()}",
            '#include "device.hpp"',
            "namespace acepair::gpu {",
            f"using real = {'double' if dtype == np.float64 else 'float'};",
            *(f"{unused} constexpr int {name} = {value};" for name, value in constants.items()),
            *(f"{unused} constexpr bool {name} = {str(bool(value)).lower()};" for name, value in flags.items()),
            *(f"{unused} ACEPAIR_CONSTANT int {name}[] = {_braces(array or [0])};" for name, array in arrays.items()),
            *(
                f"{unused} {coefficient} real {name}[] = {_braces(array or [0.0])};"
                for name, array in coefficients.items()
            ),
            "}",
            '#include "evaluate.cu"',
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
