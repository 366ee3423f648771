"""Molecular dynamics, relaxation, elasticity and phonons with a model fitted to EMT copper."""

import numpy as np
import pytest
from ase import units
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.fd import calculate_numerical_forces, calculate_numerical_stress
from ase.constraints import FixAtoms, Hookean
from ase.filters import FrechetCellFilter
from ase.md.verlet import VelocityVerlet
from ase.optimize import BFGS
from ase.phonons import Phonons
from numpy.testing import assert_allclose, assert_array_equal
from reference.copper import LATTICE_CONSTANT, copper, crystal

from acepair import ACECalculator


def heat(atoms, temperature):
    """Random momenta without a total, kinetic energy of equipartition at twice the temperature (K)."""
    momenta = np.random.default_rng(1).normal(size=(len(atoms), 3))
    momenta -= momenta.mean(axis=0)
    atoms.set_momenta(momenta)
    atoms.set_momenta(momenta * np.sqrt(2 * temperature / atoms.get_temperature()))


def test_forces_and_stress_are_derivatives_of_the_energy():
    atoms = crystal(rattle=0.1)
    atoms.set_cell(atoms.cell[:] @ [[1.01, 0.02, 0], [0, 0.98, 0.03], [-0.01, 0, 1]], scale_atoms=True)
    atoms.calc = ACECalculator(copper())
    assert_allclose(atoms.get_forces(), calculate_numerical_forces(atoms, eps=1e-4), atol=1e-6)
    assert_allclose(atoms.get_stress(), calculate_numerical_stress(atoms, eps=1e-5), atol=1e-7)


def test_nve_conserves_energy():
    """Fluctuations of velocity Verlet are of second order in the time step, and there is no drift."""
    ranges = []
    for dt, n_steps in ((4.0, 50), (2.0, 100)):
        atoms = crystal(2)
        atoms.calc = ACECalculator(copper())
        heat(atoms, 600)
        kinetic, energies = atoms.get_kinetic_energy(), []
        md = VelocityVerlet(atoms, timestep=dt * units.fs)
        md.attach(lambda a=atoms, e=energies: e.append(a.get_total_energy()))
        md.run(n_steps)
        assert atoms.calc.neighbors.n_rebuilds < n_steps / 5
        drift = np.polyfit(np.linspace(0, 1, len(energies)), energies, 1)[0]
        ranges.append(np.ptp(energies))
        assert abs(drift) < ranges[-1]
    assert ranges[1] < 2e-3 * kinetic
    assert ranges[0] / ranges[1] == pytest.approx(4, rel=0.25)


def test_momentum_stays_zero():
    atoms = crystal(2)
    atoms.calc = ACECalculator(copper())
    heat(atoms, 900)
    VelocityVerlet(atoms, timestep=3 * units.fs).run(30)
    assert_allclose(atoms.get_momenta().sum(axis=0), 0, atol=1e-10)


def test_cell_relaxation_finds_the_minimum():
    atoms = crystal(rattle=0.05)
    atoms.set_cell(atoms.cell[:] @ [[1.03, 0.02, 0], [0, 0.98, 0.01], [0, 0, 1.01]], scale_atoms=True)
    atoms.calc = ACECalculator(copper())
    BFGS(FrechetCellFilter(atoms), logfile=None).run(fmax=1e-5, steps=60)
    assert_allclose(atoms.get_stress(), 0, atol=1e-6)
    assert_allclose(atoms.cell.angles(), 90, atol=1e-2)

    lengths = np.linspace(3.55, 3.65, 7)
    calc = ACECalculator(copper())
    energies = [calc.get_potential_energy(bulk("Cu", a=a, cubic=True)) for a in lengths]
    coefficients = np.polyfit(lengths - 3.6, energies, 4)
    minimum = next(r.real for r in np.roots(np.polyder(coefficients)) if abs(r) < 0.05) + 3.6
    assert_allclose(atoms.cell.lengths(), minimum, rtol=1e-4)
    assert minimum == pytest.approx(LATTICE_CONSTANT, rel=3e-3)


