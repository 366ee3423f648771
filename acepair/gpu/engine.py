"""Plans on a device: energies, forces and virials of one structure or many, with arrays of the device in and out.

Knows neither ASE nor models nor compiled modules: plans and arrays are all it needs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .._types import BoolArray, FloatArray, IntArray
from ..plan import Plan
from .arguments import Struct
from .backend import Backend, cuda_backend
from .device_plan import Buffers, DevicePlan
from .geometry import motion_allowed, strains
from .lists import DeviceList
from .search import search_neighbors
from .source import Layout
from .tables import permuted

_DTYPES = ("float64", "float32")


@dataclass(frozen=True, eq=False)
class Results:
    """What one evaluation gives: arrays of the device, overwritten by the next evaluation of the same system."""

    energies: Any  #: (n_structures,) eV
    site_energies: Any  #: (n_atoms,) eV
    forces: Any | None  #: (n_atoms, 3) eV/Å
    virials: Any | None  #: (n_structures, 3, 3) eV, −Σ D ⊗ g
    site_virials: Any | None  #: (n_atoms, 3, 3) eV; −D ⊗ g belongs to the neighbour


class HostResults(NamedTuple):
    """What one evaluation gives, as `Results` but for virials of atoms: arrays of the host."""

    energies: FloatArray
    site_energies: FloatArray
    forces: FloatArray | None
    virials: FloatArray | None


class Engine:
    """Plans made ready to run on a device.

    Parameters
    ----------
    plans : sequence of Plan
        Together the model.
    elements : tuple of str
        What species indices stand for.
    dtype : {"float64", "float32"}
        Of what is evaluated for edges and products; positions, energies and the sums of forces are float64 anyway.
    backend : Backend, optional
        The current CUDA device unless given.
    layout : Layout, optional
        How kernels divide their work, chosen unless given.
    chunk_bytes : int
        What sums and their adjoints may take: larger systems are evaluated in chunks of atoms, with the same results.
    graphs : bool
        Whether launches that are repeated are sent to the device as one (CUDA graphs).

    Raises
    ------
    ImportError, RuntimeError
        If there is no CuPy, no driver or no device.
    """

    def __init__(
        self,
        plans: Sequence[Plan],
        elements: tuple[str, ...],
        *,
        dtype: str = "float64",
        backend: Backend | None = None,
        layout: Layout | None = None,
        chunk_bytes: int = 1 << 30,
        graphs: bool = True,
    ) -> None:
        if dtype not in _DTYPES:
            raise ValueError(f"dtype must be {' or '.join(_DTYPES)}, got {dtype!r}")
        self.backend = cuda_backend() if backend is None else backend
        self.elements, self.dtype = elements, np.dtype(dtype)
        self._layout, self._chunk_bytes, self.graphs = layout, chunk_bytes, graphs
        self.update(plans)

    def update(self, plans: Sequence[Plan]) -> None:
        """Take other plans, as after a change of linear parameters. Cutoffs must be the same."""
        self.rcut = max((float(plan.rcut.max()) for plan in plans), default=0.0)
        alone = [plan for plan in plans if not plan.rcut.max() > 0]
        #: of plans without neighbours: the first of the others takes them along, if there is one
        self.E0 = sum([_E0(plan, self.elements) for plan in alone], np.zeros(len(self.elements)))
        others = [permuted(plan, self.elements) for plan in plans if plan.rcut.max() > 0]
        if others:
            others[0] = replace(others[0], E0=others[0].E0 + self.E0)
        self.plans = [
            DevicePlan(
                self.backend, plan, self.elements, self.dtype, layout=self._layout, chunk_bytes=self._chunk_bytes
            )
            for plan in others
        ]

    def run(self, buffers: Buffers, motion: Struct, *, gradients: bool, virial: bool) -> None:
        """Launch everything for the positions that `motion` points to."""
        self.plans[0].begin(buffers, motion)
        for plan in self.plans:
            plan.evaluate(buffers, gradients=gradients, virial=virial)
        self.plans[0].finish(buffers, virial=virial and gradients)


class System:
    """One structure or many, whose atoms move and stay the same; it keeps its neighbour list.

    Parameters
    ----------
    engine : Engine
    species : array of int32 (n_atoms,)
        Index into the engine's elements; of all structures, one after the other.
    pbc : array of bool (n_structures, 3)
    structure_first : array of int64 (n_structures + 1,)
        Where the atoms of each structure begin.
    skin : float
        Å: a list is made for pairs this much further apart than the cutoff, and used until atoms or cells have moved
        too far.

    Attributes
    ----------
    n_rebuilds, n_reuses : int
        How often an evaluation made a list, and used the last one.
    """

    def __init__(
        self,
        engine: Engine,
        species: npt.ArrayLike,
        pbc: npt.ArrayLike,
        structure_first: npt.ArrayLike | None = None,
        *,
        skin: float = 1.0,
    ) -> None:
        self.engine, self.skin = engine, checked_skin(skin)
        self.species = np.asarray(species, dtype=np.int32)
        first = (0, len(self.species)) if structure_first is None else structure_first
        self.structure_first: IntArray = np.asarray(first, dtype=np.int64)
        self.pbc: BoolArray = np.asarray(pbc, dtype=np.bool_).reshape(-1, 3)
        n_structures = len(self.structure_first) - 1
        if len(self.pbc) != n_structures:
            raise ValueError(f"pbc must have {n_structures} rows, one per structure, got {len(self.pbc)}")
        if len(self.species) and not 0 <= self.species.min() <= self.species.max() < len(engine.elements):
            raise ValueError(
                f"species must lie in 0..{len(engine.elements) - 1}, got {self.species.min()}..{self.species.max()}"
            )
        self.n_rebuilds = self.n_reuses = 0
        self._buffers: Buffers | None = None
        self._cells: FloatArray | None = None  # the list was made for
        self._framed: FloatArray | None = None  # the frame was made for
        self._motion: Struct | None = None
        self._own: Any | None = None  # positions, if they come in many arrays
        self._report: FloatArray | None = None  # of the last evaluation: totals and status
        self._views: dict[tuple[bool, bool], Results] = {}  # by what is wanted
        self._last: tuple[Any, ...] = ()  # what the last launches were for
        self._replay: Callable[[], None] | None = None  # repeats them

    @property
    def n_atoms(self) -> int:
        """Number of atoms of all structures."""
        return len(self.species)

    def evaluate(self, positions: Any, cells: npt.ArrayLike, *, gradients: bool = True, virial: bool = True) -> Results:
        """Return energies and, with `gradients`, forces, and with `virial` virials, too.

        Parameters
        ----------
        positions : array of float64 (n_atoms, 3), of the device or the host
            Å.
        cells : array of float64 (n_structures, 3, 3), of the host
            Å.

        Raises
        ------
        ValueError
            For positions that are not finite, and two atoms in the same place.
        """
        xp, n = self.engine.backend.xp, self.n_atoms
        x = xp.ascontiguousarray(xp.asarray(positions, dtype=xp.float64))
        if x.shape != (n, 3):
            raise ValueError(f"positions must have shape ({n}, 3), got {x.shape}")
        h = np.asarray(cells, dtype=np.float64).reshape(-1, 3, 3)
        if len(h) != len(self.pbc):
            raise ValueError(f"cells must have shape ({len(self.pbc)}, 3, 3), got {np.shape(cells)}")
        if n == 0 or not self.engine.plans:
            return self._alone(gradients, virial)
        virial = virial and gradients
        reused = self._still_may_hold(h)
        if not reused:
            self._rebuild(x, h)
        report = self._run(x, h, gradients, virial)
        if reused and report[-2] and not report[-1]:  # status: atoms have moved too far
            reused = False
            self._rebuild(x, h)
            report = self._run(x, h, gradients, virial)
        self.n_reuses += reused
        self._refuse(report, x)
        return self._results(gradients, virial)

    def to_host(self, results: Results) -> HostResults:
        """Copy what the last evaluation has returned, in as few copies as possible."""
        host = self.engine.backend.to_host
        if self._buffers is None or self._report is None:
            forces = None if results.forces is None else host(results.forces)
            virials = None if results.virials is None else host(results.virials)
            return HostResults(host(results.energies), host(results.site_energies), forces, virials)
        of_atoms, n, totals = host(self._buffers.of_atoms), self.n_atoms, self._report[:-3].reshape(-1, 10)
        return HostResults(
            totals[:, 0],
            of_atoms[3 * n :],
            None if results.forces is None else of_atoms[: 3 * n].reshape(-1, 3),
            None if results.virials is None else totals[:, 1:].reshape(-1, 3, 3),
        )

    def clear(self) -> None:
        """Forget the list and the memory that goes with it."""
        self._buffers = self._cells = self._framed = self._motion = self._replay = self._own = self._report = None
        self._last, self._views = (), {}

    def _still_may_hold(self, cells: FloatArray) -> bool:
        if self._buffers is None or self._cells is None:
            return False
        if (cells == self._cells)[self.pbc].all():
            return True
        return bool((motion_allowed(strains(self._cells, cells, self.pbc), self.engine.rcut, self.skin) >= 0).all())

    def _rebuild(self, x: Any, cells: FloatArray) -> None:
        self.clear()  # first: not to hold two lists of a big system at a time
        backend, engine = self.engine.backend, self.engine
        xp = backend.xp
        if not bool(xp.isfinite(x).all()):
            self._refuse_not_finite(x)
        found = search_neighbors(backend, x, cells, self.pbc, self.structure_first, engine.rcut + self.skin)
        species = xp.asarray(self.species)[found.row_owner]
        list_ = DeviceList(backend, *found, species, self.structure_first, len(engine.elements))
        self._buffers = Buffers(backend, list_, engine.dtype)
        self._cells, self._reference = cells.copy(), x.copy()
        self._frame = xp.empty((len(cells), 19))
        self.n_rebuilds += 1

    def _run(self, x: Any, cells: FloatArray, gradients: bool, virial: bool) -> npt.NDArray[np.int64 | np.float64]:
        """Launch everything; return the three numbers of the status."""
        buffers = self._buffers
        assert buffers is not None
        assert self._cells is not None
        if self._framed is None or not np.array_equal(self._framed, cells):
            strain = strains(self._cells, cells, self.pbc)
            limit = motion_allowed(strain, self.engine.rcut, self.skin)
            periodic = np.where(self.pbc[:, :, None], cells, 0.0)
            frame = np.concatenate((periodic.reshape(-1, 9), strain.reshape(-1, 9), (limit**2)[:, None]), axis=1)
            self._frame[...] = self.engine.backend.xp.asarray(frame)  # in its place: recorded launches point to it
            self._framed = cells.copy()
        if self._own is None and self._motion is not None and self._motion.fields["positions"] is not x:
            # positions come in another array: from now on they are copied into one of ours
            self._own, self._motion = self.engine.backend.xp.empty(x.shape), None
        if self._own is not None:
            self._own[...] = x
            x = self._own
        if self._motion is None:
            self._motion = Struct(
                self.engine.backend, "Motion", positions=x, reference=self._reference, frame=self._frame
            )
        self._launch(buffers, self._motion, gradients, virial)
        self._report = self.engine.backend.to_host(buffers.report)
        status = self._report[-3:].view(np.int64)
        if status.any():
            buffers.report[-3:] = 0
        return status

    def _launch(self, buffers: Buffers, motion: Struct, gradients: bool, virial: bool) -> None:
        """Launch all kernels; what is launched a third time has been recorded the second time."""

        def call() -> None:
            engine.run(buffers, motion, gradients=gradients, virial=virial)

        engine = self.engine
        this = (buffers, motion, gradients, virial, tuple(engine.plans))
        if this != self._last:
            self._last, self._replay = this, None
            call()
        elif self._replay is None and engine.graphs:
            self._replay = engine.backend.record(call)
            self._replay()
        elif self._replay is None:
            call()
        else:
            self._replay()

    def _results(self, gradients: bool, virial: bool) -> Results:
        """Return views of the buffers, made once: the arrays stay where they are."""
        key = gradients, virial
        if key not in self._views:
            buffers, n = self._buffers, self.n_atoms
            assert buffers is not None
            arrays = buffers.arrays
            totals = arrays["totals"][: 10 * len(self.pbc)].reshape(-1, 10)
            self._views[key] = Results(
                totals[:, 0],
                arrays["site_energy"][:n],
                arrays["forces"][:n] if gradients else None,
                totals[:, 1:].reshape(-1, 3, 3) if virial else None,
                arrays["site_virial"][:n].reshape(-1, 3, 3) if virial else None,
            )
        return self._views[key]

    def _alone(self, gradients: bool, virial: bool) -> Results:
        """Results of atoms that have no neighbours, or none that matter."""
        xp, n, n_structures = self.engine.backend.xp, self.n_atoms, len(self.pbc)
        site = self.engine.E0[self.species]
        energies = np.array([site[begin:end].sum() for begin, end in pairwise(self.structure_first)])
        return Results(
            xp.asarray(energies),
            xp.asarray(site),
            xp.zeros((n, 3)) if gradients else None,
            xp.zeros((n_structures, 3, 3)) if virial and gradients else None,
            xp.zeros((n, 3, 3)) if virial and gradients else None,
        )

    def _refuse(self, status: npt.NDArray[Any], x: Any) -> None:
        """Complain about what the kernels have found."""
        if status[-1]:
            self._refuse_not_finite(x)
        if status[0]:
            assert self._buffers is not None
            arrays, e = self._buffers.list.arrays, int(status[0]) - 1
            i, row = int(arrays["centre"][e]), int(arrays["neighbor"][e])
            j = int(arrays["row_owner"][row])
            x_i, x_j = (self.engine.backend.to_host(self._buffers.arrays["xyzs"][k, :3]) for k in (i, row))
            self.clear()
            refuse_coincident(i, j, float(np.linalg.norm(x_j - x_i)))

    def _refuse_not_finite(self, x: Any) -> None:
        host = self.engine.backend.to_host(x)
        self.clear()
        atom = int(np.flatnonzero(~np.isfinite(host).all(axis=1))[0])
        raise ValueError(f"positions must be finite (Å), got {host[atom].tolist()} for atom {atom}")


def checked_skin(skin: float) -> float:
    """Return a skin (Å) if it is one.

    Raises
    ------
    ValueError
        If it is negative or not finite.
    """
    if not 0 <= skin < np.inf:
        raise ValueError(f"skin must be finite and not negative (Å), got {skin}")
    return float(skin)


def refuse_coincident(i: int, j: int, distance: float) -> None:
    """Raise the ValueError for two atoms in the same place, as `acepair.structure.refuse_coincident` does."""
    pair = f"atoms {i} and {j}" if i != j else f"atom {i} and its own periodic image"
    raise ValueError(f"atoms must be at least 1e-06 Å apart, got {distance:.3g} Å for {pair}")


def _E0(plan: Plan, elements: tuple[str, ...]) -> FloatArray:
    return np.array([plan.E0[plan.elements.index(element)] for element in elements])
