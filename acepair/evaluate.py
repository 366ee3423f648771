"""Energies, forces and virials: one neighbour list for all components, one pass of the kernels for each plan.

Signs and units: eV, Å; virial = −Σ_p D_p ⊗ g_p with g_p = ∂E/∂D_p, that is −dE/dε for a strain ε.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np

from . import _kernels
from ._types import FloatArray
from .engine_plan import ReadyPlan, ready_plans, refuse_coincident_rows
from .models.base import Potential
from .models.convert import as_calculator
from .models.model import ACEModel
from .models.stacked import StackedCalculator
from .neighbors import Edges, NeighborCache, NeighborList
from .structure import SpeciesTable, Structure, read_structure
from .threads import thread_count

Model = Potential | ACEModel


class EnergyForcesVirial(NamedTuple):
    """Results of `energy_forces_virial`."""

    energy: float  #: eV
    forces: FloatArray  #: (n_atoms, 3) eV/Å
    virial: FloatArray  #: (3, 3) eV


@dataclass(eq=False)
class Evaluation:
    """What one pass over a structure gives."""

    site_energies: FloatArray  #: (n_atoms,) eV; without ASE calculators, which may have none
    energy: float  #: eV
    forces: FloatArray | None = None  #: (n_atoms, 3) eV/Å
    virial: FloatArray | None = None  #: (3, 3) eV
    site_virials: FloatArray | None = None  #: (n_atoms, 3, 3) eV; −D ⊗ g belongs to the neighbour


class Evaluator:
    """A model made ready to run: plans, workspaces and the neighbour cache that all components share.

    Parameters
    ----------
    model : potential, StackedCalculator or ACEModel
        Changes of its linear parameters take effect at the next call.
    skin : float
        Of the neighbour cache, Å.
    threads : int, optional
        The CPUs this process may use, at most OMP_NUM_THREADS, unless given. Results do not depend on it.
    dtype : {"float64", "float32"}
        Precision of what happens on edges and in products, see `ACECalculator`. Results are float64.

    Notes
    -----
    Not to be used by two threads at the same time: the workspaces belong to one call.
    """

    def __init__(self, model: Model, *, skin: float = 0.0, threads: int | None = None, dtype: str = "float64") -> None:
        self.calculator = as_calculator(model)
        self.threads = thread_count(threads)
        if dtype not in ("float64", "float32"):
            raise ValueError(f"dtype must be 'float64' or 'float32', got {dtype!r}")
        self._single = dtype == "float32"
        rcut = self.calculator.rcut
        self.cache = NeighborCache(rcut, skin, threads=self.threads) if rcut > 0 else None
        self.table = SpeciesTable(self.calculator.elements)
        self.memory = _kernels.Memory()
        self._readouts = self.calculator.readouts
        self._versions: tuple[int, ...] | None = None
        self._plans: list[ReadyPlan] = []

    def evaluate(
        self, atoms: Any, *, gradients: bool = True, virial: bool = True, site_virials: bool = False
    ) -> Evaluation:
        """Return energies and, with `gradients`, forces and virial; per-atom virials if asked for.

        ASE calculators are asked for their stress only if `virial` is true. Per-atom quantities are without theirs.
        """
        structure = read_structure(atoms, self.table)
        n = len(structure.positions)
        out = Evaluation(np.zeros(n), 0.0)
        if gradients:
            out.forces, out.virial = np.zeros((n, 3)), np.zeros((3, 3))
        if site_virials:
            out.site_virials = np.zeros((n, 3, 3))
        self._add_plans(structure, out)
        out.energy = float(out.site_energies.sum())
        if isinstance(self.calculator, StackedCalculator):
            for other in self.calculator.ase_calculators:
                add_ase(other, atoms, out, virial)
        return out

    @contextmanager
    def using(self, threads: int | None) -> Iterator[None]:
        """Use another number of threads for a while; None changes nothing."""
        before = self.threads
        self._set_threads(before if threads is None else thread_count(threads))
        try:
            yield
        finally:
            self._set_threads(before)

    def _set_threads(self, threads: int) -> None:
        self.threads = threads
        if self.cache is not None:
            self.cache.threads = threads

    def edge_gradients(self, atoms: Any) -> tuple[Edges, FloatArray]:
        """Return the edges within the model's cutoffs and ∂E/∂D (n_edges, 3) of each, eV/Å."""
        structure = read_structure(atoms, self.table)
        neighbors = self.neighbors(structure)
        total = np.zeros((neighbors.n_edges, 3))
        for plan in self.plans():
            if plan.has_edges:
                gradients = np.zeros_like(total)
                self._run(plan, structure, neighbors, np.zeros(len(structure.positions)), edge_gradients=gradients)
                total += gradients
        edges, inside = self.edges(structure, neighbors)
        return edges, total[inside]

    def edges(self, structure: Structure, neighbors: NeighborList) -> tuple[Edges, Any]:
        """Return the edges within the model's cutoffs and which of the list's they are."""
        every = neighbors.edges(structure.positions, structure.cell, np.inf)
        species = structure.species
        inside = every.d < self.calculator.rcuts[species[every.i], species[every.j]]
        i, j, S, D, d = every
        return Edges(i[inside], j[inside], S[inside], D[inside], d[inside]), inside

    def neighbors(self, structure: Structure) -> NeighborList:
        """Return a list that holds all pairs within the cutoff."""
        if self.cache is None:
            empty = np.zeros(0, dtype=np.int32)
            return NeighborList(np.zeros(len(structure.positions) + 1, np.int64), empty, empty, empty.reshape(0, 3))
        return self.cache.update(structure.positions, structure.cell, structure.pbc, structure.numbers)

    def versions(self) -> tuple[int, ...]:
        """Return the versions of the linear parameters: others after every change."""
        return tuple([readout.version for readout in self._readouts])

    def plans(self) -> list[ReadyPlan]:
        """Return the plans for the present linear parameters."""
        versions = self.versions()
        if versions != self._versions:
            self._plans = ready_plans(self.calculator, versions)
            self._versions = versions
        return self._plans

    def _add_plans(self, structure: Structure, out: Evaluation) -> None:
        if not len(structure.positions):
            return
        plans = self.plans()
        neighbors = self.neighbors(structure) if any(plan.has_edges for plan in plans) else None
        for plan in plans:
            if plan.has_edges and neighbors is not None:
                self._run(plan, structure, neighbors, out.site_energies, out.forces, out.virial, out.site_virials)
            else:
                out.site_energies += plan.E0[plan.species(structure.species)]

    def _run(
        self,
        plan: ReadyPlan,
        structure: Structure,
        neighbors: NeighborList,
        site_energies: FloatArray,
        forces: FloatArray | None = None,
        virial: FloatArray | None = None,
        site_virials: FloatArray | None = None,
        edge_gradients: FloatArray | None = None,
    ) -> None:
        """Add a plan's results to the given arrays."""
        species = plan.species(structure.species)
        packed = plan.pack(structure, neighbors, species)
        extended = None
        if forces is not None:
            _, extended = plan.rows(len(packed))
            extended.fill(0)
        extended_virials = None if site_virials is None else np.zeros((len(packed), 9))
        coincident = _kernels.evaluate(
            plan.engine,
            self.memory,
            packed,
            neighbors.first,
            neighbors.neighbor,
            neighbors.centres,
            site_energies,
            extended,
            None if virial is None else virial.reshape(9),
            extended_virials,
            edge_gradients,
            self.threads,
            single=self._single,
        )
        if coincident[0] >= 0:
            refuse_coincident_rows(coincident, packed, neighbors)
        if forces is not None and extended is not None:
            forces += neighbors.fold(extended)[:, :3]
        if site_virials is not None and extended_virials is not None:
            site_virials += neighbors.fold(extended_virials).reshape(-1, 3, 3)


