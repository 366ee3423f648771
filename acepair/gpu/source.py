"""The kernels' source for one model: what is known of it stands in front of the kernels as constants."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from math import factorial, pi, sqrt

import numpy as np

from .._types import FloatArray
from ..plan import BasisKind, Plan
from .backend import KERNELS
from .sums import Sums
from .tables import Channels, Products

PAD = 32  #: columns of a species are filled up to a multiple of this, which every tile divides
MAX_COLUMNS = 16  #: columns whose edges one block takes on
_POOL_SHARED = 40 * 1024  # bytes; so little that several blocks fit
_BLOCK_EDGES = 16 * -(-(16 + 4 * MAX_COLUMNS) // 16)


@dataclass(frozen=True, kw_only=True)
class Layout:
    """How the kernels divide their work; chosen by `choose_layout`, or by tests."""

    tile: int  #: columns whose products one block evaluates
    product_rows: int  #: rows of threads of such a block
    edge_threads: int  #: edges one block evaluates at a time
    nodes_shared: bool  #: nodes are in shared memory
    adjoints_shared: bool  #: so are the adjoints of internal nodes


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """Numbers of a plan on which the layout depends."""

    n_functions: int
    n_harmonics: int
    n_stored: int
    n_internal: int


def sizes_of(plan: Plan, sums: Sums) -> Sizes:
    """Sizes of a plan."""
    n_internal = 0 if plan.dag is None else len(plan.dag.parent)
    return Sizes(
        n_functions=1 if sums.edges.radial is None else sums.edges.radial.n_functions,
        n_harmonics=(plan.lmax + 1) ** 2,
        n_stored=plan.n_A + n_internal,
        n_internal=n_internal,
    )


def choose_layout(sizes: Sizes, itemsize: int, max_shared: int) -> Layout:
    """Choose the largest tile whose nodes fit into shared memory; nodes of 8 columns that do not stay outside."""
    rows = 8
    for tile in (32, 16, 8):
        nodes = sizes.n_stored * tile * itemsize
        if nodes + 8 * rows * tile <= max_shared:
            break
    else:
        tile, nodes = 32, max_shared
    fits = nodes + 8 * rows * tile <= max_shared
    adjoints_fit = fits and nodes + sizes.n_internal * tile * itemsize + 16 * 8 * tile <= max_shared
    taken = (nodes + adjoints_fit * sizes.n_internal * tile * itemsize) if fits else 0
    if max_shared // 3 < taken <= max_shared - 16 * 8 * tile:
        rows = 16  # one or two blocks per multiprocessor: more threads each
    threads = 128
    while threads > 32 and _pool_bytes(sizes, threads, itemsize) > _POOL_SHARED:
        threads //= 2
    return Layout(tile=tile, product_rows=rows, edge_threads=threads, nodes_shared=fits, adjoints_shared=adjoints_fit)


def pool_bytes(sizes: Sizes, layout: Layout, itemsize: int) -> int:
    """Shared memory of a block of `pool`."""
    return _pool_bytes(sizes, layout.edge_threads, itemsize)


def backward_bytes(layout: Layout, itemsize: int) -> int:
    """Shared memory of a block of `backward`."""
    return _BLOCK_EDGES + 3 * layout.edge_threads * itemsize


def products_bytes(sizes: Sizes, layout: Layout, itemsize: int) -> int:
    """Shared memory of a block of `products`."""
    nodes = sizes.n_stored * layout.nodes_shared + sizes.n_internal * layout.adjoints_shared
    return layout.tile * (8 * layout.product_rows + nodes * itemsize)


def scratch_nodes(sizes: Sizes, layout: Layout) -> int:
    """Nodes of a column that `products` keeps in global memory."""
    return sizes.n_stored * (not layout.nodes_shared) + sizes.n_internal * (not layout.adjoints_shared)


def _pool_bytes(sizes: Sizes, threads: int, itemsize: int) -> int:
    return _BLOCK_EDGES + (sizes.n_functions + sizes.n_harmonics + 1) * (threads + 1) * itemsize


def model_source(
    plan: Plan, sums: Sums, channels: Channels, products: Products, layout: Layout, dtype: np.dtype[np.generic]
) -> str:
    """Return the translation unit of a model's kernels.

    Linear parameters, cutoffs and weights are data: they do not occur in it.
    """
    radial = sums.edges.radial
    kind = BasisKind.RECURRENCE if radial is None else radial.kind
    lmax = max(plan.lmax, 0)
    constants = {
        "N_SPECIES": len(plan.elements),
        "N_PAIR_TERMS": len(plan.pair_terms),
        "LMAX": lmax,
        "N_Y": (plan.lmax + 1) ** 2,
        "N_R": 1 if radial is None else radial.n_functions,
        "N_Q": 0 if radial is None else radial.recurrence.shape[1],
        "RADIAL_KIND_NUMBER": int(kind),
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
        "EDGE_THREADS": layout.edge_threads,
        "MAX_COLUMNS": MAX_COLUMNS,
    }
    flags = {
        "HAS_MANY_BODY": plan.lmax >= 0,
        "SPHERICAL": plan.spherical,
        "NODES_SHARED": layout.nodes_shared,
        "ADJOINTS_SHARED": layout.adjoints_shared,
    }
    unused = "[[maybe_unused]]"
    harmonics = dict(zip(("A", "B", "RAISE", "LOWER", "ALONG"), harmonics_constants(lmax), strict=True))
    return "\n".join(
        (
            f"// acepair {kernels_digest()}",
            '#include "device.hpp"',
            "namespace acepair::gpu {",
            f"using real = {'double' if dtype == np.float64 else 'float'};",
            *(f"{unused} constexpr int {name} = {value};" for name, value in constants.items()),
            *(f"{unused} constexpr bool {name} = {str(bool(value)).lower()};" for name, value in flags.items()),
            *(
                f"{unused} ACEPAIR_CONSTANT real HARMONICS_{name}[] = {_braces(row)};"
                for name, row in harmonics.items()
            ),
            f"{unused} ACEPAIR_CONSTANT int CHANNEL_FIRST[] = {_braces(channels.first.tolist())};",
            f"{unused} ACEPAIR_CONSTANT int GROUP_FIRST[] = {_braces(channels.group_first.tolist())};",
            f"{unused} ACEPAIR_CONSTANT int CHANNEL_FUNCTION[] = {_braces(channels.function.tolist() or [0])};",
            "}",
            '#include "evaluate.cu"',
            "",
        )
    )


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
