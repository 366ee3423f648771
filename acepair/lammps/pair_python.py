"""`pair_style python`: for LAMMPS builds that have Python but cannot load plugins, such as Debian's.

That style asks for energy and force of one pair at a time. But it reads the attributes `compute_force` and
`compute_energy` once per step, before its loop over pairs: a property can evaluate a many-body potential there, add its
forces to LAMMPS's, and return a function that has nothing to add for any pair. Positions and forces are reached through
LAMMPS's C interface in this process; importing the `lammps` module would load a second LAMMPS.

    variable file string si.acepair
    python setup input 2 SELF ${file} format ps here "from acepair.lammps import setup"
    python setup invoke
    pair_style python ${rcut}
    pair_coeff * * acepair.lammps.ACE Si O

Limits: no per-atom energies or stresses, no hybrid with atoms mapped to NULL on one rank only, and the energy of a rank
that has atoms but no pair within the cutoff is lost. One model at a time.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import numpy as np

from .._types import FloatArray, Int32Array
from ..neighbors import NeighborCache
from .engine import Engine

Pairwise = Callable[[float, int, int], float]

SKIN = 1.0  #: Å, of the list that is kept between steps


class _Library:
    """The LAMMPS this Python runs in."""

    def __init__(self, handle: int) -> None:
        self.handle = ctypes.c_void_p(handle)
        self.c = ctypes.CDLL(None)
        for name in ("lammps_extract_global", "lammps_extract_atom"):
            function = getattr(self.c, name)
            function.argtypes, function.restype = [ctypes.c_void_p, ctypes.c_char_p], ctypes.c_void_p
        self.c.lammps_command.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
        self.c.lammps_command.restype = ctypes.c_void_p

    def command(self, text: str) -> None:
        self.c.lammps_command(self.handle, text.encode())

    def count(self, name: str) -> int:
        address = self.c.lammps_extract_global(self.handle, name.encode())
        return int(ctypes.c_int.from_address(address).value)

    def rows(self, name: str, n: int) -> FloatArray:
        """View of a per-atom array (n, 3), which is one block of memory behind its first row's pointer."""
        if n == 0:
            return np.zeros((0, 3))
        first = ctypes.c_void_p.from_address(self.c.lammps_extract_atom(self.handle, name.encode())).value
        assert first is not None
        return np.ctypeslib.as_array((ctypes.c_double * (3 * n)).from_address(first)).reshape(n, 3)

    def types(self, n: int) -> Int32Array:
        if n == 0:
            return np.zeros(0, dtype=np.int32)
        address = self.c.lammps_extract_atom(self.handle, b"type")
        return np.ctypeslib.as_array((ctypes.c_int32 * n).from_address(address))


_prepared: tuple[_Library, Engine] | None = None


def setup(handle: Any, path: str) -> None:
    """Read a model for the LAMMPS whose handle is given, and set LAMMPS's variable `rcut` to its cutoff in Å.

    Parameters
    ----------
    handle : capsule or int
        What the `python` command passes for SELF.
    path : str
        Of a model file.
    """
    global _prepared
    library = _Library(_address(handle))
    engine = Engine(path)
    library.command(f"variable rcut string {engine.rcut:.15g}")
    _prepared = library, engine


def _address(handle: Any) -> int:
    if isinstance(handle, int):
        return handle
    get = ctypes.pythonapi.PyCapsule_GetPointer
    get.restype, get.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    address: int = get(handle, None)
    return address


class ACE:
    """The potential, as `pair_style python` makes and asks it.

    Raises
    ------
    RuntimeError
        If `setup` was not invoked before.
    """

    def __init__(self) -> None:
        if _prepared is None:
            raise RuntimeError(
                "invoke acepair.lammps.setup before pair_coeff, see the documentation of acepair in LAMMPS"
            )
        self.library, self.engine = _prepared
        self.cache = NeighborCache(self.engine.rcut, SKIN)
        self.species_of_type: dict[int, int] = {}
        self.energy = 0.0

    def check_units(self, units: str) -> None:
        """Refuse other units than metal."""
        if units != "metal":
            raise ValueError(f"acepair requires metal units, got {units}")

    def map_coeff(self, name: str, type: int) -> None:
        """Map an atom type to an element; LAMMPS leaves out those mapped to NULL."""
        self.species_of_type[type] = int(self.engine.species_of([name])[0])

    @property
    def compute_force(self) -> Pairwise:
        """Add the forces of this step; what is returned adds nothing."""
        self._evaluate()
        return _nothing

    @property
    def compute_energy(self) -> Pairwise:
        """Return a function whose values for all pairs sum to the energy of the last `compute_force`."""

        def energy(rsq: float, itype: int, jtype: int) -> float:
            value, self.energy = self.energy, 0.0
            return value

        return energy

    def _evaluate(self) -> None:
        n_local = self.library.count("nlocal")
        n = n_local + self.library.count("nghost")
        self.energy = 0.0
        if n_local == 0:
            return
        types = self.library.types(n)
        table = np.full(max(types.max(), *self.species_of_type) + 1, -1, dtype=np.int32)
        table[list(self.species_of_type)] = list(self.species_of_type.values())
        x = self.library.rows("x", n)
        neighbors = self.cache.update(x, np.zeros((3, 3)), np.zeros(3, dtype=np.bool_), types.astype(np.int64))
        results = self.engine.evaluate(x, table[types], neighbors.first, neighbors.neighbor, n_local)
        forces = self.library.rows("f", n)
        forces += results.forces
        self.energy = float(results.site_energies.sum())


def _nothing(rsq: float, itype: int, jtype: int) -> float:
    return 0.0
