"""What each kernel has to do for one atom: double- or single-precision operations and bytes of global memory.

    python gpu_counts.py   prints the table of docs/gpu.md

An operation is an instruction of multiply-add class, of which a multiprocessor does 64 (float64) or 128 (float32) a
cycle. Bytes are those that must move if every array is read or written once: what caches cannot hold is not counted
again. A wavefront is what shared memory and the first-level cache, which are one, serve in a cycle of a multiprocessor:
128 bytes, or one value for all 32 threads of a warp. The largest of operations, bytes and wavefronts over their rates
is a bound from below.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from gpu.stored import CASES, load

from acepair.gpu.layout import Layout, choose_layout, resident_tiles, scratch_nodes, sizes_of
from acepair.gpu.sums import make_sums
from acepair.gpu.tables import make_channels, make_products
from acepair.plan import BasisKind, Plan, RadialPlan

PEAK = {"float64": 33.5e12 / 2, "float32": 67e12 / 2}  #: operations a second of an H200, by NVIDIA's datasheet
BANDWIDTH = 4.3e12  #: bytes a second, measured by a copy on an H200
MULTIPROCESSORS = 132  #: of an H200
MAX_SHARED, CACHE = 227 * 1024, 50e6  #: bytes of shared memory of a block, and of the second-level cache
WAVEFRONTS = MULTIPROCESSORS * 1.98e9  #: a second, by the clock
_SHAPE = 30  # operations of distance, transform and envelope


@dataclass(frozen=True)
class Work:
    """Of one kernel, per atom."""

    operations: float
    bytes: float
    wavefronts: float = 0.0

    def bound(self, dtype: str, bandwidth: float = BANDWIDTH) -> float:
        """Return the least time, s per atom."""
        return max(self.operations / PEAK[dtype], self.bytes / bandwidth, self.wavefronts / WAVEFRONTS)


def count(plan: Plan, n_edges: float, n_list: float, dtype: str, layout: Layout | None = None) -> dict[str, Work]:
    """Count for atoms with `n_edges` neighbours within the cutoff of `n_list` in the list; energies and forces."""
    size = np.dtype(dtype).itemsize
    assert plan.dag is not None
    sums = make_sums(plan)
    channels, products = make_channels(sums.edges), make_products(plan.dag, plan.coefficients)
    sizes = sizes_of(plan, sums)
    layout = layout or choose_layout(sizes, size, MAX_SHARED)
    n_A, n_sums, n_Y, n_pairs = plan.n_A, sums.edges.n_A, (plan.lmax + 1) ** 2, len(plan.rcut)
    # channels that a species pair leaves out are not evaluated
    used = float((channels.sum >= 0).sum()) / n_pairs
    of_l = np.repeat(np.arange(plan.lmax + 1), np.diff(channels.run_first))
    runs_used = (channels.run_function >= 0).sum(axis=0) / n_pairs
    sums_used = float(runs_used @ (2 * of_l + 1))
    Y_read = float(runs_used @ np.where(of_l > 0, 2 * of_l + 1, 0))
    mix = 0 if sums.mix is None else len(sums.mix.A_sum)  # terms, there and again on the way back
    unmixed = 0 if sums.mix is None else n_A
    leaves, uses = len(products.leaf_other), len(products.use)
    outside = scratch_nodes(sizes, layout)
    tiles = MULTIPROCESSORS * resident_tiles(sizes, layout, size, MAX_SHARED)
    if outside * size * layout.tile * tiles <= CACHE:
        outside = 0  # it never leaves the cache
    pair = [sum(_radial(term, slopes) for term in plan.pair_terms) for slopes in (False, True)]
    embed = [_SHAPE + _radial(sums.edges.radial, slopes) + 3 * n_Y for slopes in (False, True)]
    edge_bytes = 4 + 4  # slot, neighbour
    access, uniform = size / 128, 1 / 32  # wavefronts of a number per thread, and of one for a warp
    return {
        "pack_rows": Work(20, 24 + 20 + 32 + 104),
        "find_edges": Work(8 * n_list, 4 * n_list + 32 + 4 * n_edges + 4 * size * (n_list - n_edges)),
        "pool": Work(
            n_edges * (embed[0] + pair[0] + sums_used),
            n_edges * edge_bytes + 32 + n_sums * size + 8,
            n_edges
            * ((sizes.n_functions + n_Y + runs_used.sum()) * access + Y_read / 2 * uniform),  # two edges at once
        ),
        "products": Work(
            2 * products.n_internal + leaves + uses + 2 * products.n_stored + 2 * mix,
            2 * (n_sums + unmixed) * size + 24 + (1 + 2) * outside * size,
            (2 * mix + n_A + 3 * products.n_internal + leaves + 2 * uses + products.n_stored) * access
            + (4 * mix + products.n_internal + leaves + uses + 6 * products.n_stored) * uniform,
        ),
        "backward": Work(
            n_edges * (embed[1] + pair[1] + 5 * n_Y + 2 * sums_used + used + 10),
            n_edges * (edge_bytes + 4 * size) + 32 + n_sums * size + 48,
            6 * n_edges * access + n_edges / 32 * sums_used,
        ),
        "gather_forces": Work(3 * n_list, n_list * (8 + 4 * size) + 48),
        "sum_segments": Work(1, 8),
    }


def _radial(radial: RadialPlan | None, slopes: bool) -> float:
    """Operations for all functions of one edge, of a series those whose weights act on edges."""
    if radial is None:
        return 0
    if radial.kind == BasisKind.TABLE:
        return radial.n_functions * (1 + slopes) * radial.table.shape[2]
    n_q = radial.recurrence.shape[1]
    recurrence = n_q * (5 if slopes else 3)
    contraction = radial.weights.shape[1] * n_q * (1 + slopes) if radial.kind == BasisKind.SERIES else 0
    return recurrence + contraction


def main() -> None:
    """Print the counts of the stored models."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--edges", type=float, default=32.0, help="neighbours within the cutoff")
    parser.add_argument("--list", type=float, default=57.0, help="neighbours in the list, skin 1 Å")
    args = parser.parse_args()
    for case in CASES:
        (plan, *_), _, _ = load(case)
        for dtype in PEAK:
            works = count(plan, args.edges, args.list, dtype)
            total = sum(work.bound(dtype) for work in works.values())
            print(f"\n{case} {dtype}: {total * 1e9:.2f} ns an atom, {1e-6 / total:.0f} M atom-steps/s at the bounds")
            print(f"  {'kernel':14}{'operations':>12}{'bytes':>10}{'wavefronts':>12}{'bound ns':>10}")
            for name, work in works.items():
                row = f"{work.operations:12.0f}{work.bytes:10.0f}{work.wavefronts:12.1f}{work.bound(dtype) * 1e9:10.3f}"
                print(f"  {name:14}{row}")


if __name__ == "__main__":
    main()