def add_ase(calculator: Any, atoms: Any, out: Evaluation, virial: bool) -> None:
    """Add an ASE calculator's energy, forces and virial, of which constraints are no part."""
    system = atoms.copy()
    if virial and system.pbc.any():
        system.cell = system.cell.complete()  # a volume is needed to take it out of the stress again
    system.calc = calculator
    out.energy += float(system.get_potential_energy(apply_constraint=False))
    if out.forces is None or out.virial is None:
        return
    ase_forces = system.get_forces(apply_constraint=False)
    out.forces += ase_forces
    if virial and system.pbc.any():
        out.virial -= system.get_volume() * system.get_stress(voigt=False, apply_constraint=False)
    elif virial:  # a strain does no more than move the atoms: no stress, nor a cell, is needed
        out.virial += system.positions.T @ ase_forces


class _Evaluators(threading.local):
    """One evaluator per model and thread serves the functions below; an ACECalculator has its own."""

    def __init__(self) -> None:
        self.of: WeakKeyDictionary[Any, Evaluator] = WeakKeyDictionary()


_evaluators = _Evaluators()


def evaluator_of(model: Model) -> Evaluator:
    """Return this thread's evaluator of a model, whose list is reused for the same positions only."""
    evaluator = _evaluators.of.get(model) if isinstance(model, Model) else None
    if evaluator is None:
        # of a copy, which shares the parameters: with a reference to its own key neither would ever be freed
        evaluator = Evaluator(copy.copy(model))
        _evaluators.of[model] = evaluator
    return evaluator


