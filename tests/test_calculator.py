"""ASE calculator: ASE's conventions, and results that are never stale."""

import copy
from functools import cache

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.calculator import PropertyNotImplementedError, all_changes
from ase.calculators.emt import EMT
from ase.calculators.mixing import SumCalculator
from ase.calculators.singlepoint import SinglePointCalculator
from ase.db.row import AtomsRow
from ase.io import read
from ase.io.trajectory import Trajectory
from numpy.testing import assert_allclose, assert_array_equal
from reference import structures
from reference.cases import model_path
from reference.copper import copper, crystal, own_copper

import acepair
from acepair import ACECalculator
from acepair.io import read_acejax

PROPERTIES = ["energy", "free_energy", "energies", "forces", "stress", "stresses"]
SI_O = [14, 8]


@cache
def silica():
    return read_acejax(model_path("sio_tutorial"))


# ---- properties


def test_properties_are_those_of_the_functions():
    atoms = structures.triclinic(SI_O)
    expected = acepair.energy_forces_virial(atoms, silica())
    atoms.calc = ACECalculator(silica())
    assert atoms.get_potential_energy() == pytest.approx(expected.energy, rel=1e-14)
    assert atoms.get_potential_energy(force_consistent=True) == atoms.get_potential_energy()
    assert_allclose(atoms.get_forces(), expected.forces, atol=1e-12 * np.abs(expected.forces).max())
    stress = -expected.virial / atoms.get_volume()
    assert_allclose(atoms.get_stress(voigt=False), (stress + stress.T) / 2, atol=1e-12 * np.abs(stress).max())
    assert_allclose(atoms.get_potential_energies(), acepair.site_energies(atoms, silica()), rtol=1e-13)
    assert atoms.calc.implemented_properties == PROPERTIES


@pytest.mark.parametrize("build", [structures.triclinic, structures.slab, structures.tiny])
def test_stresses_go_to_the_neighbor_and_add_up(build):
    atoms = build(SI_O)
    atoms.calc = ACECalculator(silica())
    edges, grads = acepair.evaluate.site_edges(atoms, silica()), acepair.site_grads(atoms, silica())
    expected = np.zeros((len(atoms), 3, 3))
    np.add.at(expected, edges.j, np.einsum("pa,pb->pab", edges.D, grads))
    expected = (expected + expected.transpose(0, 2, 1)) / 2 / atoms.get_volume()
    stresses = atoms.get_stresses()
    assert stresses.shape == (len(atoms), 6)
    scale = np.abs(expected).max()
    assert_allclose(stresses, expected[:, [0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]], atol=1e-12 * scale)
    assert_allclose(stresses.sum(axis=0), atoms.get_stress(), atol=1e-12 * scale)


@pytest.mark.parametrize("build", [structures.molecule, structures.wire])
@pytest.mark.parametrize("name", ["stress", "stresses"])
def test_no_stress_without_three_cell_vectors(build, name):
    calc, atoms = ACECalculator(silica()), build(SI_O)
    with pytest.raises(PropertyNotImplementedError, match=f"^{name} needs three independent cell vectors, got "):
        calc.get_property(name, atoms)
    assert calc.get_property("forces", atoms).shape == (len(atoms), 3)
    assert "stress" not in calc.results
    calc.calculate(atoms, PROPERTIES)
    assert set(calc.results) == set(PROPERTIES) - {"stress", "stresses"}


def test_no_stress_of_a_flat_cell():
    atoms = structures.slab(SI_O)
    atoms.set_cell([atoms.cell[0], atoms.cell[1], atoms.cell[0] - 2 * atoms.cell[1]])
    with pytest.raises(PropertyNotImplementedError, match="three independent"):
        ACECalculator(silica()).get_stress(atoms)


def test_stress_of_a_slab_with_three_vectors():
    atoms = structures.slab(SI_O)
    atoms.calc = ACECalculator(silica())
    expected = -acepair.virial(atoms, silica()) / atoms.get_volume()
    assert_allclose(atoms.get_stress(voigt=False), (expected + expected.T) / 2, rtol=1e-10)