def elastic_constants(calc, a):
    """C11, C12, C44 (eV/Å³) from central differences of the stress, and the largest entry cubic symmetry forbids."""
    C = np.zeros((6, 6))
    h = 1e-4
    for k, (p, q) in enumerate([(0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1)]):
        for sign in (1, -1):
            strain = np.eye(3)
            strain[p, q] += sign * h / 2
            strain[q, p] += sign * h / 2
            atoms = bulk("Cu", a=a, cubic=True)
            atoms.set_cell(atoms.cell[:] @ strain, scale_atoms=True)
            C[:, k] += sign * calc.get_stress(atoms) / (2 * h)
    forbidden = C.copy()
    forbidden[:3, :3] = 0
    return C[0, 0], C[0, 1], C[3, 3], np.abs(forbidden - np.diag(np.diag(forbidden))).max()


def test_elastic_constants():
    calc = ACECalculator(copper())
    energy = [calc.get_potential_energy(bulk("Cu", a=LATTICE_CONSTANT * (1 + x), cubic=True)) for x in (-1e-3, 0, 1e-3)]
    bulk_modulus = (energy[0] - 2 * energy[1] + energy[2]) / 1e-6 / (9 * LATTICE_CONSTANT**3)
    C11, C12, C44, forbidden = elastic_constants(calc, LATTICE_CONSTANT)
    pressure = -calc.get_stress(bulk("Cu", a=LATTICE_CONSTANT, cubic=True))[0]
    assert (C11 + 2 * C12) / 3 == pytest.approx(bulk_modulus + 2 * pressure / 3, rel=2e-3)  # finite strain
    assert forbidden < 1e-6 * C11
    assert_allclose((C11, C12, C44), elastic_constants(EMT(), LATTICE_CONSTANT)[:3], rtol=0.05)


def test_phonons(tmp_path):
    """Acoustic modes at Γ, degeneracies of the cubic group, frequencies of the potential the model was fitted to.

    The wave vectors fit into the supercell: there the frequencies are exact, whatever the range of forces.
    """
    q = np.array([[0, 0, 0], [1, 0, 1], [2, 0, 2], [1, 1, 1], [2, 2, 2], [2, 1, 3]]) / 4  # Γ, ½X, X, ½L, L, W
    frequencies = []
    for name, calc in (("ace", ACECalculator(copper())), ("emt", EMT())):
        phonons = Phonons(
            bulk("Cu", a=LATTICE_CONSTANT), calc, supercell=(4, 4, 4), delta=0.01, name=str(tmp_path / name)
        )
        phonons.run()
        phonons.read()
        frequencies.append(1e3 * np.array(phonons.band_structure(q, verbose=False)))  # meV
    ace, emt = frequencies
    assert_allclose(ace[0], 0, atol=1e-2)
    assert_allclose(ace[1:5, 0], ace[1:5, 1], rtol=1e-4)  # transverse modes along Δ and Λ
    assert_allclose(ace[1:], emt[1:], rtol=0.15)


def test_hessian_is_symmetric():
    atoms = crystal(rattle=0.1)
    calc = ACECalculator(copper())
    h = 1e-4
    hessian = np.zeros((len(atoms) * 3,) * 2)
    for k in range(len(hessian)):
        for sign in (1, -1):
            moved = atoms.copy()
            moved.positions.reshape(-1)[k] += sign * h
            hessian[k] -= sign * calc.get_forces(moved).ravel() / (2 * h)
    assert_allclose(hessian, hessian.T, atol=1e-6 * np.abs(hessian).max())
    assert calc.neighbors.n_rebuilds == 1


def test_constraints():
    atoms = crystal(rattle=0.1)
    atoms.calc = ACECalculator(copper())
    free, energy = atoms.get_forces(), atoms.get_potential_energy()
    atoms.set_constraint([FixAtoms([0]), Hookean(1, (0, 0, 0), k=2.0, rt=0.1)])
    assert not atoms.get_forces()[0].any()
    assert_array_equal(atoms.get_forces(apply_constraint=False), free)
    assert_array_equal(atoms.calc.results["forces"], free)
    assert atoms.get_potential_energy(apply_constraint=False) == energy
    assert atoms.get_potential_energy() > energy
