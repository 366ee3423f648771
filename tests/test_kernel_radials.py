"""Envelopes and transforms at their edges: what Python says of radial functions is what the kernels evaluate."""

import numpy as np
import pytest
from ase import Atoms

from acepair import (
    ETPairModel,
    ETPairPotential,
    PolyEnvelope2sX,
    RadialEmbedding,
    SelectLinear,
    ace1_model,
    convert2et_full,
    legendre,
    length_basis,
    potential_energy,
    set_linear_parameters,
)

RCUT = 5.0


def pair_energy(rembed, r):
    """Energy of a dimer from NumPy's values of the functions, all weights one."""
    return 2 * rembed.evaluate(r, 0, 0).sum()


@pytest.mark.parametrize("r", [0.7, 1.2, 1.499999, 1.5, 1.500001, 2.0, 4.9])
def test_envelope_without_zero_at_rin(r):
    model = ace1_model(elements=["Si"], order=2, totaldegree=4, rcut=RCUT, rin=1.5, pair_envelope=("x", 0, 2))
    stack = convert2et_full(model)
    set_linear_parameters(stack, np.append(np.ones(4), np.zeros(length_basis(stack) - 4)))
    dimer = Atoms("Si2", positions=[[0, 0, 0], [0, 0, r]])
    assert potential_energy(dimer, stack) == pytest.approx(pair_energy(model.pair_rembed, r), rel=1e-12)


def test_subclass_of_a_built_in_envelope_is_evaluated_as_it_is():
    class Squared(PolyEnvelope2sX):
        def __call__(self, y):
            return super().__call__(y) ** 2

    rembed = RadialEmbedding(lambda r: 2 * r / RCUT - 1, Squared(), legendre(3), [(1, 0), (2, 0), (3, 0)], ["Si"])
    potential = ETPairPotential(ETPairModel(rembed, SelectLinear(3, ["Si"], np.ones((3, 1)))), RCUT)
    dimer = Atoms("Si2", positions=[[0, 0, 0], [0, 0, 2.3]])
    assert potential_energy(dimer, potential) == pytest.approx(pair_energy(rembed, 2.3), rel=1e-11)


def test_potential_as_ase_calculator_says_what_to_do():
    dimer = Atoms("Si2", positions=[[0, 0, 0], [0, 0, 2.3]])
    dimer.calc = convert2et_full(ace1_model(elements=["Si"], order=2, totaldegree=4))
    with pytest.raises(AttributeError, match=r"StackedCalculator is no ASE calculator; wrap it: atoms.calc = ACECalc"):
        dimer.get_potential_energy()