def test_unknown_properties():
    calc, atoms = ACECalculator(copper()), crystal()
    with pytest.raises(PropertyNotImplementedError, match=r"^magmoms property not implemented$"):
        calc.get_property("magmoms", atoms)
    calc.calculate(atoms, ["dipole", "energy"], all_changes)
    assert "dipole" not in calc.results
    assert "energy" in calc.results


def test_no_atoms():
    atoms = Atoms(cell=[5, 5, 5], pbc=True)
    atoms.calc = ACECalculator(copper())
    assert atoms.get_potential_energy() == 0
    assert atoms.get_forces().shape == (0, 3)
    assert atoms.get_stresses().shape == (0, 6)
    assert not atoms.get_stress().any()


# ---- what is remembered, and for how long


def test_only_what_is_asked_for_is_calculated():
    calc, atoms = ACECalculator(copper()), crystal(rattle=0.1)
    calc.get_potential_energy(atoms)
    assert set(calc.results) == {"energy", "free_energy", "energies"}
    calc.get_forces(atoms)
    assert set(calc.results) == {"energy", "free_energy", "energies", "forces", "stress"}
    calc.get_stresses(atoms)
    assert set(calc.results) == set(PROPERTIES)


def count_evaluations(monkeypatch, calc):
    calls = []
    evaluate = calc._evaluator.evaluate
    monkeypatch.setattr(calc._evaluator, "evaluate", lambda *a, **k: calls.append(k) or evaluate(*a, **k))
    return calls


def test_known_results_are_not_calculated_again(monkeypatch):
    calc, atoms = ACECalculator(copper()), crystal(rattle=0.1)
    calls = count_evaluations(monkeypatch, calc)
    atoms.calc = calc
    forces = atoms.get_forces()
    energy = atoms.get_potential_energy()
    atoms.get_stress()
    assert len(calls) == 1
    atoms.set_initial_magnetic_moments([1.0] * len(atoms))
    atoms.set_initial_charges([0.5] * len(atoms))
    atoms.set_velocities(np.ones((len(atoms), 3)))
    assert atoms.copy() == atoms
    assert calc.get_potential_energy(atoms.copy()) == energy
    assert_array_equal(calc.get_forces(atoms), forces)
    assert len(calls) == 1
    assert calc.check_state(atoms) == []
    assert not calc.calculation_required(atoms, ["energy", "forces", "stress"])
    assert calc.calculation_required(atoms, ["stresses"])


def moved(atoms):
    atoms.positions[0, 0] += 1e-14  # in place, by less than ASE's comparison sees
    return ["positions"]


def strained(atoms):
    atoms.cell[1, 2] += 1e-12
    return ["cell"]


def opened(atoms):
    atoms.pbc[2] = False
    return ["pbc"]


def exchanged(atoms):
    atoms.numbers[0] = 22 - atoms.numbers[0]
    return ["numbers"]


def removed(atoms):
    del atoms[0]
    return ["positions", "numbers"]


@pytest.mark.parametrize("change", [moved, strained, opened, exchanged, removed])
def test_changes_in_place_are_seen(change, monkeypatch):
    calc, atoms = ACECalculator(silica()), structures.triclinic(SI_O)
    calls = count_evaluations(monkeypatch, calc)
    calc.calculate(atoms, PROPERTIES)
    changes = change(atoms)
    n_calls = len(calls)
    assert calc.check_state(atoms) == changes
    assert calc.calculation_required(atoms, ["energy"])
    assert calc.get_property("energy", atoms, allow_calculation=False) is None
    energy, forces, stress = calc.get_potential_energy(atoms), calc.get_forces(atoms), calc.get_stress(atoms)
    assert len(calls) == n_calls + 2
    fresh = ACECalculator(silica())
    assert energy == pytest.approx(fresh.get_potential_energy(atoms), rel=1e-12)
    assert_allclose(forces, fresh.get_forces(atoms), atol=1e-9)
    assert_allclose(stress, fresh.get_stress(atoms), atol=1e-9)


