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

LAMMPS takes the energy and the virial from this loop, so some of its settings would lose a part of them. Where that can
be noticed it is refused: newton off, a cutoff below the model's, neighbors that `neigh_modify exclude` or
`special_bonds` leave out. docs/lammps.md has the limits that remain.
"""

from __future__ import annotations

import ctypes
import os
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt

from .._types import FloatArray, Int32Array, IntArray
from ..neighbors import NeighborCache, NeighborList
from .engine import CoincidentAtomsError, Engine

Pairwise = Callable[[float, int, int], float]

SKIN = 1.0  #: Å, of the list that is kept between steps

_SPECIAL_BITS = 30  # above these bits of a neighbor's index LAMMPS notes a special bond


class _Library:
    """The LAMMPS this Python runs in."""

    def __init__(self, handle: int) -> None:
        self.handle = ctypes.c_void_p(handle)
        self.c = ctypes.CDLL(None)
        text, number, address = ctypes.c_char_p, ctypes.c_int, ctypes.c_void_p
        self._declare("lammps_command", address, text)
        self._declare("lammps_extract_global", address, text)
        self._declare("lammps_extract_setting", number, text)
        self._declare("lammps_extract_atom", address, text)
        self._declare("lammps_find_pair_neighlist", number, text, number, number, number)
        self._declare("lammps_neighlist_num_elements", number, number)
        pointers = [ctypes.POINTER(number), ctypes.POINTER(number), ctypes.POINTER(ctypes.POINTER(ctypes.c_int32))]
        self._declare("lammps_neighlist_element_neighbors", None, number, number, *pointers)

    def _declare(self, name: str, result: Any, *arguments: Any) -> None:
        function = getattr(self.c, name)
        function.argtypes, function.restype = [ctypes.c_void_p, *arguments], result

    def command(self, text: str) -> None:
        self.c.lammps_command(self.handle, text.encode())

    def setting(self, name: str) -> int:
        return int(self.c.lammps_extract_setting(self.handle, name.encode()))

    def count(self, name: str, kind: Any = ctypes.c_int) -> int:
        return int(kind.from_address(self.c.lammps_extract_global(self.handle, name.encode())).value)

    def timestep(self) -> int:
        return self.count("ntimestep", ctypes.c_int64 if self.setting("bigint") == 8 else ctypes.c_int)

    def rows(self, name: str, n: int) -> FloatArray:
        """View of a per-atom array (n, 3), which is one block of memory behind its first row's pointer."""
        if n == 0:
            return np.zeros((0, 3))
        first = ctypes.c_void_p.from_address(self.c.lammps_extract_atom(self.handle, name.encode())).value
        assert first is not None
        return np.ctypeslib.as_array((ctypes.c_double * (3 * n)).from_address(first)).reshape(n, 3)

    def types(self, n: int) -> Any:
        return self._integers(b"type", n, ctypes.c_int32)

    def ids(self, n: int) -> Any:
        return self._integers(b"id", n, ctypes.c_int64 if self.setting("tagint") == 8 else ctypes.c_int32)

    def _integers(self, name: bytes, n: int, kind: Any) -> Any:
        if n == 0:
            return np.zeros(0, dtype=kind)
        return np.ctypeslib.as_array((kind * n).from_address(self.c.lammps_extract_atom(self.handle, name)))

    def half_list(self) -> tuple[IntArray, Int32Array] | None:
        """Pairs of rows i, j in the list of this pair style, with LAMMPS's bits of special bonds; None if not found."""
        index = self.c.lammps_find_pair_neighlist(self.handle, b"python", 1, 0, 0)
        if index < 0:
            return None
        i, n, first = ctypes.c_int(), ctypes.c_int(), ctypes.POINTER(ctypes.c_int32)()
        centres, neighbors = [np.zeros(0, dtype=np.int64)], [np.zeros(0, dtype=np.int32)]
        for k in range(self.c.lammps_neighlist_num_elements(self.handle, index)):
            self.c.lammps_neighlist_element_neighbors(self.handle, index, k, i, n, first)
            if n.value:
                centres.append(np.full(n.value, i.value))
                neighbors.append(np.ctypeslib.as_array(first, (n.value,)).copy())
        return np.concatenate(centres), np.concatenate(neighbors)


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
    with _ending_all_ranks(library):
        engine = Engine(path)
    library.command(f"variable rcut string {engine.rcut:.15g}")
    _prepared = library, engine


