"""Models on a device: what `acepair.evaluate.Evaluator` does, for one structure or many at a time."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from .._types import FloatArray
from ..evaluate import Evaluation, Model
from ..lowering import lower
from ..models.convert import as_calculator
from ..models.stacked import StackedCalculator
from ..structure import SpeciesTable, Structure, read_structure
from .backend import Backend
from .engine import Engine, System, checked_skin


class Evaluator:
    """A model made ready to run on a device.

    Parameters
    ----------
    model : potential, StackedCalculator or ACEModel
        Without ASE calculators. Changes of its linear parameters take effect at the next call.
    skin : float
        Of neighbour lists, Å.
    dtype : {"float64", "float32"}
        Of what is evaluated for edges and products; positions and the sums of energies and forces are float64.
    backend : Backend, optional
        The current CUDA device unless given.

    Attributes
    ----------
    calculator : potential or StackedCalculator
    table : SpeciesTable
    threads : int
        1: of the host.
    n_rebuilds, n_reuses : int
        How often an evaluation of one structure made a neighbour list, and used the last one.

    Raises
    ------
    ImportError
        If CuPy is not installed.
    RuntimeError
        If there is no driver or no device.
    TypeError
        If a stack has an ASE calculator.

    Notes
    -----
    Not to be used by two threads at the same time.
    """

    threads = 1

    def __init__(
        self, model: Model, *, skin: float = 1.0, dtype: str = "float64", backend: Backend | None = None
    ) -> None:
        self.calculator = as_calculator(model)
        if isinstance(self.calculator, StackedCalculator) and self.calculator.ase_calculators:
            raise TypeError("a stack with ASE calculators runs on a GPU by ACECalculator(model, device='cuda') only")
        self.skin, self.dtype = checked_skin(skin), dtype
        self.table = SpeciesTable(self.calculator.elements)
        self._readouts = self.calculator.readouts
        self._versions = self.versions()
        self.engine = Engine(lower(self.calculator), tuple(self.calculator.elements), dtype=dtype, backend=backend)
        self._kept: tuple[bytes, bytes, System] | None = None
        self._past = np.zeros(2, dtype=np.int64)

    def evaluate(
        self, atoms: Any, *, gradients: bool = True, virial: bool = True, site_virials: bool = False
    ) -> Evaluation:
        """Return energies and, with `gradients`, forces and virial; per-atom virials if asked for. Arrays of the host.

        Parameters
        ----------
        atoms : ase.Atoms
            Its neighbour list is kept as long as atoms and periodicity stay the same.
        gradients, virial, site_virials : bool

        Raises
        ------
        ValueError
            For a structure that cannot be evaluated, see `acepair.potential_energy`.
        """
        structure = read_structure(atoms, self.table)
        self._refresh()
        system = self._system_of(structure)
        return self._evaluate(system, structure.positions, structure.cell, gradients, virial, site_virials)[0]

    def evaluate_batch(
        self, structures: Sequence[Any], *, gradients: bool = True, virial: bool = True, site_virials: bool = False
    ) -> list[Evaluation]:
        """Evaluate many structures at once: as many launches as for one. Arguments and errors as `evaluate`."""
        read = [read_structure(atoms, self.table) for atoms in structures]
        self._refresh()
        if not read:
            return []
        system = self._make_system(read, skin=0.0)
        positions = np.concatenate([structure.positions for structure in read])
        cells = np.stack([structure.cell for structure in read])
        return self._evaluate(system, positions, cells, gradients, virial, site_virials)

    def system(self, structures: Any, *, skin: float | None = None) -> System:
        """Return a system for drivers that keep positions on the device.

        Parameters
        ----------
        structures : ase.Atoms, or sequence of them
            For their elements and periodicity only; positions and cells are given to `System.evaluate`.
        skin : float, optional
            Å; the evaluator's unless given.

        Notes
        -----
        Call this again after a change of the model's linear parameters.
        """
        self._refresh()
        several = [structures] if hasattr(structures, "positions") else list(structures)
        return self._make_system([read_structure(atoms, self.table) for atoms in several], skin=skin)

    def versions(self) -> tuple[int, ...]:
        """Return the versions of the linear parameters: others after every change."""
        return tuple([readout.version for readout in self._readouts])

    @property
    def n_rebuilds(self) -> int:
        """How often `evaluate` made a neighbour list."""
        return int(self._past[0]) + (self._kept[2].n_rebuilds if self._kept else 0)

    @property
    def n_reuses(self) -> int:
        """How often `evaluate` used the last one."""
        return int(self._past[1]) + (self._kept[2].n_reuses if self._kept else 0)

    @property
    def cache(self) -> Evaluator | None:
        """What counts searches: this object, or None if no component has neighbours."""
        return self if self.engine.rcut > 0 else None

    def _refresh(self) -> None:
        versions = self.versions()
        if versions != self._versions:
            self.engine.update(lower(self.calculator))
            self._versions = versions

    def _system_of(self, structure: Structure) -> System:
        """Return the system of the last structure if this one has the same atoms."""
        key = structure.numbers.tobytes(), structure.pbc.tobytes()
        if self._kept is None or self._kept[:2] != key:
            self._past[:] = self.n_rebuilds, self.n_reuses
            self._kept = (*key, self._make_system([structure], skin=None))
        return self._kept[2]

    def _make_system(self, structures: list[Structure], skin: float | None) -> System:
        return System(
            self.engine,
            np.concatenate([structure.species for structure in structures]),
            np.stack([structure.pbc for structure in structures]),
            np.concatenate(([0], np.cumsum([len(structure.positions) for structure in structures]))),
            skin=self.skin if skin is None else skin,
        )

    def _evaluate(
        self,
        system: System,
        positions: FloatArray,
        cells: FloatArray,
        gradients: bool,
        virial: bool,
        site_virials: bool,
    ) -> list[Evaluation]:
        """Return the results of every structure, on the host."""
        results = system.evaluate_to_host(
            positions, cells, gradients=gradients, virial=virial, site_virials=site_virials
        )
        several = []
        for k, (begin, end) in enumerate(pairwise(system.structure_first.tolist())):
            out = Evaluation(results.site_energies[begin:end], float(results.energies[k]))
            if results.forces is not None:
                out.forces = results.forces[begin:end]
                out.virial = np.zeros((3, 3)) if results.virials is None else results.virials[k]
                out.site_virials = None if results.site_virials is None else results.site_virials[begin:end]
            several.append(out)
        return several