def test_results_belong_to_the_user():
    calc, atoms = ACECalculator(copper()), crystal(rattle=0.1)
    calc.calculate(atoms, PROPERTIES)
    kept = calc.results
    before = copy.deepcopy(kept)
    for name in PROPERTIES:
        value = calc.get_property(name, atoms)
        if isinstance(value, np.ndarray):
            value += 1
        assert_array_equal(calc.get_property(name, atoms), before[name])
    atoms.rattle(0.1, seed=7)
    calc.calculate(atoms, PROPERTIES)
    for name in PROPERTIES:  # those of the first structure were not overwritten
        assert_array_equal(kept[name], before[name])
        assert (np.asarray(calc.results[name]) != before[name]).any()


@pytest.mark.parametrize("as_model", [lambda m: m, acepair.convert2et_full], ids=["model", "stack"])
def test_changes_of_parameters_are_seen(as_model):
    model, atoms = as_model(own_copper()), crystal(rattle=0.1)
    calc = ACECalculator(model)
    calc.calculate(atoms, PROPERTIES)
    before = calc.results
    acepair.set_linear_parameters(model, 2 * acepair.get_linear_parameters(model))
    assert calc.check_state(atoms) == all_changes
    assert calc.get_property("energy", atoms, allow_calculation=False) is None
    assert calc.get_potential_energy(atoms) == pytest.approx(2 * before["energy"], rel=1e-13)
    assert_allclose(calc.get_forces(atoms), 2 * before["forces"], rtol=1e-10)
    assert calc.neighbors.n_rebuilds == 1


def test_parameters_of_the_last_structure_are_seen_without_atoms():
    model, atoms = own_copper(), crystal(rattle=0.1)
    calc = ACECalculator(model)
    energy = calc.get_potential_energy(atoms)
    acepair.set_linear_parameters(model, -acepair.get_linear_parameters(model))
    assert calc.get_potential_energy() == pytest.approx(-energy, rel=1e-13)


def test_last_structure():
    calc, atoms = ACECalculator(silica()), structures.slab(SI_O)
    with pytest.raises(ValueError, match=r"^atoms must be given, as nothing has been calculated yet$"):
        calc.get_potential_energy()
    forces = calc.get_forces(atoms)
    assert calc.atoms == Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
    assert_array_equal(calc.get_forces(), forces)
    assert_array_equal(calc.get_atoms().get_forces(), forces)
    calc.atoms.positions += 1  # a copy
    assert calc.atoms == atoms
    calc.reset()
    assert calc.atoms is None
    assert calc.results == {}
    assert_array_equal(calc.get_forces(atoms), forces)


def test_bad_structure_leaves_nothing_behind():
    calc, atoms = ACECalculator(copper()), crystal(rattle=0.1)
    energy = calc.get_potential_energy(atoms)
    bad = atoms.copy()
    bad.positions[0, 0] = np.nan
    for _ in range(2):
        with pytest.raises(ValueError, match="positions must be finite"):
            calc.get_potential_energy(bad)
        assert calc.results == {}
        assert calc.atoms is None
    assert calc.get_potential_energy(atoms) == energy


def test_asking_without_calculating_keeps_the_results():
    calc, atoms = ACECalculator(copper()), crystal(rattle=0.1)
    energy = calc.get_potential_energy(atoms)
    assert calc.get_property("forces", atoms, allow_calculation=False) is None
    assert calc.get_property("energy", crystal(), allow_calculation=False) is None
    assert calc.get_property("energy", atoms, allow_calculation=False) == energy


# ---- neighbours


def test_neighbor_list_is_reused():
    calc, atoms = ACECalculator(copper(), skin=0.8), crystal(2)
    rng = np.random.default_rng(0)
    for _ in range(10):
        atoms.positions += rng.normal(scale=0.01, size=atoms.positions.shape)
        calc.get_forces(atoms)
        calc.get_potential_energy(atoms)
    assert (calc.neighbors.n_rebuilds, calc.neighbors.n_reuses) == (1, 9)
    atoms.positions[3] += 0.41
    calc.get_forces(atoms)
    assert calc.neighbors.n_rebuilds == 2