def _evaluate(atoms: Any, calc: Model, threads: int | None, **what: bool) -> Evaluation:
    evaluator = evaluator_of(calc)
    if threads is None:
        return evaluator.evaluate(atoms, **what)
    with evaluator.using(threads):
        return evaluator.evaluate(atoms, **what)


def potential_energy(atoms: Any, calc: Model, *, threads: int | None = None) -> float:
    """Return the potential energy (eV) of an ase.Atoms.

    Parameters
    ----------
    atoms : ase.Atoms
    calc : potential, StackedCalculator or ACEModel
    threads : int, optional
        For this call; the CPUs this process may use, at most OMP_NUM_THREADS, unless given. Results do not depend on
        it.

    Raises
    ------
    ValueError
        If the structure cannot be evaluated: an element the model does not cover, positions that are not finite, a
        singular cell, two atoms in the same place.
    """
    return _evaluate(atoms, calc, threads, gradients=False).energy


def forces(atoms: Any, calc: Model, *, threads: int | None = None) -> FloatArray:
    """Return the forces (n_atoms, 3) in eV/Å; arguments and errors as `potential_energy`."""
    out = _evaluate(atoms, calc, threads, virial=False)
    assert out.forces is not None
    return out.forces


def virial(atoms: Any, calc: Model, *, threads: int | None = None) -> FloatArray:
    """Return the virial (3, 3) in eV, −dE/dε for a strain ε; arguments and errors as `potential_energy`."""
    return energy_forces_virial(atoms, calc, threads=threads).virial


def energy_forces_virial(atoms: Any, calc: Model, *, threads: int | None = None) -> EnergyForcesVirial:
    """Return energy, forces and virial from one pass; arguments and errors as `potential_energy`."""
    out = _evaluate(atoms, calc, threads)
    assert out.forces is not None
    assert out.virial is not None
    return EnergyForcesVirial(out.energy, out.forces, out.virial)


def site_energies(atoms: Any, calc: Model, *, threads: int | None = None) -> FloatArray:
    """Return the energy of every atom (n_atoms,) in eV; arguments and errors as `potential_energy`.

    Raises
    ------
    NotImplementedError
        If the stack has ASE calculators, whose energy is not divided among atoms.
    """
    evaluator = evaluator_of(calc)
    if isinstance(evaluator.calculator, StackedCalculator) and evaluator.calculator.ase_calculators:
        raise NotImplementedError("site energies are not defined for a stack with ASE calculators")
    with evaluator.using(threads):
        return evaluator.evaluate(atoms, gradients=False).site_energies


def site_edges(atoms: Any, calc: Model, *, threads: int | None = None) -> Edges:
    """Return the edges (i, j, S, D, d) within the model's cutoffs, sorted by (i, j, S): those of `site_grads`."""
    evaluator = evaluator_of(calc)
    structure = read_structure(atoms, evaluator.table)
    with evaluator.using(threads):
        return evaluator.edges(structure, evaluator.neighbors(structure))[0]


def site_grads(atoms: Any, calc: Model, *, threads: int | None = None) -> FloatArray:
    """Return ∂E/∂D (n_edges, 3) in eV/Å of the edges of `site_edges`; arguments and errors as `potential_energy`."""
    evaluator = evaluator_of(calc)
    with evaluator.using(threads):
        return evaluator.edge_gradients(atoms)[1]
