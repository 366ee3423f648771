"""Rows of design matrices: every basis function apart, with its forces and virials, from compiled code."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np

from . import _kernels
from ._types import FloatArray
from .engine_plan import make_engine_plan, make_engine_rows, refuse_coincident_rows
from .evaluate import Evaluator, Model, evaluator_of
from .lowering import lower_rows
from .models.ace import ETACEPotential
from .models.pair import ETPairPotential
from .models.parameters import length_basis
from .models.stacked import StackedCalculator
from .neighbors import NeighborList
from .structure import Structure, read_structure

LinearPotential = ETACEPotential | ETPairPotential


class EnergyForcesVirialBasis(NamedTuple):
    """Results of `energy_forces_virial_basis`: E = energy · θ, F = forces · θ, V = virial · θ.

    Beside what has no linear parameters: one-body energies, ZBL, ASE calculators.
    """

    energy: FloatArray  #: (L,) per unit of θ
    forces: FloatArray  #: (n_atoms, 3, L) 1/Å
    virial: FloatArray  #: (3, 3, L)


def energy_forces_virial_basis(atoms: Any, calc: Model, *, threads: int | None = None) -> EnergyForcesVirialBasis:
    """Return what every linear parameter contributes to energy, forces and virial.

    Parameters
    ----------
    atoms : ase.Atoms
    calc : potential, StackedCalculator or ACEModel
        Components without linear parameters contribute no columns; see `length_basis` for L and
        `get_linear_parameters` for the order of columns.
    threads : int, optional
        As for `potential_energy`.

    Raises
    ------
    ValueError
        If the structure cannot be evaluated, see `potential_energy`.
    """
    system = _prepare(atoms, calc, threads)
    n, total = len(system.structure.positions), length_basis(system.evaluator.calculator)
    energy, forces, virial = np.zeros(total), np.zeros((n, 3, total)), np.zeros((3, 3, total))
    start = 0
    for part in _linear_potentials(system.evaluator):
        rows = _Rows.of(part, system.evaluator)
        basis = np.zeros((n, rows.n_functions))
        rows.compute(system, site_basis=basis, forces=forces, virial=virial.reshape(9, total), first_column=start)
        energy[start : start + rows.n_columns] = rows.energy(system.structure, basis)
        start += rows.n_columns
    return EnergyForcesVirialBasis(energy, forces, virial)


def potential_energy_basis(atoms: Any, calc: Model, *, threads: int | None = None) -> FloatArray:
    """Return what every linear parameter contributes to the energy, (L,); as `energy_forces_virial_basis`."""
    system = _prepare(atoms, calc, threads)
    parts = [np.zeros(0)]
    for part in _linear_potentials(system.evaluator):
        rows = _Rows.of(part, system.evaluator)
        basis = np.zeros((len(system.structure.positions), rows.n_functions))
        rows.compute(system, site_basis=basis)
        parts.append(rows.energy(system.structure, basis))
    return np.concatenate(parts)


def site_basis(atoms: Any, calc: Model, *, threads: int | None = None) -> FloatArray:
    """Return the basis functions of every atom (n_atoms, n_functions), those of a stack's components side by side."""
    system = _prepare(atoms, calc, threads)
    n = len(system.structure.positions)
    parts = [np.zeros((n, 0))]
    for part in _linear_potentials(system.evaluator):
        rows = _Rows.of(part, system.evaluator)
        basis = np.zeros((n, rows.n_functions))
        rows.compute(system, site_basis=basis)
        parts.append(basis)
    return np.concatenate(parts, axis=1)


def site_basis_jacobian(atoms: Any, calc: Model, *, threads: int | None = None) -> FloatArray:
    """Return ∂B_i/∂D of every edge of `site_edges`, (n_edges, 3, n_functions); columns as those of `site_basis`."""
    system = _prepare(atoms, calc, threads)
    inside = system.evaluator.edges(system.structure, system.neighbors)[1]
    parts = [np.zeros((int(inside.sum()), 3, 0))]
    for part in _linear_potentials(system.evaluator):
        rows = _Rows.of(part, system.evaluator)
        jacobian = np.zeros((system.neighbors.n_edges, 3, rows.n_functions))
        rows.compute(system, jacobian=jacobian)
        parts.append(jacobian[inside])
    return np.concatenate(parts, axis=2)