@contextmanager
def _ending_all_ranks(library: _Library) -> Iterator[None]:
    """Let an error of one rank end the others, which LAMMPS would leave waiting for it."""
    try:
        yield
    except Exception:
        if library.setting("world_size") == 1:
            raise
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)


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
        self.last_step: int | None = None
        self.expected_visits = self.visits = 0

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
        with _ending_all_ranks(self.library):
            self._check_visits()
            self._evaluate()
        if self.expected_visits == 0:
            return _nothing

        def count(rsq: float, itype: int, jtype: int) -> float:
            self.visits += 1
            return 0.0

        return count

    @property
    def compute_energy(self) -> Pairwise:
        """Return a function whose values for all pairs sum to the energy of the last `compute_force`."""

        def energy(rsq: float, itype: int, jtype: int) -> float:
            value, self.energy = self.energy, 0.0
            return value

        return energy

    def _evaluate(self) -> None:
        if self.library.setting("newton_pair") == 0:
            raise ValueError("acepair requires newton pair on")
        n_local = self.library.count("nlocal")
        n = n_local + self.library.count("nghost")
        self.energy = 0.0
        if n_local == 0:
            return
        types = self.library.types(n)
        table = np.full(max(types.max(), *self.species_of_type) + 1, -1, dtype=np.int32)
        table[list(self.species_of_type)] = list(self.species_of_type.values())
        species = table[types]
        x = self.library.rows("x", n)
        neighbors = self.cache.update(x, np.zeros((3, 3)), np.zeros(3, dtype=np.bool_), types.astype(np.int64))
        if self._begins_run():
            self._check_list(x, species, neighbors, n_local)
        try:
            results = self.engine.evaluate(x, species, neighbors.first, neighbors.neighbor, n_local)
        except CoincidentAtomsError as error:
            i, j = self.library.ids(n)[list(error.rows)]
            raise ValueError(f"atoms {i} and {j} are in the same place") from error
        forces = self.library.rows("f", n)
        forces += results.forces
        self.energy = float(results.site_energies.sum())

    def _begins_run(self) -> bool:
        """Tell whether LAMMPS has just made its list: a run evaluates the step where the last one ended again."""
        last, self.last_step = self.last_step, self.library.timestep()
        return last is None or self.last_step <= last

    def _check_list(self, x: FloatArray, species: Int32Array, neighbors: NeighborList, n_local: int) -> None:
        """Compare the pairs that LAMMPS visits with those within the cutoff."""
        listed = self.library.half_list()
        if listed is None:
            return
        i, j = listed
        if np.any(j >> _SPECIAL_BITS & 3):
            raise ValueError("acepair needs special_bonds lj/coul 1 1 1 with pair_style python")
        listed_near = self._within(x, species, i, j)
        self.expected_visits = int(np.count_nonzero(listed_near))
        if self.expected_visits == 0:
            warnings.warn(
                f"rank {self.library.setting('world_rank')} has {n_local} atoms and no pair within the cutoff: "
                "pair_style python loses the energy of these atoms",
                RuntimeWarning,
                stacklevel=1,
            )
        all_i = np.repeat(np.arange(n_local), np.diff(neighbors.first[: n_local + 1]))
        all_j = neighbors.neighbor[: len(all_i)]
        # each pair of a rank's own atoms is in its half list once; those with ghosts may be in another rank's
        own = (all_i < all_j) & (all_j < n_local)
        missing = np.count_nonzero(self._within(x, species, all_i[own], all_j[own]))
        self._refuse_missing(int(missing - np.count_nonzero(listed_near & (i < n_local) & (j < n_local))))

    def _check_visits(self) -> None:
        """Compare the pairs that LAMMPS has visited in the first step of a run with those of its list."""
        missing = self.expected_visits - self.visits
        self.expected_visits = self.visits = 0
        self._refuse_missing(missing)

    def _refuse_missing(self, missing: int) -> None:
        if missing > 0:
            raise ValueError(
                f"LAMMPS leaves out {missing} pairs of atoms within the model's cutoff: it needs "
                f"pair_style python {self.engine.rcut:g} or more, neither neigh_modify exclude nor special_bonds"
            )

    def _within(self, x: FloatArray, species: Int32Array, i: IntArray, j: Int32Array) -> npt.NDArray[np.bool_]:
        """Tell which pairs count; one at the very cutoff, whose energy is zero, may round to either side."""
        near: npt.NDArray[np.bool_] = ((x[j] - x[i]) ** 2).sum(axis=1) < (self.engine.rcut - 1e-6) ** 2
        return near & (species[i] >= 0) & (species[j] >= 0)


def _nothing(rsq: float, itype: int, jtype: int) -> float:
    return 0.0
