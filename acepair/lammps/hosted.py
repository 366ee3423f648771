"""What `pair_style acepair/python` calls: the plugin hosts Python in LAMMPS and hands over views of its arrays.

Methods return "" if all went well and a message otherwise: C++ has no use for exceptions.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, Concatenate, NamedTuple, ParamSpec

import numpy as np

from .. import _kernels
from .._types import FloatArray, Int32Array, IntArray
from .engine import Engine

if TYPE_CHECKING:
    from ..gpu.hosted import HostedPlan

P = ParamSpec("P")


class _Views(NamedTuple):
    """Arrays of LAMMPS's plugin for one plan, valid until the next `bind`."""

    xyzs: FloatArray  #: (n_rows, 4) positions and species
    first: IntArray
    neighbor: Int32Array
    centres: Int32Array
    energies: FloatArray  #: (n_local,)
    forces: FloatArray  #: (n_rows, 4)
    virial: FloatArray  #: (9,)
    coincident: Int32Array  #: (2,) rows in the same place, −1 unless there are such


def _reporting(method: Callable[Concatenate[Hosted, P], str | None]) -> Callable[Concatenate[Hosted, P], str]:
    """Turn exceptions into messages; the traceback goes to the screen."""

    @wraps(method)
    def call(self: Hosted, /, *args: P.args, **kwargs: P.kwargs) -> str:
        try:
            return method(self, *args, **kwargs) or ""
        except Exception as error:
            traceback.print_exc()
            return f"{type(error).__name__}: {error}"

    return call


class Hosted:
    """One model in one LAMMPS."""

    def __init__(self) -> None:
        self.engine: Engine | None = None
        self._views: dict[int, _Views] = {}
        self._on_device: list[HostedPlan] = []

    @_reporting
    def open(self, path: str, device: str) -> str | None:
        """Read a model for a device, cpu or cuda."""
        if device not in ("cpu", "cuda"):
            return f"device must be cpu or cuda, got {device}"
        self.engine = Engine(path)
        self._views, self._on_device = {}, []
        if device == "cuda":
            from ..gpu.backend import cuda_backend
            from ..gpu.hosted import HostedPlan

            backend = cuda_backend()
            self._on_device = [HostedPlan(backend, plan) for plan in self.engine.plans]
        return None

    @_reporting
    def bind(self, plan: int, *buffers: memoryview) -> str | None:
        """Take the arrays of a plan: called when the neighbour list is new, or an array has moved."""
        dtypes = (np.float64, np.int64, *[np.int32] * 2, *[np.float64] * 3, np.int32)
        arrays: list[Any] = [_view(buffer, dtype) for buffer, dtype in zip(buffers, dtypes, strict=True)]
        arrays[0], arrays[5] = arrays[0].reshape(-1, 4), arrays[5].reshape(-1, 4)
        self._views[plan] = _Views(*arrays)
        if self._on_device:
            self._on_device[plan].bind()
        return None

    @_reporting
    def step(self, plan: int, gradients: memoryview | None = None) -> str | None:
        """Add energies, forces and virial of a plan; `gradients` (n_edges, 3) takes ∂E_i/∂D of the list's edges."""
        v = self._views[plan]
        edges = None if gradients is None else _view(gradients, np.float64).reshape(-1, 3)
        evaluate = self._evaluate_on_device if self._on_device else self._evaluate
        v.coincident[:] = evaluate(plan, v, edges)
        return None

    def _evaluate(self, plan: int, v: _Views, edges: FloatArray | None) -> tuple[int, int]:
        assert self.engine is not None
        lists = (v.xyzs, v.first, v.neighbor, v.centres)
        coincident: tuple[int, int] = _kernels.evaluate(
            self.engine.engines[plan], self.engine.memory, *lists, v.energies, v.forces, v.virial, None, edges, 1
        )
        return coincident

    def _evaluate_on_device(self, plan: int, v: _Views, edges: FloatArray | None) -> tuple[int, int]:
        coincident = self._on_device[plan].add(v.xyzs, v.first, v.neighbor, v.energies, v.forces, v.virial)
        if coincident is None and edges is not None:
            i, j, found = self._on_device[plan].edge_gradients()
            edges[_places(v, i, j)] = found
        return coincident or (-1, -1)


def _places(v: _Views, i: Int32Array, j: Int32Array) -> IntArray:
    """Where edges (i, j) stand in LAMMPS's list; they are of different rows, since every ghost is one."""
    n = len(v.xyzs)
    keys = np.repeat(np.arange(len(v.first) - 1) * n, np.diff(v.first)) + v.neighbor
    order = np.argsort(keys)
    places: IntArray = order[np.searchsorted(keys, i.astype(np.int64) * n + j, sorter=order)]
    return places


def _view(buffer: memoryview, dtype: type) -> Any:
    """Array over a buffer, which may be empty."""
    return np.frombuffer(buffer, dtype=dtype) if len(buffer) else np.zeros(0, dtype=dtype)
