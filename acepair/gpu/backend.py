"""The one place that knows what runs the kernels and whose arrays they are.

CuPy in use, NumPy and a host shim in the tests.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy.typing as npt

KERNELS = Path(__file__).parent / "kernels"


class Kernel(Protocol):
    """A kernel ready to be launched."""

    def __call__(
        self, blocks: int, threads: int, shared: int, arguments: Sequence[Any], first: int, count: int
    ) -> None:
        """Launch with `shared` bytes of shared memory; arguments are three structs (arrays of int64) or None."""


class Backend(Protocol):
    """A device."""

    @property
    def xp(self) -> Any:
        """Module of its arrays: CuPy, or NumPy."""

    @property
    def max_shared(self) -> int:
        """Bytes of shared memory a block may have."""

    @property
    def multiprocessors(self) -> int:
        """How many there are to keep busy."""

    def kernel(self, source: str, name: str, shared: int = 0) -> Kernel:
        """Return a kernel of a translation unit, which is compiled once; `shared` bytes are the most it will get."""

    def record(self, call: Callable[[], None]) -> Callable[[], None]:
        """Return what repeats the launches of `call`, which does nothing else, at less cost if the device can."""

    def pointer(self, array: Any) -> int:
        """Address of an array's data on the device."""

    def to_host(self, array: Any) -> npt.NDArray[Any]:
        """Copy to NumPy, after all that has been launched."""


def to_device(backend: Backend, array: npt.ArrayLike, dtype: npt.DTypeLike | None = None) -> Any:
    """Return a C-contiguous array of the device; at least one element is allocated, so that it has an address."""
    values = backend.xp.ascontiguousarray(backend.xp.asarray(array, dtype=dtype))
    return values if values.size else backend.xp.zeros(1, dtype=values.dtype)


def stable_order(backend: Backend, keys: Any) -> Any:
    """Return the order that sorts keys, equal ones as they stand. CuPy's sorting is not made for no keys at all."""
    xp = backend.xp
    return xp.argsort(keys, kind="stable") if len(keys) else xp.zeros(0, dtype=xp.int64)


def places_in(backend: Backend, ascending: Any, values: Any, side: str = "left") -> Any:
    """As `searchsorted`, which CuPy's does not do in no numbers at all."""
    xp = backend.xp
    return xp.searchsorted(ascending, values, side=side) if len(ascending) else xp.zeros(len(values), dtype=xp.int64)


def cuda_backend() -> Backend:
    """Return the current CUDA device.

    Raises
    ------
    ImportError
        If CuPy is not installed.
    RuntimeError
        If there is no driver or no device.
    """
    from .cuda import CudaBackend

    return CudaBackend()
