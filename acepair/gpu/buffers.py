"""Results of the kernels, and what stands between them, for one list."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt

from .._types import FloatArray
from .arguments import Struct
from .backend import Backend
from .lists import DeviceList

if TYPE_CHECKING:
    from .device_plan import DevicePlan


class Report(NamedTuple):
    """What one copy brings to the host."""

    energies: FloatArray  #: (n_structures,) eV
    virials: FloatArray  #: (n_structures, 3, 3) eV, −Σ D ⊗ g; of use if they were wanted
    coincident_edge: int  #: 1 + an edge between atoms in the same place, or 0
    list_ended: bool  #: atoms have moved further than the list allows
    not_finite: bool  #: a position is not finite


class Buffers:
    """Arrays of the device for one list; shared by the plans of a model.

    Attributes
    ----------
    list : DeviceList
    arrays : dict
        The fields of struct Work in kernels/arguments.hpp that do not depend on a plan.
    works : mapping of DevicePlan to Struct
        Working memory of each plan. Recorded launches point to it, and keep these buffers.
    """

    def __init__(self, backend: Backend, list_: DeviceList, dtype: npt.DTypeLike) -> None:
        xp, n = backend.xp, max(list_.n_owners, 1)
        self.list, self._backend = list_, backend
        self.works: WeakKeyDictionary[DevicePlan, Struct] = WeakKeyDictionary()
        # what goes to the host together lies together
        self._report = xp.zeros(10 * list_.n_structures + 3)
        self._forces_and_energies = xp.zeros(4 * n)
        self.arrays = {
            "xyzs": xp.empty((max(list_.n_rows, 1), 4)),
            "slot": xp.empty(max(list_.n_edges, 1), dtype=xp.int32),
            "gradient": xp.empty((max(list_.n_edges, 1), 4), dtype=dtype),
            "forces": self._forces_and_energies[: 3 * n].reshape(-1, 3),
            "site_energy": self._forces_and_energies[3 * n :],
            "site_virial": xp.zeros((n, 9)),
            "partial": xp.zeros((max(list_.n_segments, 1), 10)),
            "totals": self._report,
            "status": self._report[-3:].view(xp.int64),
        }

    def read_report(self) -> Report:
        """Wait for the kernels; copy totals and what they have found."""
        host = self._backend.to_host(self._report)
        totals, status = host[:-3].reshape(-1, 10), host[-3:].view(np.int64)
        if status.any():
            self._report[-3:] = 0
        edge, ended, not_finite = status.tolist()
        return Report(totals[:, 0], totals[:, 1:].reshape(-1, 3, 3), edge, bool(ended), bool(not_finite))

    def read_forces_and_energies(self) -> tuple[FloatArray, FloatArray]:
        """Copy forces (n_owners, 3), eV/Å, and energies (n_owners,), eV, of atoms."""
        n, host = self.list.n_owners, self._backend.to_host(self._forces_and_energies)
        return host[: 3 * n].reshape(-1, 3), host[-n:] if n else host[:0]
