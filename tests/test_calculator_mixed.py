"""Stacks of potentials and ASE calculators."""

import copy
import json
import pickle

import numpy as np
import pytest
from ase.calculators.calculator import Calculator, PropertyNotImplementedError, all_changes
from ase.calculators.emt import EMT
from ase.calculators.fd import calculate_numerical_forces, calculate_numerical_stress
from ase.calculators.lj import LennardJones
from ase.constraints import Hookean
from numpy.testing import assert_allclose, assert_array_equal
from reference.copper import copper, crystal, own_copper
from reference.numerical import numerical_virial

import acepair
from acepair import ACECalculator

PROPERTIES = ["energy", "free_energy", "energies", "forces", "stress", "stresses"]


class OnlyEnergyAndForces(Calculator):
    """A spring to the origin for every atom; without per-atom energies, free energy and stress."""

    implemented_properties = ["energy", "forces"]  # noqa: RUF012
    k = 0.3

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        self.results = {"energy": self.k / 2 * (atoms.positions**2).sum(), "forces": -self.k * atoms.positions}


def mixed(*ase_calculators):
    return acepair.StackedCalculator([*acepair.convert2et_full(copper()).components, *ase_calculators])


def test_ase_calculators_add_their_properties():
    atoms = crystal(rattle=0.1)
    emt, lj = EMT(), LennardJones(sigma=2.2, epsilon=0.02, rc=5.0)
    calc, alone = ACECalculator(mixed(emt, lj)), ACECalculator(copper())
    assert calc.implemented_properties == ["energy", "free_energy", "energies", "forces", "stress"]
    for name in calc.implemented_properties:
        expected = alone.get_property(name, atoms)
        for part in (EMT(), LennardJones(sigma=2.2, epsilon=0.02, rc=5.0)):
            expected = expected + part.get_property(name, atoms)
        assert_allclose(calc.get_property(name, atoms), expected, rtol=1e-12, atol=1e-12, err_msg=name)
        assert_array_equal(calc.results[name], calc.get_property(name, atoms))
    assert set(calc.results) == set(calc.implemented_properties)
    assert calc.get_property("energy", atoms, allow_calculation=False) == calc.get_potential_energy(atoms)


def test_mixed_stacks_agree_with_the_functions():
    atoms = crystal(rattle=0.1)
    stack = mixed(EMT())
    calc = ACECalculator(stack)
    result = acepair.energy_forces_virial(atoms, stack)
    assert calc.get_potential_energy(atoms) == pytest.approx(result.energy, rel=1e-12)
    assert_allclose(calc.get_forces(atoms), result.forces, atol=1e-12)
    assert_allclose(calc.get_stress(atoms)[:3], -np.diag(result.virial) / atoms.get_volume(), atol=1e-12)


def test_mixed_forces_are_derivatives_of_the_mixed_energy():
    atoms = crystal(rattle=0.1)
    atoms.calc = ACECalculator(mixed(EMT()))
    assert_allclose(atoms.get_forces(), calculate_numerical_forces(atoms, eps=1e-4), atol=1e-6)
    assert_allclose(atoms.get_stress(), calculate_numerical_stress(atoms, eps=1e-5), atol=1e-6)


def test_properties_an_ase_calculator_lacks():
    atoms = crystal(rattle=0.1)
    calc, spring = ACECalculator(mixed(OnlyEnergyAndForces())), OnlyEnergyAndForces()
    alone = ACECalculator(copper())
    assert calc.implemented_properties == ["energy", "forces"]
    for name in ("energies", "stress", "stresses", "free_energy"):
        with pytest.raises(PropertyNotImplementedError, match=f"^{name} property not implemented$"):
            calc.get_property(name, atoms)
    assert calc.get_potential_energy(atoms) == alone.get_potential_energy(atoms) + spring.get_potential_energy(atoms)
    assert_array_equal(calc.get_forces(atoms), alone.get_forces(atoms) + spring.get_forces(atoms))


def test_changes_of_an_ase_calculator_are_seen():
    """An inner ACECalculator knows that its parameters have changed; the outer one asks it."""
    inner, atoms = own_copper(), crystal(rattle=0.1)
    calc = ACECalculator(mixed(ACECalculator(inner)))
    energy = calc.get_potential_energy(atoms)
    acepair.set_linear_parameters(inner, np.zeros(acepair.length_basis(inner)))
    assert calc.calculation_required(atoms, ["energy"])
    assert calc.get_property("energy", atoms, allow_calculation=False) is None
    assert calc.get_potential_energy(atoms) == pytest.approx(energy / 2, rel=1e-12)
    assert calc.calculation_required(atoms, ["magmom"])


def test_mixed_stacks_can_be_copied():
    atoms = crystal(rattle=0.1)
    calc = ACECalculator(mixed(LennardJones(sigma=2.2, epsilon=0.02, rc=5.0)))
    assert calc.implemented_properties == PROPERTIES
    energy = calc.get_potential_energy(atoms)
    for twin in (pickle.loads(pickle.dumps(calc)), copy.deepcopy(calc)):
        assert twin.get_potential_energy(atoms) == energy
        assert twin.get_potential_energy(crystal()) == calc.get_potential_energy(crystal())
        assert json.dumps(twin.todict())


# ---- the functions


def test_constraints_are_no_part_of_a_component():
    atoms = crystal(rattle=0.1)
    energy, forces = acepair.potential_energy(atoms, mixed(EMT())), acepair.forces(atoms, mixed(EMT()))
    atoms.set_constraint(Hookean(1, (0, 0, 0), k=2.0, rt=0.1))
    assert acepair.potential_energy(atoms, mixed(EMT())) == energy
    assert_array_equal(acepair.forces(atoms, mixed(EMT())), forces)
    atoms.calc = ACECalculator(mixed(EMT()))
    assert atoms.get_potential_energy(apply_constraint=False) == pytest.approx(energy, rel=1e-12)
    assert atoms.get_potential_energy() > energy + 1


def test_forces_do_not_need_a_stress():
    atoms, stack = crystal(rattle=0.1), mixed(OnlyEnergyAndForces())
    expected = acepair.forces(atoms, copper()) + OnlyEnergyAndForces().get_forces(atoms)
    assert_allclose(acepair.forces(atoms, stack), expected, atol=1e-12)
    with pytest.raises(PropertyNotImplementedError, match="stress"):
        acepair.virial(atoms, stack)


def test_virial_of_a_molecule_needs_no_stress():
    atoms = crystal(rattle=0.1)
    atoms.pbc = False
    atoms.cell = None
    atoms.positions -= atoms.positions.mean(axis=0)
    stack = mixed(LennardJones(sigma=2.2, epsilon=0.02, rc=5.0), OnlyEnergyAndForces())
    numerical = numerical_virial(lambda a: acepair.potential_energy(a, stack), atoms)
    assert_allclose(acepair.virial(atoms, stack), numerical, atol=1e-7)


def test_per_atom_energies_of_the_functions():
    with pytest.raises(NotImplementedError, match="site energies are not defined for a stack with ASE calculators"):
        acepair.site_energies(crystal(), mixed(EMT()))
