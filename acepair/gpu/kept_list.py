"""A neighbour list in use, and all that lives as long as it does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .._types import BoolArray, FloatArray
from .arguments import Struct
from .buffers import Buffers, Report
from .geometry import motion_allowed, strains
from .lists import DeviceList

if TYPE_CHECKING:
    from .engine import Engine

_FRAME = np.dtype([("cell", np.float64, 9), ("strain", np.float64, 9), ("motion2", np.float64)])
"""struct Frame of kernels/arguments.hpp."""


@dataclass(frozen=True, eq=False)
class Results:
    """What one evaluation gives: arrays of the device, overwritten by the next evaluation of the same system."""

    energies: Any  #: (n_structures,) eV
    site_energies: Any  #: (n_atoms,) eV
    forces: Any | None  #: (n_atoms, 3) eV/Å
    virials: Any | None  #: (n_structures, 3, 3) eV, −Σ D ⊗ g
    site_virials: Any | None  #: (n_atoms, 3, 3) eV; −D ⊗ g belongs to the neighbour


class KeptList:
    """A list, where atoms and cells were when it was made, and the launches that use it.

    Parameters
    ----------
    engine : Engine
    list_ : DeviceList
    positions : array of float64 (n_atoms, 3), of the device
        Å; for which the list was made, as the cells.
    cells : array of float64 (n_structures, 3, 3)
        Å.
    pbc : array of bool (n_structures, 3)
    skin : float
        Å.
    """

    def __init__(
        self, engine: Engine, list_: DeviceList, positions: Any, cells: FloatArray, pbc: BoolArray, skin: float
    ) -> None:
        self._engine, self._pbc, self._skin = engine, pbc, skin
        self.buffers = Buffers(engine.backend, list_, engine.dtype)
        self._list_cells, self._list_positions = cells.copy(), positions.copy()
        self._frame = engine.backend.xp.empty((len(cells), _FRAME.itemsize // 8))
        self._frame_cells: FloatArray | None = None
        self._motion: Struct | None = None
        self._own_positions: Any | None = None  # if they come in many arrays
        self._launched: tuple[Any, ...] = ()  # what the last launches were for
        self._replay: Callable[[], None] | None = None  # repeats them
        self._views: dict[tuple[bool, bool], Results] = {}  # by what is wanted

    def may_hold(self, cells: FloatArray) -> bool:
        """Tell whether the list may hold for these cells: for positions, evaluations tell."""
        if (cells == self._list_cells)[self._pbc].all():
            return True
        return bool((self._motion_allowed(strains(self._list_cells, cells, self._pbc)) >= 0).all())

    def run(self, positions: Any, cells: FloatArray, *, gradients: bool, virial: bool) -> Report:
        """Launch everything."""
        self._set_frame(cells)
        self._launch(self._motion_of(positions), gradients, virial)
        return self.buffers.read_report()

    def results(self, *, gradients: bool, virial: bool) -> Results:
        """Return views of the buffers, made once: the arrays stay where they are."""
        key = gradients, virial
        if key not in self._views:
            arrays, n = self.buffers.arrays, self.buffers.list.n_owners
            totals = arrays["totals"][: 10 * len(self._pbc)].reshape(-1, 10)
            self._views[key] = Results(
                totals[:, 0],
                arrays["site_energy"][:n],
                arrays["forces"][:n] if gradients else None,
                totals[:, 1:].reshape(-1, 3, 3) if virial else None,
                arrays["site_virial"][:n].reshape(-1, 3, 3) if virial else None,
            )
        return self._views[key]

    def coincident_atoms(self, edge: int) -> tuple[int, int, float]:
        """Return the atoms of an edge and their distance (Å)."""
        arrays, backend = self.buffers.list.arrays, self._engine.backend
        i, row = int(arrays["centre"][edge]), int(arrays["neighbor"][edge])
        x_i, x_j = (backend.to_host(self.buffers.arrays["xyzs"][k, :3]) for k in (i, row))
        return i, int(arrays["row_owner"][row]), float(np.linalg.norm(x_j - x_i))

    def _motion_allowed(self, strain: FloatArray) -> FloatArray:
        return motion_allowed(strain, self._engine.rcut, self._skin)

    def _set_frame(self, cells: FloatArray) -> None:
        if self._frame_cells is not None and np.array_equal(self._frame_cells, cells):
            return
        strain = strains(self._list_cells, cells, self._pbc)
        frame = np.zeros(len(cells), dtype=_FRAME)
        frame["cell"] = np.where(self._pbc[:, :, None], cells, 0.0).reshape(-1, 9)
        frame["strain"], frame["motion2"] = strain.reshape(-1, 9), self._motion_allowed(strain) ** 2
        # in its place: recorded launches point to it
        self._frame[...] = self._engine.backend.xp.asarray(frame.view(np.float64).reshape(self._frame.shape))
        self._frame_cells = cells.copy()

    def _motion_of(self, positions: Any) -> Struct:
        """Return where atoms are, and were; the same struct as long as positions come in the same array."""
        if self._own_positions is None and self._motion and self._motion.fields["positions"] is not positions:
            # they come in another array: from now on they are copied into one of ours
            self._own_positions, self._motion = self._engine.backend.xp.empty(positions.shape), None
        if self._own_positions is not None:
            self._own_positions[...] = positions
            positions = self._own_positions
        if self._motion is None:
            self._motion = Struct(
                self._engine.backend,
                "Motion",
                positions=positions,
                reference=self._list_positions,
                frame=self._frame,
            )
        return self._motion

    def _launch(self, motion: Struct, gradients: bool, virial: bool) -> None:
        """Launch all kernels; what is launched a third time has been recorded the second time."""

        def call() -> None:
            engine.run(self.buffers, motion, gradients=gradients, virial=virial)

        engine = self._engine
        this = (motion, gradients, virial, tuple(engine.plans))
        if this != self._launched:
            self._launched, self._replay = this, None
            call()
        elif self._replay is None and engine.graphs:
            self._replay = engine.backend.record(call)
            self._replay()
        elif self._replay is None:
            call()
        else:
            self._replay()