class _System(NamedTuple):
    """What rows are computed of."""

    evaluator: Evaluator
    structure: Structure
    neighbors: NeighborList
    threads: int


def _prepare(atoms: Any, calc: Model, threads: int | None) -> _System:
    evaluator = evaluator_of(calc)
    with evaluator.using(threads):
        structure = read_structure(atoms, evaluator.table)
        return _System(evaluator, structure, evaluator.neighbors(structure), evaluator.threads)


def _linear_potentials(evaluator: Evaluator) -> list[LinearPotential]:
    calculator = evaluator.calculator
    parts = calculator.potentials if isinstance(calculator, StackedCalculator) else (calculator,)
    return [part for part in parts if isinstance(part, ETACEPotential | ETPairPotential)]


class _Rows:
    """A potential lowered for its rows; the same for every value of the linear parameters."""

    _known: ClassVar[WeakKeyDictionary[LinearPotential, _Rows]] = WeakKeyDictionary()

    def __init__(self, potential: LinearPotential, elements: tuple[str, ...]) -> None:
        plan, rows = lower_rows(potential)
        self.engine, self.rows = make_engine_plan(plan), make_engine_rows(rows)
        self.n_functions = len(rows.A2B_first) - 1
        self.n_species = len(plan.elements)
        self.n_columns = self.n_functions * self.n_species
        self.elements = elements
        self._index = np.array([plan.elements.index(element) for element in elements], dtype=np.int32)

    @classmethod
    def of(cls, potential: LinearPotential, evaluator: Evaluator) -> _Rows:
        elements = evaluator.calculator.elements
        known = cls._known.get(potential)
        if known is None or known.elements != elements:
            known = cls._known[potential] = cls(potential, elements)
        return known

    def energy(self, structure: Structure, basis: FloatArray) -> FloatArray:
        """Sum the site basis over the atoms of each species: (n_columns,)."""
        if self.n_species == 1:
            return np.asarray(basis.sum(axis=0))
        species = self._index[structure.species]
        return np.concatenate([basis[species == z].sum(axis=0) for z in range(self.n_species)])

    def compute(
        self,
        system: _System,
        *,
        site_basis: FloatArray | None = None,
        forces: FloatArray | None = None,
        virial: FloatArray | None = None,
        jacobian: FloatArray | None = None,
        first_column: int = 0,
    ) -> None:
        """Add to the given arrays, in columns of forces and virial from `first_column` on."""
        evaluator, structure, neighbors, threads = system
        if not len(structure.positions):
            return
        species = self._index[structure.species]
        packed = neighbors.pack(structure.positions, structure.cell, species)
        coincident = _kernels.basis_rows(
            self.engine,
            self.rows,
            evaluator.memory,
            packed,
            neighbors.first,
            neighbors.neighbor,
            neighbors.centres,
            neighbors.owner,
            site_basis,
            forces,
            virial,
            jacobian,
            first_column,
            threads,
        )
        if coincident[0] >= 0:
            refuse_coincident_rows(coincident, packed, neighbors)


def basis_of_parts(atoms: Any, evaluator: Evaluator) -> Iterator[EnergyForcesVirialBasis]:
    """Iterate over what `energy_forces_virial_basis` returns, one component with linear parameters after the other."""
    structure = read_structure(atoms, evaluator.table)
    system = _System(evaluator, structure, evaluator.neighbors(structure), evaluator.threads)
    n = len(structure.positions)
    for part in _linear_potentials(evaluator):
        rows = _Rows.of(part, evaluator)
        basis = np.zeros((n, rows.n_functions))
        forces, virial = np.zeros((n, 3, rows.n_columns)), np.zeros((9, rows.n_columns))
        rows.compute(system, site_basis=basis, forces=forces, virial=virial)
        yield EnergyForcesVirialBasis(rows.energy(structure, basis), forces, virial.reshape(3, 3, -1))
