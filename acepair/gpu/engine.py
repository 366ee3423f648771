"""Plans on a device: energies, forces and virials of one structure or many, with arrays of the device in and out.

Knows neither ASE nor models nor compiled modules: plans and arrays are all it needs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .._types import BoolArray, FloatArray, IntArray
from ..plan import Plan
from .arguments import Struct
from .backend import Backend, cuda_backend
from .buffers import Buffers, Report
from .device_plan import DevicePlan
from .kept_list import KeptList, Results
from .layout import Layout
from .lists import DeviceList
from .search import search_neighbors
from .tables import permuted

_DTYPES = ("float64", "float32")


class HostResults(NamedTuple):
    """What one evaluation gives, as `Results`, but arrays of the host."""

    energies: FloatArray  #: (n_structures,) eV
    site_energies: FloatArray  #: (n_atoms,) eV
    forces: FloatArray | None  #: (n_atoms, 3) eV/Å
    virials: FloatArray | None  #: (n_structures, 3, 3) eV
    site_virials: FloatArray | None  #: (n_atoms, 3, 3) eV


class Engine:
    """Plans made ready to run on a device.

    Parameters
    ----------
    plans : sequence of Plan
        Together the model.
    elements : tuple of str
        What species indices stand for.
    dtype : {"float64", "float32"}
        Of what is evaluated for edges and products; positions and the sums of energies and forces are float64 anyway.
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
        plans = [permuted(plan, self.elements) for plan in plans]
        #: of plans without neighbours: the first of the others takes them along, if there is one
        self.E0 = sum([plan.E0 for plan in plans if not plan.rcut.max() > 0], np.zeros(len(self.elements)))
        others = [plan for plan in plans if plan.rcut.max() > 0]
        if others:
            others[0] = replace(others[0], E0=others[0].E0 + self.E0)
        self.plans = [
            DevicePlan(self.backend, plan, self.dtype, layout=self._layout, chunk_bytes=self._chunk_bytes)
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
        self._kept: KeptList | None = None

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
        return self._evaluate(positions, cells, gradients, virial)[0]

    def evaluate_to_host(
        self,
        positions: Any,
        cells: npt.ArrayLike,
        *,
        gradients: bool = True,
        virial: bool = True,
        site_virials: bool = False,
    ) -> HostResults:
        """As `evaluate`, but return arrays of the host, which stay as they are; in as few copies as possible."""
        results, report = self._evaluate(positions, cells, gradients, virial or site_virials)
        copy = self.engine.backend.to_host
        if self._kept is None or report is None:
            copies = {name: None if array is None else copy(array) for name, array in vars(results).items()}
            return HostResults(**copies)  # type: ignore[arg-type]
        forces, site_energies = self._kept.buffers.read_forces_and_energies()
        return HostResults(
            report.energies,
            site_energies,
            forces if gradients else None,
            None if results.virials is None else report.virials,
            copy(results.site_virials) if site_virials and results.site_virials is not None else None,
        )

    def clear(self) -> None:
        """Forget the list and the memory that goes with it."""
        self._kept = None

    def _evaluate(
        self, positions: Any, cells: npt.ArrayLike, gradients: bool, virial: bool
    ) -> tuple[Results, Report | None]:
        """Return results, and what has come to the host already."""
        xp, n = self.engine.backend.xp, self.n_atoms
        x = xp.ascontiguousarray(xp.asarray(positions, dtype=xp.float64))
        if x.shape != (n, 3):
            raise ValueError(f"positions must have shape ({n}, 3), got {x.shape}")
        h = np.asarray(cells, dtype=np.float64).reshape(-1, 3, 3)
        if len(h) != len(self.pbc):
            raise ValueError(f"cells must have shape ({len(self.pbc)}, 3, 3), got {np.shape(cells)}")
        virial = virial and gradients
        if n == 0 or not self.engine.plans:
            return self._alone(gradients, virial), None
        kept = self._kept
        reused = kept is not None and kept.may_hold(h)
        if kept is None or not reused:
            kept = self._make_list(x, h)
        report = kept.run(x, h, gradients=gradients, virial=virial)
        if reused and report.list_ended and not report.not_finite:
            reused, kept = False, self._make_list(x, h)
            report = kept.run(x, h, gradients=gradients, virial=virial)
        self.n_reuses += reused
        if report.not_finite:
            self._refuse_not_finite(x)
        if report.coincident_edge:
            self.clear()
            refuse_coincident(*kept.coincident_atoms(report.coincident_edge - 1))
        return kept.results(gradients=gradients, virial=virial), report

    def _make_list(self, x: Any, cells: FloatArray) -> KeptList:
        self.clear()  # first: not to hold two lists of a big system at a time
        backend, engine = self.engine.backend, self.engine
        xp = backend.xp
        if not bool(xp.isfinite(x).all()):
            self._refuse_not_finite(x)
        found = search_neighbors(backend, x, cells, self.pbc, self.structure_first, engine.rcut + self.skin)
        species = xp.asarray(self.species)[found.row_owner]
        list_ = DeviceList(backend, *found, species, self.structure_first, len(engine.elements))
        self._kept = KeptList(engine, list_, x, cells, self.pbc, self.skin)
        self.n_rebuilds += 1
        return self._kept

    def _alone(self, gradients: bool, virial: bool) -> Results:
        """Results of atoms that have no neighbours, or none that matter."""
        xp, n, n_structures = self.engine.backend.xp, self.n_atoms, len(self.pbc)
        site = self.engine.E0[self.species]
        energies = np.array([site[begin:end].sum() for begin, end in pairwise(self.structure_first)])
        return Results(
            xp.asarray(energies),
            xp.asarray(site),
            xp.zeros((n, 3)) if gradients else None,
            xp.zeros((n_structures, 3, 3)) if virial else None,
            xp.zeros((n, 3, 3)) if virial else None,
        )

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
