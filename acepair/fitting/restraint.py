"""Restraint that keeps atoms apart where there are no data."""

from __future__ import annotations

from itertools import combinations_with_replacement

import numpy as np

from ..evaluate import evaluator_of, potential_energy
from ..models.base import Potential
from ..models.model import ACEModel
from ..models.zbl import ZBLPotential
from .dataset import Configuration, Dataset
from .references import only_one_body, reference_potential

TYPE = "repulsion_restraint"
_RANGE = 20.0  #: Å; the nuclear repulsion beyond is nothing
_DISTANCES = np.linspace(0.1, 0.3, 6)  #: of the cutoff's fifth part, about half a bond length


def restraint_dimers(model: Potential | ACEModel, weight: float = 1.0) -> Dataset:
    """Return dimers of all pairs of elements, close together, with the universal nuclear repulsion for energy.

    Rows are weighted by `weight` over their energy: what counts is the order of magnitude. The distances are 0.02 to
    0.06 of the cutoff, a twentieth to a seventh of a bond length with the usual cutoffs.

    Parameters
    ----------
    model : ACEModel, potential or StackedCalculator
        Its one-body energies are added.
    weight : float
    """
    from ase import Atoms

    if not (np.isfinite(weight) and weight > 0):
        raise ValueError(f"weight of the repulsion restraint must be positive, got {weight}")
    calculator = evaluator_of(model).calculator
    repulsion = ZBLPotential(calculator.elements, _RANGE)
    reference = reference_potential(model)
    one_body = reference if only_one_body(reference) else None
    dimers = []
    for pair in combinations_with_replacement(calculator.elements, 2):
        for d in _DISTANCES * calculator.rcut / 5:
            atoms = Atoms(pair, positions=[[0, 0, 0], [0, 0, d]])
            energy = potential_energy(atoms, repulsion)
            factor = weight * np.sqrt(2) / energy  # less the 1/√n_atoms of energies
            if one_body is not None:
                energy += potential_energy(atoms, one_body)
            dimers.append(
                Configuration(
                    atoms, TYPE, f"restraint {'-'.join(pair)} {d:.2f} Å", energy, factors={"E": factor, "F": 0, "V": 0}
                )
            )
    return Dataset(dimers)
