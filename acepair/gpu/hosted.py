"""Plans on a device for hosts that have neighbour lists of their own, as LAMMPS has: arrays of the host in and out."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .._types import FloatArray, Int32Array, IntArray
from ..plan import Plan
from .backend import Backend
from .buffers import Buffers
from .device_plan import DevicePlan
from .lists import DeviceList


class EdgeGradients(NamedTuple):
    """∂E_i/∂D of every edge, in an order of the device's own."""

    i: Int32Array  #: (n_edges,) row of the centre
    j: Int32Array  #: (n_edges,) row of the neighbour
    gradient: FloatArray  #: (n_edges, 3) eV/Å


class HostedPlan:
    """A plan, and the list it was last given.

    Parameters
    ----------
    backend : Backend
    plan : Plan
    dtype : {"float64", "float32"}
    """

    def __init__(self, backend: Backend, plan: Plan, dtype: str = "float64") -> None:
        self._backend, self._E0 = backend, plan.E0
        self._plan = DevicePlan(backend, plan, dtype) if plan.rcut.max() > 0 else None
        self._buffers: Buffers | None = None

    def bind(self) -> None:
        """Forget the list: the next evaluation brings another."""
        self._buffers = None

    def add(
        self,
        xyzs: FloatArray,
        first: IntArray,
        neighbor: Int32Array,
        energies: FloatArray,
        forces: FloatArray,
        virial: FloatArray,
    ) -> tuple[int, int] | None:
        """Add energies, forces and virial to what the arrays hold.

        Parameters
        ----------
        xyzs : array of float64 (n_rows, 4)
            Position (Å) and species of atoms and ghosts, −1 for an atom to be ignored.
        first : array of int64 (n_local + 1,)
        neighbor : array of int32 (n_edges,)
            Full list of the first n_local rows; together with `first` and the species the same until `bind`.
        energies : array of float64 (n_local,)
            eV.
        forces : array of float64 (n_rows, 4)
            eV/Å.
        virial : array of float64 (9,)
            eV, −Σ D ⊗ g.

        Returns
        -------
        tuple of int or None
            Rows of two atoms in the same place, if there are.
        """
        n_local = len(first) - 1
        if self._plan is None:
            species = xyzs[:n_local, 3].astype(np.int64)
            energies[:n_local] += np.where(species < 0, 0.0, self._E0[species])
            return None
        if n_local == 0:
            return None
        xp = self._backend.xp
        if self._buffers is None:
            self._buffers = self._make_buffers(xyzs, first, neighbor)
        buffers, arrays = self._buffers, self._buffers.arrays
        arrays["xyzs"][:] = xp.asarray(xyzs)
        for name in ("site_energy", "forces", "site_virial"):
            arrays[name][:] = 0
        self._plan.evaluate(buffers, gradients=True, virial=True)
        self._plan.finish(buffers, virial=True)
        report = buffers.read_report()
        if report.coincident_edge:
            lists, edge = buffers.list.arrays, report.coincident_edge - 1
            return int(lists["centre"][edge]), int(lists["neighbor"][edge])
        of_atoms, site_energies = buffers.read_forces_and_energies()
        energies[:n_local] += site_energies[:n_local]
        forces[:, :3] += of_atoms
        virial += report.virials[0].ravel()
        return None

    def edge_gradients(self) -> EdgeGradients:
        """Return what the last evaluation found for every edge of the list."""
        if self._buffers is None:
            none = np.zeros(0, dtype=np.int32)
            return EdgeGradients(none, none, np.zeros((0, 3)))
        n, lists = self._buffers.list.n_edges, self._buffers.list.arrays
        gradient = self._backend.to_host(self._buffers.arrays["gradient"])[:n, :3].astype(np.float64)
        i, j = (self._backend.to_host(lists[name])[:n] for name in ("centre", "neighbor"))
        return EdgeGradients(i, j, gradient)

    def _make_buffers(self, xyzs: FloatArray, first: IntArray, neighbor: Int32Array) -> Buffers:
        assert self._plan is not None
        xp, n_rows = self._backend.xp, len(xyzs)
        rows: Any = xp.arange(n_rows, dtype=xp.int32)
        list_ = DeviceList(
            self._backend,
            xp.asarray(first),
            xp.asarray(neighbor),
            rows,
            xp.zeros((n_rows, 3), dtype=xp.int32),
            xp.asarray(xyzs[:, 3].astype(np.int32)),
            np.array([0, n_rows]),
            len(self._E0),
        )
        return Buffers(self._backend, list_, self._plan.dtype)
