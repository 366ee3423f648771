"""NVRTC without CuPy, driver or device: compiles the kernels and reads what the assembler says of them."""

from __future__ import annotations

import ctypes
import importlib.util
import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

from acepair.gpu.backend import KERNELS
from acepair.gpu.cuda_options import COMPILER_OPTIONS


class Resources(NamedTuple):
    """What a thread of a kernel takes."""

    registers: int
    stack: int  #: bytes of local memory
    spill_stores: int  #: bytes
    spill_loads: int  #: bytes


@cache
def library_path() -> Path | None:
    """Find NVRTC in the wheels nvidia-cuda-nvrtc (CUDA 13) or nvidia-cuda-nvrtc-cu12."""
    spec = importlib.util.find_spec("nvidia")
    folders = [] if spec is None else list(spec.submodule_search_locations or [])
    found = [path for folder in folders for path in Path(folder).glob("*/lib/libnvrtc.so.*")]
    return max(found, default=None, key=lambda path: path.name)


@cache
def _library() -> ctypes.CDLL:
    path = library_path()
    assert path is not None
    for name in path.parent.glob("libnvrtc-builtins.so.*"):
        ctypes.CDLL(str(name))  # NVRTC looks for it by name
    return ctypes.CDLL(str(path))


def version() -> str:
    major, minor = ctypes.c_int(), ctypes.c_int()
    _check(_library().nvrtcVersion(ctypes.byref(major), ctypes.byref(minor)))
    return f"{major.value}.{minor.value}"


def compile_kernels(source: str, architecture: str) -> tuple[bytes, str]:
    """Return machine code and the log; RuntimeError with the log if the source does not compile."""
    lib, program = _library(), ctypes.c_void_p()
    _check(lib.nvrtcCreateProgram(ctypes.byref(program), source.encode(), b"model.cu", 0, None, None))
    try:
        options = [
            *COMPILER_OPTIONS,
            f"-I{KERNELS}",
            f"--gpu-architecture={architecture}",
            "--ptxas-options=-v",
        ]
        array = (ctypes.c_char_p * len(options))(*(option.encode() for option in options))
        status = lib.nvrtcCompileProgram(program, len(options), array)
        log = _string(program, lib.nvrtcGetProgramLogSize, lib.nvrtcGetProgramLog).decode(errors="replace")
        if status:
            raise RuntimeError(f"NVRTC for {architecture}: {log[:5000]}")
        return _string(program, lib.nvrtcGetCUBINSize, lib.nvrtcGetCUBIN), log
    finally:
        lib.nvrtcDestroyProgram(ctypes.byref(program))


def resources(log: str) -> dict[str, Resources]:
    """Read registers and spills of every kernel from the assembler's log."""
    found = {}
    for part in log.split("Compiling entry function '")[1:]:
        name = part.split("'")[0]
        stack, stores, loads = map(int, re.search(r"(\d+) bytes stack frame, (\d+) .*?, (\d+) ", part).groups())  # type: ignore[union-attr]
        registers = int(re.search(r"Used (\d+) registers", part)[1])  # type: ignore[index]
        found[name] = Resources(registers, stack, stores, loads)
    return found


def _string(program: ctypes.c_void_p, size_of: ctypes._NamedFuncPointer, get: ctypes._NamedFuncPointer) -> bytes:
    size = ctypes.c_size_t()
    _check(size_of(program, ctypes.byref(size)))
    buffer = ctypes.create_string_buffer(size.value)
    _check(get(program, buffer))
    return buffer.raw


def _check(status: int) -> None:
    if status:
        raise RuntimeError(f"NVRTC returned {status}")
