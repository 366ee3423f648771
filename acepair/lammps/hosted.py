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

_CENTROID = [0, 4, 8, 1, 2, 5, 3, 6, 7]  # LAMMPS's order of a 3 × 3 in rows


class _Views(NamedTuple):
    """Arrays of LAMMPS's plugin for one plan, valid until the next `bind`."""

    xyzs: FloatArray  #: (n_rows, 4) positions and species
    first: IntArray
    neighbor: Int32Array
    centres: Int32Array
    species_first: IntArray
    energies: FloatArray  #: (n_local,)
    forces: FloatArray  #: (n_rows, 4)
    virial: FloatArray  #: (9,)


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
        dtypes = (np.float64, np.int64, np.int32, np.int32, np.int64, np.float64, np.float64, np.float64)
        arrays: list[Any] = [_view(buffer, dtype) for buffer, dtype in zip(buffers, dtypes, strict=True)]
        arrays[0], arrays[6] = arrays[0].reshape(-1, 4), arrays[6].reshape(-1, 4)
        self._views[plan] = _Views(*arrays)
        if self._on_device:
            self._on_device[plan].bind()
        return None

    @_reporting
    def step(self, plan: int) -> str | None:
        """Add energies, forces and virial of a plan."""
        return self._evaluate_on_device(plan) if self._on_device else self._evaluate(plan, None)

    @_reporting
    def step_per_atom(self, plan: int, vatom: memoryview, cvatom: memoryview) -> str | None:
        """As `step`, and add the virials of single atoms: halves to both, and the centroid form to the neighbour."""
        views = self._views[plan]
        if self._on_device:
            problem = self._evaluate_on_device(plan)
            i, j, gradients = self._on_device[plan].edge_gradients()
        else:
            gradients = np.zeros((len(views.neighbor), 3))
            problem = self._evaluate(plan, gradients)
            i, j = np.repeat(np.arange(len(views.first) - 1), np.diff(views.first)), views.neighbor
        if problem:
            return problem
        virials = -(views.xyzs[j, :3] - views.xyzs[i, :3])[:, :, None] * gradients[:, None, :]
        if len(cvatom):
            np.add.at(_view(cvatom, np.float64).reshape(-1, 9), j, virials.reshape(-1, 9)[:, _CENTROID])
        if len(vatom):
            symmetric = (virials + virials.transpose(0, 2, 1)).reshape(-1, 9)[:, _CENTROID[:6]] / 4
            halves = _view(vatom, np.float64).reshape(-1, 6)
            np.add.at(halves, i, symmetric)
            np.add.at(halves, j, symmetric)
        return None

    def _evaluate(self, plan: int, gradients: FloatArray | None) -> str | None:
        assert self.engine is not None
        v, engine = self._views[plan], self.engine
        lists = (v.xyzs, v.first, v.neighbor, v.centres, v.species_first)
        i, j = _kernels.evaluate(
            engine.engines[plan], engine.memory, *lists, v.energies, v.forces, v.virial, None, gradients, 1
        )
        return f"coincident {i} {j}" if i >= 0 else None

    def _evaluate_on_device(self, plan: int) -> str | None:
        v = self._views[plan]
        pair = self._on_device[plan].add(v.xyzs, v.first, v.neighbor, v.energies, v.forces, v.virial)
        return None if pair is None else f"coincident {pair[0]} {pair[1]}"


def _view(buffer: memoryview, dtype: type) -> Any:
    """Array over a buffer, which may be empty."""
    return np.frombuffer(buffer, dtype=dtype) if len(buffer) else np.zeros(0, dtype=dtype)
