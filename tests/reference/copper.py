"""A small model of copper, fitted to ASE's EMT so that it holds crystals together."""

from __future__ import annotations

import copy
from functools import cache

import numpy as np
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT

import acepair

LATTICE_CONSTANT = 3.59  # Å, EMT's


@cache
def copper() -> acepair.ACEModel:
    """The model, for everyone: not to be changed."""
    model = acepair.ace1_model(elements="Cu", order=2, totaldegree=8, rcut=5.6)
    rng = np.random.default_rng(0)
    rows, values = [], []
    for k in range(24):
        atoms = bulk("Cu", a=3.59 * rng.uniform(0.95, 1.05), cubic=True) * ((1, 1, 1 + k % 2) if k % 6 else (2, 2, 2))
        atoms.set_cell(atoms.cell[:] @ (np.eye(3) + 0.03 * rng.normal(size=(3, 3))), scale_atoms=True)
        atoms.positions += rng.normal(scale=0.04 * (k % 4), size=atoms.positions.shape)
        atoms.calc = EMT()
        basis = acepair.energy_forces_virial_basis(atoms, model)
        virial = -atoms.get_volume() * atoms.get_stress(voigt=False)
        L = len(basis.energy)
        rows += [30 * basis.energy[None], basis.forces.reshape(-1, L), basis.virial.reshape(9, L)]
        values += [[30 * atoms.get_potential_energy()], atoms.get_forces().ravel(), virial.ravel()]
    theta = np.linalg.lstsq(np.concatenate(rows), np.concatenate(values), rcond=1e-9)[0]
    return acepair.set_linear_parameters(model, theta)


def crystal(repeat: int = 1, rattle: float = 0.0) -> Atoms:
    """repeat³ cubic cells of 4 atoms."""
    atoms = bulk("Cu", a=3.6, cubic=True) * ((repeat,) * 3)
    if rattle:
        atoms.rattle(rattle, seed=5)
    return atoms


def own_copper() -> acepair.ACEModel:
    """A copy whose parameters can be changed."""
    return copy.deepcopy(copper())
