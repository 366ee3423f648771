"""CUDA devices, by CuPy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from .backend import KERNELS, Kernel
from .cuda_options import COMPILER_OPTIONS

_INSTALL = "pip install 'acepair[cuda12]' or 'acepair[cuda13]', as the driver's CUDA version in nvidia-smi is 12 or 13"


class CudaBackend:
    """CuPy's current device.

    Raises
    ------
    ImportError
        If CuPy is not installed, or does not load.
    RuntimeError
        If there is no driver or no device.
    """

    def __init__(self) -> None:
        self.xp = _cupy()
        try:
            n_devices = self.xp.cuda.runtime.getDeviceCount()
        except self.xp.cuda.runtime.CUDARuntimeError as error:
            raise RuntimeError(f'device "cuda" needs an NVIDIA driver, and CuPy says: {error}; {_INSTALL}') from None
        if n_devices == 0:
            raise RuntimeError('device "cuda" needs an NVIDIA GPU that this process may see (CUDA_VISIBLE_DEVICES)')
        attributes = self.xp.cuda.Device().attributes
        self.max_shared = int(attributes["MaxSharedMemoryPerBlockOptin"])
        self.multiprocessors = int(attributes["MultiProcessorCount"])

    def kernel(self, source: str, name: str, shared: int = 0) -> Kernel:
        """Compile (once; CuPy keeps machine code on disk) and return a kernel."""
        function = _module(source).get_function(name)
        if shared > 48 * 1024:
            function.max_dynamic_shared_size_bytes = shared
        nothing = np.uint64(0)

        def launch(blocks: int, threads: int, shared: int, arguments: Sequence[Any], first: int, count: int) -> None:
            pointers = tuple(nothing if a is None else a for a in arguments)
            function((blocks,), (threads,), (*pointers, np.int64(first), np.int64(count)), shared_mem=shared)

        return launch

    def record(self, call: Callable[[], None]) -> Callable[[], None]:
        """Capture launches in a CUDA graph, which goes to the card as one; without graphs `call` itself is returned."""
        cuda = self.xp.cuda
        stream = cuda.Stream(non_blocking=True)
        try:
            with stream:
                stream.begin_capture()
                try:
                    call()
                finally:
                    graph = stream.end_capture()
        except (cuda.runtime.CUDARuntimeError, cuda.driver.CUDADriverError):
            return call
        launch: Callable[[], None] = graph.launch  # to the stream that is current then
        return launch

    def pointer(self, array: Any) -> int:
        """Address on the device."""
        return int(array.data.ptr)

    def to_host(self, array: Any) -> npt.NDArray[Any]:
        """Copy, after all that has been launched."""
        return np.asarray(self.xp.asnumpy(array))


def _cupy() -> Any:
    try:
        import cupy
    except ImportError as error:
        raise ImportError(f'device "cuda" needs CuPy, which does not load: {error}; {_INSTALL}') from error
    return cupy


@cache
def _module(source: str) -> Any:
    return _cupy().RawModule(code=source, options=(*COMPILER_OPTIONS, f"-I{KERNELS}"), backend="nvrtc")
