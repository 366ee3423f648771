"""The kernels on the CPU: NumPy for CuPy, and the same sources compiled by g++ with shim.hpp for CUDA."""

from __future__ import annotations

import ctypes
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from acepair.gpu.backend import KERNELS

from .poison import Poisoned

HERE = Path(__file__).parent
COMPILER = os.environ.get("CXX") or shutil.which("g++") or shutil.which("clang++")
_FLAGS = ("-std=c++17", "-O1", "-fPIC", "-shared", "-Wall", "-Wextra", "-Werror", "-ffp-contract=off")
_POINTERS, _NUMBERS = [ctypes.c_void_p] * 3, [ctypes.c_int64, ctypes.c_int64, ctypes.c_int]


class HostBackend:
    """A backend without a device; notes launches, and of how many blocks the last one of each kernel was.

    With many `multiprocessors`, structures count as small ones, which are divided more finely. With `backwards`, blocks
    and the threads of each phase run from the last to the first.
    """

    def __init__(self, max_shared: int = 232448, *, multiprocessors: int = 1, backwards: bool = False) -> None:
        self.xp: Any = Poisoned(np)
        self.max_shared, self.multiprocessors, self.backwards = max_shared, multiprocessors, backwards
        self.launched: list[str] = []
        self.n_blocks: dict[str, int] = {}
        self.n_recordings = 0
        self._recording: list[Callable[[], None]] | None = None

    def kernel(self, source: str, name: str, shared: int = 0) -> Any:
        assert shared <= self.max_shared
        library = _library(source)
        function = getattr(library, name)
        launch = library.shim_launch
        launch.argtypes = [ctypes.c_void_p, ctypes.c_int64, ctypes.c_int, ctypes.c_int64, *_POINTERS, *_NUMBERS]

        def run(blocks: int, threads: int, shared: int, arguments: Sequence[Any], first: int, count: int) -> None:
            if self._recording is not None:
                self._recording.append(lambda: launch_now(blocks, threads, shared, arguments, first, count))
                return
            launch_now(blocks, threads, shared, arguments, first, count)

        def launch_now(
            blocks: int, threads: int, shared: int, arguments: Sequence[Any], first: int, count: int
        ) -> None:
            self.launched.append(name)
            self.n_blocks[name] = blocks
            assert 0 < blocks < 2**31
            assert 0 < threads <= 1024
            pointers = [None if a is None else a.ctypes.data for a in arguments]
            if launch(
                ctypes.cast(function, ctypes.c_void_p), blocks, threads, shared, *pointers, first, count, self.backwards
            ):
                raise RuntimeError(f"{name} wrote beyond its {shared} bytes of shared memory")

        return run

    def record(self, call: Callable[[], None]) -> Callable[[], None]:
        """Repeat the launches of one call with their arguments, as a CUDA graph does, without Python in between."""
        self._recording = []
        self.n_recordings += 1
        call()
        launches, self._recording = self._recording, None

        def replay() -> None:
            for launch in launches:
                launch()

        return replay

    def pointer(self, array: Any) -> int:
        return int(array.ctypes.data)

    def to_host(self, array: Any) -> np.ndarray:
        return np.array(array)


_libraries: dict[str, ctypes.CDLL] = {}


def _library(source: str) -> ctypes.CDLL:
    """Compile a translation unit, once in a process."""
    key = hashlib.sha256(source.encode()).hexdigest()
    if key not in _libraries:
        assert COMPILER is not None
        with tempfile.TemporaryDirectory() as folder:
            text, out = Path(folder, "kernels.cpp"), Path(folder, "kernels.so")
            text.write_text(source)
            command = [COMPILER, *_FLAGS, f"-I{KERNELS}", f"-I{HERE}", "-o", str(out), str(text)]
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode:
                raise RuntimeError(f"{' '.join(command)}\n{done.stderr[:5000]}")
            _libraries[key] = ctypes.CDLL(str(out))
    return _libraries[key]