def test_skin_does_not_change_results():
    reused, anew = ACECalculator(copper(), skin=1.5), ACECalculator(copper(), skin=0)
    atoms = crystal(rattle=0.01)
    rng = np.random.default_rng(3)
    for _ in range(6):
        atoms.positions += rng.normal(scale=0.05, size=atoms.positions.shape)
        atoms.set_cell(atoms.cell[:] @ (np.eye(3) + 0.005 * rng.normal(size=(3, 3))), scale_atoms=True)
        assert reused.get_potential_energy(atoms) == pytest.approx(anew.get_potential_energy(atoms), rel=1e-12)
        assert_allclose(reused.get_forces(atoms), anew.get_forces(atoms), atol=1e-12)
    assert reused.neighbors.n_rebuilds < anew.neighbors.n_rebuilds == 6


def test_structures_of_all_kinds_in_turn():
    calc = ACECalculator(silica())
    for _ in range(2):
        for build in structures.ALL.values():
            atoms = build(SI_O)
            expected = acepair.energy_forces_virial(atoms, silica())
            assert calc.get_potential_energy(atoms) == pytest.approx(expected.energy, rel=1e-12, abs=1e-12)
            assert_allclose(calc.get_forces(atoms), expected.forces, atol=1e-11)


def test_one_body_energies_need_no_neighbors():
    calc = ACECalculator(acepair.ETOneBodyPotential(acepair.one_body({"Cu": -1.5})))
    atoms = crystal()
    assert calc.neighbors is None
    assert calc.get_potential_energy(atoms) == -6
    assert not calc.get_forces(atoms).any()
    assert not calc.get_stress(atoms).any()
    assert not calc.get_stresses(atoms).any()


# ---- the rest of ASE


def test_files_of_ase(tmp_path):
    atoms = crystal(rattle=0.1)
    atoms.calc = ACECalculator(copper())
    energy, forces, stress = atoms.get_potential_energy(), atoms.get_forces(), atoms.get_stress()
    with Trajectory(tmp_path / "a.traj", "w") as trajectory:
        trajectory.write(atoms)
    atoms.write(tmp_path / "a.extxyz")
    for name, tolerance in (("a.traj", 0), ("a.extxyz", 1e-7)):
        found = read(tmp_path / name)
        assert found.get_potential_energy() == pytest.approx(energy, rel=1e-12)
        assert_allclose(found.get_forces(), forces, atol=tolerance)
        assert_allclose(found.get_stress(), stress, atol=tolerance)
    row = AtomsRow(atoms)
    assert (row.calculator, row.energy) == ("acepair", energy)
    assert_array_equal(row.forces, forces)


def test_experimental_properties_of_ase():
    atoms = crystal(rattle=0.1)
    atoms.calc = ACECalculator(copper())
    found = atoms.get_properties(["energy", "stresses"])
    assert found["energy"] == atoms.get_potential_energy()
    assert_array_equal(found["stresses"], atoms.get_stresses())


def test_results_fit_a_single_point_calculator():
    calc, atoms = ACECalculator(copper()), crystal(rattle=0.1)
    calc.calculate(atoms, PROPERTIES)
    single = SinglePointCalculator(atoms, **calc.results)
    assert_array_equal(single.get_stresses(atoms), calc.get_stresses(atoms))


def test_sum_calculator_of_ase():
    atoms = crystal(rattle=0.1)
    ace, emt = ACECalculator(copper()), EMT()
    atoms.calc = SumCalculator([ace, emt])
    for name in PROPERTIES[:-1]:  # EMT's stresses are not per volume
        total = atoms.calc.get_property(name, atoms)
        assert_allclose(total, ace.get_property(name, atoms) + emt.get_property(name, atoms), atol=1e-12)
