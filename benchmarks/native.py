"""Compiling C++ of the benchmarks against the core, with the flags of the build."""

from __future__ import annotations

import ctypes
import re
import shutil
import subprocess
from pathlib import Path

HERE = Path(__file__).parent
SOURCE = HERE.parent / "cython_src"


def compiler() -> str | None:
    """Return the C++ compiler, None if there is none."""
    return shutil.which("g++") or shutil.which("c++")


def compiler_version() -> str:
    """Return the first line of what the compiler says of itself."""
    program = compiler()
    if program is None:
        return "none"
    return subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout.splitlines()[0]


def kernel_flags(isa: str) -> list[str]:
    """Return the flags with which the build compiles the kernels of an instruction set."""
    for line in (SOURCE / "core" / "kernels.txt").read_text().splitlines():
        _, name, _, *flags = line.split()
        if name == isa:
            return ["-O3", *flags, f"-DACEPAIR_ISA={isa}"]
    raise ValueError(f"cython_src/core/kernels.txt has no kernels called {isa}")


def compile_core(sources: list[Path], isa: str, output: Path, *options: str) -> None:
    """Compile and link, or only compile with -c among the options.

    Raises
    ------
    RuntimeError
        If that fails; the message is the compiler's.
    """
    command = [compiler() or "g++", "-std=gnu++17", "-fPIC", "-fvisibility=hidden", *kernel_flags(isa), f"-I{SOURCE}"]
    run = subprocess.run([*command, *options, *map(str, sources), "-o", str(output)], capture_output=True, text=True)
    if run.returncode:
        raise RuntimeError(run.stderr)


def load_library(source: str, isa: str, folder: Path) -> ctypes.CDLL:
    """Compile one of the benchmarks' files to a shared library and load it."""
    library = folder / f"{Path(source).stem}-{isa}.so"
    compile_core([HERE / source], isa, library, "-shared")
    return ctypes.CDLL(str(library))


def short_name(name: str) -> str:
    """Return a function's name without namespaces, arguments, return type and the compiler's additions."""
    name = re.sub(r"\(anonymous namespace\)::|acepair::\w+::|acepair::", "", name)
    return re.sub(r"\(.*\)| \[clone .*\]", "", name).removeprefix("void ").strip()
