"""Restraint that keeps atoms apart where there are no data."""

from __future__ import annotations

from itertools import combinations_with_replacement

import numpy as np

from ..evaluate import potential_energy
from ..models.base import Potential
from ..models.convert import as_calculator
from ..models.model import ACEModel
from ..models.onebody import ETOneBodyPotential
from ..models.stacked import StackedCalculator
from ..models.zbl import ZBLPotential
from .dataset import Configuration, Dataset

TYPE = "repulsion_restraint"  #: their configuration type; weights of the data's types have no effect on them
_RANGE = 20.0  #: Å; the nuclear repulsion beyond is nothing
_DISTANCES = np.linspace(0.1, 0.3, 6)  #: of the cutoff's fifth part, about half a bond length


def restraint_dimers(model: Potential | ACEModel, weight: float = 1.0) -> Dataset:
    """Return dimers of all pairs of elements, close together, with the universal nuclear repulsion for energy.

    Rows are weighted by `weight` over their energy: what counts is the order of magnitude. The distances are 0.02 to
    0.06 of the cutoff, a twentieth to a seventh of a bond length with the usual cutoffs.

    Parameters
    ----------
    model : ACEModel, potential or StackedCalculator
        The sum of its parts, ZBL included, is to have these energies above those of the atoms: its one-body energies
        are added.
    weight : float
    """
    from ase import Atoms

    if not (np.isfinite(weight) and weight > 0):
        raise ValueError(f"weight of the repulsion restraint must be positive, got {weight}")
    calculator = as_calculator(model)
    repulsion = ZBLPotential(calculator.elements, _RANGE)
    parts = calculator.potentials if isinstance(calculator, StackedCalculator) else (calculator,)
    one_body = [part for part in parts if isinstance(part, ETOneBodyPotential)]
    dimers = []
    for pair in combinations_with_replacement(calculator.elements, 2):
        for d in _DISTANCES * calculator.rcut / 5:
            atoms = Atoms(pair, positions=[[0, 0, 0], [0, 0, d]])
            energy = potential_energy(atoms, repulsion)
            factor = weight * np.sqrt(2) / energy  # less the 1/√n_atoms of energies
            energy += sum(potential_energy(atoms, part) for part in one_body)
            dimers.append(
                Configuration(
                    atoms, TYPE, f"restraint {'-'.join(pair)} {d:.2f} Å", energy, factors={"E": factor, "F": 0, "V": 0}
                )
            )
    return Dataset(dimers)
