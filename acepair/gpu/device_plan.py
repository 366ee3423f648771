"""A plan on the device: its arrays, its kernels and the order in which they run."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ..plan import Dag, Plan, RadialPlan
from .arguments import Struct, field_names
from .backend import Backend, Kernel, to_device
from .buffers import Buffers
from .layout import (
    GATHER_LANES,
    MAX_COLUMNS,
    MIN_COLUMNS,
    PAD,
    SMALL_TILE,
    SMALL_TILE_ROWS,
    THREADS,
    Layout,
    backward_bytes,
    choose_layout,
    pool_bytes,
    products_bytes,
    resident_tiles,
    scratch_nodes,
    sizes_of,
)
from .lists import DeviceList
from .source import model_source
from .sums import Mix, Sums, make_sums
from .tables import Channels, Products, make_channels, make_products, padded_weights


class DevicePlan:
    """A plan ready to run.

    Parameters
    ----------
    backend : Backend
    plan : Plan
        With a cutoff above zero; lists number species as it does.
    dtype : dtype
        float64 or float32: of what is evaluated for edges and products. Positions, energies and the sums that make
        forces and virials are float64.
    layout : Layout, optional
        Chosen unless given.
    chunk_bytes : int
        What sums and their adjoints may take.
    """

    def __init__(
        self,
        backend: Backend,
        plan: Plan,
        dtype: npt.DTypeLike,
        *,
        layout: Layout | None = None,
        chunk_bytes: int = 1 << 30,
    ) -> None:
        self.backend, self.dtype = backend, np.dtype(dtype)
        itemsize = self.dtype.itemsize
        sums = make_sums(plan)
        self.sizes = sizes_of(plan, sums)
        self.layout = layout or choose_layout(self.sizes, itemsize, backend.max_shared)
        self.n_species = len(plan.elements)
        self._n_sums, self._n_unmixed = sums.edges.n_A, 0 if sums.mix is None else plan.n_A
        channels, products = make_channels(sums.edges), make_products(_dag(plan), plan.coefficients)
        self.source = model_source(plan, sums, channels, products, self.layout, self.dtype)
        self.model = _model_struct(backend, plan, sums, channels, products, self.dtype)
        self.shared_bytes = {
            "pool": pool_bytes(self.sizes, self.layout, itemsize),
            "products": products_bytes(self.sizes, self.layout, itemsize, self.layout.tile, self.layout.product_rows),
            "products_of_small_tiles": products_bytes(self.sizes, self.layout, itemsize, SMALL_TILE, SMALL_TILE_ROWS),
            "backward": backward_bytes(self.layout, itemsize),
            "sum_segments": 8 * 10 * THREADS,
        }
        if self.shared_bytes["pool"] > backend.max_shared:
            raise ValueError(
                f"radial functions and harmonics must fit into {backend.max_shared} bytes of shared memory, "
                f"got {self.sizes.n_functions} and {self.sizes.n_harmonics}, which take {self.shared_bytes['pool']}; "
                'device="cpu" has no such limit'
            )
        #: of a block, where it is not 128
        self.threads = {
            "pool": self.layout.edge_threads,
            "backward": self.layout.edge_threads,
            "products": self.layout.tile * self.layout.product_rows,
            "products_of_small_tiles": SMALL_TILE * SMALL_TILE_ROWS,
        }
        column_bytes = (2 * self._n_sums + self._n_unmixed) * itemsize + 8
        self._most_columns = self._most_products = max(PAD, chunk_bytes // column_bytes // PAD * PAD)
        self._scratch = scratch_nodes(self.sizes, self.layout)
        if self._scratch:  # so few at a time that it stays in the cache
            tiles = resident_tiles(self.sizes, self.layout, itemsize, backend.max_shared)
            self._most_products = tiles * backend.multiprocessors * self.layout.tile
        self._kernels: dict[str, Kernel] = {}

    def evaluate(self, buffers: Buffers, *, gradients: bool, virial: bool) -> None:
        """Add energies, and forces and virials if wanted, to what the buffers hold."""
        list_, work, chunk = buffers.list, self._work(buffers), self._chunk(buffers.list)
        products, tile = self._products(list_)
        per_block = work.fields["columns_per_block"]
        self._launch("find_edges", list_.n_columns, list_, work, per_block=THREADS // 32)
        for first in range(0, list_.n_columns, chunk):
            n = min(chunk, list_.n_columns - first)
            self._launch("pool", n, list_, work, first, n, per_block=per_block)
            self._launch(products, min(n, self._most_products), list_, work, first, n, per_block=tile)
            if gradients:
                self._launch("backward", n, list_, work, first, n, per_block=per_block)
        if gradients:
            self._launch(
                "gather_forces", list_.n_owners, list_, work, 0, int(virial), per_block=THREADS // GATHER_LANES
            )

    def begin(self, buffers: Buffers, motion: Struct) -> None:
        """Place atoms and images; all results become zero."""
        kernel, blocks = self._kernel("pack_rows"), -(-buffers.list.n_rows // THREADS)
        kernel(blocks, THREADS, 0, (motion.value, buffers.list.struct.value, self._work(buffers).value), 0, 0)

    def finish(self, buffers: Buffers, *, virial: bool) -> None:
        """Sum energies and virials over structures."""
        list_, work = buffers.list, self._work(buffers)
        self._launch("sum_segments", list_.n_segments, list_, work, 0, int(virial), per_block=1)
        self._launch("sum_structures", 10 * list_.n_structures, list_, work)

    def _products(self, list_: DeviceList) -> tuple[str, int]:
        """Choose the kernel, and its tile: where there are fewer tiles than multiprocessors, smaller ones."""
        if list_.n_columns < self.layout.tile * self.backend.multiprocessors:
            return "products_of_small_tiles", SMALL_TILE
        return "products", self.layout.tile

    def _launch(
        self,
        name: str,
        n: int,
        list_: DeviceList,
        work: Struct,
        first: int = 0,
        count: int = 0,
        *,
        per_block: int = THREADS,
    ) -> None:
        if n:
            arguments = (self.model.value, list_.struct.value, work.value)
            threads, shared = self.threads.get(name, THREADS), self.shared_bytes.get(name, 0)
            self._kernel(name)(-(-n // per_block), threads, shared, arguments, first, count)

    def _kernel(self, name: str) -> Kernel:
        if name not in self._kernels:
            self._kernels[name] = self.backend.kernel(self.source, name, self.shared_bytes.get(name, 0))
        return self._kernels[name]

    def _chunk(self, list_: DeviceList) -> int:
        """Return how many columns sums have room for."""
        return min(self._most_columns, max(list_.n_columns, PAD))

    def _work(self, buffers: Buffers) -> Struct:
        """Return the struct of working memory for a list."""
        list_, chunk = buffers.list, self._chunk(buffers.list)
        work = buffers.works.get(self)
        if work is None:
            xp = self.backend.xp
            # eight blocks for each multiprocessor are about two rounds
            many = list_.n_columns > 8 * MAX_COLUMNS * self.backend.multiprocessors
            work = buffers.works[self] = Struct(
                self.backend,
                "Work",
                **buffers.arrays,
                slot_end=xp.empty((max(list_.n_columns, 1), self.n_species), dtype=xp.int32),
                sums=xp.empty(max(self._n_sums * chunk, 1), dtype=self.dtype),
                sums_adj=xp.empty(max(self._n_sums * chunk, 1), dtype=self.dtype),
                A_adj=xp.empty(max(self._n_unmixed * chunk, 1), dtype=self.dtype),
                scratch=xp.empty(max(self._scratch * min(chunk, self._most_products), 1), dtype=self.dtype),
                pair_energy=xp.empty(chunk),
                columns_per_block=MAX_COLUMNS if many else MIN_COLUMNS,
            )
        return work


def _dag(plan: Plan) -> Dag:
    none = np.zeros(0, dtype=np.int32)
    return plan.dag or Dag(0, none, none, none, np.zeros(1, dtype=np.int32), none, np.zeros(0, dtype=np.int64))


def _model_struct(
    backend: Backend, plan: Plan, sums: Sums, channels: Channels, products: Products, real: np.dtype[Any]
) -> Struct:
    """Upload a plan."""
    integers = {
        "channel_sum": channels.sum,
        "run_sum": channels.run_sum,
        "run_function": channels.run_function,
        "product_first": products.product_first,
        "product": products.product,
        "row_first": products.row_first,
        "row_node": products.row_node,
        "leaf_first": products.leaf_first,
        "use_first": products.use_first,
        "use": products.use,
    }
    return Struct(
        backend,
        "Model",
        E0=to_device(backend, plan.E0),
        rcut=to_device(backend, plan.rcut),
        radial=[
            _radial_struct(backend, sums.edges.radial, real, many_body=True),
            *(_radial_struct(backend, term, real, many_body=False) for term in plan.pair_terms),
        ],
        leaf=to_device(backend, _leaves(products, real)),
        node_coefficient=to_device(backend, products.node_coefficient, real),
        n_leaf_terms=len(products.leaf_other),
        **_mix_fields(backend, sums.mix, real),
        **{name: to_device(backend, array, np.int32) for name, array in integers.items()},
    )


def _mix_fields(backend: Backend, mix: Mix | None, real: np.dtype[Any]) -> dict[str, Any]:
    """Fields of `Model` that say how A is made of sums."""
    if mix is None:
        names = ("mix_first", "mix_sum", "mix_weight", "unmix_first", "unmix_A", "unmix_weight")
        return {**dict.fromkeys(names), "n_mix_terms": 0}
    return {
        "mix_first": to_device(backend, mix.A_first, np.int32),
        "mix_sum": to_device(backend, mix.A_sum, np.int32),
        "mix_weight": to_device(backend, mix.A_weight, real),
        "unmix_first": to_device(backend, mix.sum_first, np.int32),
        "unmix_A": to_device(backend, mix.sum_A, np.int32),
        "unmix_weight": to_device(backend, mix.sum_weight, real),
        "n_mix_terms": len(mix.A_sum),
    }


def _leaves(products: Products, real: np.dtype[Any]) -> npt.NDArray[np.int32]:
    """Structs `Leaf` of kernels/arguments.hpp, as 32-bit words."""
    fields = {"names": ["coefficient", "other"], "formats": [real, np.int32], "itemsize": 2 * real.itemsize}
    leaves = np.zeros(products.leaf_coefficient.shape, dtype=fields)  # type: ignore[call-overload]
    leaves["coefficient"], leaves["other"] = products.leaf_coefficient, products.leaf_other
    return np.frombuffer(leaves.tobytes(), dtype=np.int32)


def _radial_struct(backend: Backend, radial: RadialPlan | None, real: np.dtype[Any], *, many_body: bool) -> Struct:
    if radial is None:
        return Struct(backend, "Radial", **dict.fromkeys(field_names("Radial")))
    # last are functions; of a pair term, which is one function, polynomials
    weights = radial.weights.transpose(0, 2, 1) if many_body else radial.weights
    arrays = {
        "transform": radial.transform,
        "envelope": radial.envelope,
        "rcut": radial.rcut,
        "weights": padded_weights(weights, real),
        "table": radial.table,
    }
    return Struct(backend, "Radial", **{name: to_device(backend, array, real) for name, array in arrays.items()})
