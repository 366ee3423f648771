"""Labelled structures of silicon."""

import numpy as np
from ase.build import bulk
from ase.calculators.lj import LennardJones

STRESS = np.array([[1.0, 6, 5], [6, 2, 4], [5, 4, 3]]) * 1e-2  # eV/Å³


def silicon(scale=1.0):
    return bulk("Si", "diamond", 5.4 * scale, cubic=True)


def labelled(**info):
    atoms = silicon()
    atoms.info.update(info)
    return atoms


def frames(n=16):
    made = []
    for k in range(n):
        atoms = silicon(1 + 0.01 * k / n)
        atoms.rattle(0.1, seed=k)
        atoms.calc = LennardJones(sigma=2.0, epsilon=0.5, rc=4.0, smooth=True)
        atoms.get_stress()
        made.append(atoms)
    return made
