"""How the kernels divide their work, and what shared memory that takes; kernels get these numbers as constants."""

from __future__ import annotations

from dataclasses import dataclass

from ..plan import Plan
from .sums import Sums

THREADS = 128  #: of a block, where the layout does not say otherwise
PAD = 32  #: columns of a species are filled up to a multiple of this, which every tile divides
MAX_COLUMNS = 16  #: whose edges one block takes on; a power of two
MIN_COLUMNS = 4  #: likewise where there are too few columns to keep all multiprocessors busy
SMALL_TILE, SMALL_TILE_ROWS = 8, 64  #: tile and rows of threads of `products_of_small_tiles`
GATHER_LANES = 8  #: lanes that gather the edges of one atom; a power of two
BLOCK_EDGES_BYTES = 16 * -(-(4 + 8 * MAX_COLUMNS) // 16)  #: of struct BlockEdges
_ENERGIES = 8 * 512  # bytes for one number of every thread of blocks of products, at most


@dataclass(frozen=True, kw_only=True)
class Layout:
    """How the kernels of one model divide their work; chosen by `choose_layout`, or by tests."""

    tile: int  #: columns whose products one block evaluates
    product_rows: int  #: rows of threads of such a block: threads for each column
    edge_threads: int  #: edges one block evaluates at a time
    resident_edges: int  #: edges that registers of a multiprocessor have room for, at least
    nodes_shared: bool  #: nodes are in shared memory
    adjoints_shared: bool  #: so are the adjoints of internal nodes

    def __post_init__(self) -> None:
        if self.resident_edges % self.edge_threads:
            raise ValueError(f"resident_edges must be a multiple of edge_threads, got {self}")


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
    """Choose the largest tile whose nodes fit into shared memory; if none does, nodes are in global memory."""
    fitting = [tile for tile in (32, 16, 8) if sizes.n_stored * tile * itemsize + _ENERGIES <= max_shared]
    tile = fitting[0] if fitting else 32
    all_nodes = (sizes.n_stored + sizes.n_internal) * tile * itemsize
    adjoints_fit = bool(fitting) and all_nodes + _ENERGIES <= max_shared
    taken = all_nodes if adjoints_fit else sizes.n_stored * tile * itemsize
    threads = 128
    while threads > 32 and 2 * _pool_bytes(sizes, threads, itemsize) > max_shared:
        threads //= 2  # one block evaluates edges while another sums
    # a thread keeps values and slopes in registers, of 32 bits, and some 64 others; a multiprocessor has 65536
    registers = 2 * sizes.n_contracted * itemsize // 4
    return Layout(
        tile=tile,
        # one or two blocks fit on a multiprocessor: more threads each
        product_rows=16 if fitting and taken > max_shared // 3 else 8,
        edge_threads=threads,
        resident_edges=512 if registers <= 64 else 384 if registers <= 104 else 256,
        nodes_shared=bool(fitting),
        adjoints_shared=adjoints_fit,
    )


def pool_stride(edge_threads: int) -> int:
    """Distance of rows of edges in the shared memory of `pool`.

    It is even, for two edges at a time; lanes that read the same two edges of several rows meet different banks.
    """
    return edge_threads + 2


def pool_bytes(sizes: Sizes, layout: Layout, itemsize: int) -> int:
    """Shared memory of a block of `pool`."""
    return _pool_bytes(sizes, layout.edge_threads, itemsize)


def backward_bytes(layout: Layout, itemsize: int) -> int:
    """Shared memory of a block of `backward`."""
    return BLOCK_EDGES_BYTES + 3 * layout.edge_threads * itemsize


def products_bytes(sizes: Sizes, layout: Layout, itemsize: int, tile: int, rows: int) -> int:
    """Shared memory of a block of `products` or `products_of_small_tiles`."""
    nodes = sizes.n_stored * layout.nodes_shared + sizes.n_internal * layout.adjoints_shared
    return tile * (8 * rows + nodes * itemsize)


def resident_tiles(sizes: Sizes, layout: Layout, itemsize: int, max_shared: int) -> int:
    """Tiles of products that a multiprocessor evaluates at a time, or a few less: it has room for 2048 threads."""
    shared = products_bytes(sizes, layout, itemsize, layout.tile, layout.product_rows)
    return max(1, min(max_shared // shared, 2048 // (layout.tile * layout.product_rows), 4))


def scratch_nodes(sizes: Sizes, layout: Layout) -> int:
    """Nodes of a column that `products` keeps in global memory."""
    return sizes.n_stored * (not layout.nodes_shared) + sizes.n_internal * (not layout.adjoints_shared)


def _pool_bytes(sizes: Sizes, edge_threads: int, itemsize: int) -> int:
    return BLOCK_EDGES_BYTES + (sizes.n_functions + sizes.n_harmonics + 1) * pool_stride(edge_threads) * itemsize
