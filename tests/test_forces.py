"""Forces, virials and site quantities against the formulas, central differences and symmetry."""

from functools import cache

import numpy as np
import pytest
from ase import Atoms
from numpy.testing import assert_allclose
from reference import naive, structures
from reference.cases import model_path, naive_model
from reference.numerical import numerical_forces, numerical_stress, numerical_virial
from reference.random_model import random_model

import acepair
from acepair.io import read_acejax

CASES = ["sio_tutorial", "si_order4", "tial_ace1", "tial_embedding"]
ROTATION = np.array([[2, -1, 2], [2, 2, -1], [-1, 2, 2]]) / 3  # exact to rounding, no axis special


@cache
def calculator(case):
    """The model without its one-body part, whose large constants would hide digits of the rest."""
    return acepair.StackedCalculator(read_acejax(model_path(case)).components[1:])


def elements(case):
    return naive_model(case).elements


def evaluated(case, atoms):
    return acepair.energy_forces_virial(atoms, calculator(case))


def assert_same(result, energy, forces, virial, tolerance=1e-12):
    """Compare energies, forces and virials, each on its own scale but never below 1."""
    assert abs(result.energy - energy) < tolerance * (abs(energy) + 1)
    assert_allclose(result.forces, forces, rtol=0, atol=tolerance * max(1, np.abs(forces).max(initial=0)))
    assert_allclose(result.virial, virial, rtol=0, atol=tolerance * max(1, np.abs(virial).max()))


def assert_follows_formulas(calc, model, atoms, tolerance=1e-11):
    expected = naive.evaluate(model, atoms)
    assert_same(acepair.energy_forces_virial(atoms, calc), expected.energy, expected.forces, expected.virial, tolerance)
    scale = np.abs(expected.site_energies).max(initial=1)
    assert_allclose(acepair.site_energies(atoms, calc), expected.site_energies, rtol=0, atol=tolerance * scale)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", sorted(structures.ALL))
def test_every_structure_follows_the_formulas(case, name):
    assert_follows_formulas(read_acejax(model_path(case)), naive_model(case), structures.ALL[name](elements(case)))


@pytest.mark.parametrize("case", CASES)
def test_more_than_1000_neighbors(case):
    atoms = structures.crowded(elements(case))
    assert_follows_formulas(read_acejax(model_path(case)), naive_model(case), atoms, tolerance=1e-10)


@pytest.mark.parametrize("radial", ["analytic", "spline", "spline_factorised"])
@pytest.mark.parametrize("pair_envelope", ["poly1sr", "ace1_poly1sr"])
@pytest.mark.parametrize("harmonics", ["real_solidharmonics", "real_sphericalharmonics"])
def test_three_species_with_pair_cutoffs_follow_the_formulas(tmp_path, radial, pair_envelope, harmonics):
    arrays = random_model([8, 14, 1], radial=radial, pair_envelope=pair_envelope, harmonics=harmonics, rin=0.3, order=5)
    np.savez(tmp_path / "model.npz", **arrays)
    calc, model = read_acejax(tmp_path / "model.npz"), naive.NaiveModel.from_arrays(arrays)
    for build in (structures.triclinic, structures.disordered, structures.slab, structures.far_apart, structures.axes):
        assert_follows_formulas(calc, model, build(model.elements))


@pytest.mark.parametrize("case", CASES)
def test_edge_gradients_follow_the_formulas(case):
    atoms = structures.triclinic(elements(case))
    expected = naive.evaluate(naive_model(case), atoms).site_grads
    grads = acepair.site_grads(atoms, calculator(case))
    assert_allclose(grads, expected, rtol=0, atol=1e-12 * max(1, np.abs(expected).max()))


@pytest.mark.parametrize("case", CASES)
def test_basis_jacobian_times_parameters_is_the_edge_gradient(case):
    atoms = structures.tiny(elements(case))
    i, *_ = naive.edges(atoms.positions, atoms.cell[:], atoms.pbc, naive_model(case).rcut)
    zi = np.array([elements(case).index(z) for z in atoms.numbers])[i]
    for part in calculator(case).components:
        jacobian = acepair.site_basis_jacobian(atoms, part)
        assert jacobian.shape == (len(i), 3, len(part.layer.readout.weights))
        expected = np.einsum("pak,kp->pa", jacobian, part.layer.readout.weights[:, zi])
        grads = acepair.site_grads(atoms, part)
        assert_allclose(grads, expected, rtol=0, atol=1e-11 * np.abs(expected).max())


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("build", [structures.triclinic, structures.wire])
def test_forces_match_central_differences(case, build):
    atoms = build(elements(case))
    numerical = numerical_forces(lambda a: acepair.potential_energy(a, calculator(case)), atoms)
    tolerance = 1e-8 if naive_model(case).meta["radial_kind"] == "analytic" else 1e-6  # splines are only C²
    assert_allclose(evaluated(case, atoms).forces, numerical, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("case", CASES)
def test_virial_and_stress_match_central_differences(case):
    atoms = structures.triclinic(elements(case))
    tolerance = 1e-7 if naive_model(case).meta["radial_kind"] == "analytic" else 1e-5

    def energy(a):
        return acepair.potential_energy(a, calculator(case))

    virial = evaluated(case, atoms).virial
    assert_allclose(virial, numerical_virial(energy, atoms), rtol=0, atol=tolerance * np.abs(virial).max())
    atoms.calc = acepair.ACECalculator(calculator(case))
    stress = atoms.get_stress()
    assert_allclose(stress, numerical_stress(energy, atoms), rtol=0, atol=tolerance * np.abs(stress).max())


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("build", [structures.triclinic, structures.slab, structures.molecule])
@pytest.mark.parametrize("operation", [ROTATION, -np.eye(3), -ROTATION], ids=["rotation", "inversion", "improper"])
def test_rotations_and_inversion(case, build, operation):
    atoms = build(elements(case))
    before = evaluated(case, atoms)
    atoms.set_cell(atoms.cell[:] @ operation.T)
    atoms.positions = atoms.positions @ operation.T
    expected = before.energy, before.forces @ operation.T, operation @ before.virial @ operation.T
    assert_same(evaluated(case, atoms), *expected, tolerance=1e-11)


@pytest.mark.parametrize("case", CASES)
def test_permutation(case):
    atoms = structures.triclinic(elements(case))
    before = evaluated(case, atoms)
    order = np.random.default_rng(3).permutation(len(atoms))
    assert_same(evaluated(case, atoms[order]), before.energy, before.forces[order], before.virial)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("build", [structures.triclinic, structures.wire, structures.molecule])
def test_translation_and_wrapping(case, build):
    atoms = build(elements(case))
    before = evaluated(case, atoms)
    atoms.positions += [0.37, -11.3, 5.1]
    for k, axis in enumerate(atoms.cell[:][atoms.pbc]):
        atoms.positions[k % len(atoms)] += (k + 2) * axis
    assert_same(evaluated(case, atoms), before.energy, before.forces, before.virial, tolerance=1e-11)


@pytest.mark.parametrize("case", CASES)
def test_replication(case):
    atoms = structures.tiny(elements(case))
    before = evaluated(case, atoms)
    after = evaluated(case, atoms * (2, 1, 3))
    assert_same(after, 6 * before.energy, np.tile(before.forces, (6, 1)), 6 * before.virial)


@pytest.mark.parametrize("case", CASES)
def test_forces_of_an_open_structure_add_up_to_nothing(case):
    atoms = structures.molecule(elements(case))
    forces = evaluated(case, atoms).forces
    scale = np.abs(forces).max()
    assert scale > 0.1
    assert_allclose(forces.sum(axis=0), 0, atol=1e-12 * scale)
    assert_allclose(np.cross(atoms.positions, forces).sum(axis=0), 0, atol=1e-10 * scale)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("build", [structures.rocksalt, structures.fcc_primitive, structures.diamond])
def test_perfect_lattices_have_no_forces(case, build):
    atoms = build(elements(case)[:1] if build is structures.diamond else elements(case))
    result = evaluated(case, atoms)
    assert_allclose(result.forces, 0, atol=1e-11 * max(1, np.abs(result.virial).max()))
    pressure = np.trace(result.virial) / 3  # all three are cubic
    assert_allclose(result.virial, pressure * np.eye(3), atol=1e-10 * max(1, abs(pressure)))


@pytest.mark.parametrize("case", CASES)
def test_energy_and_forces_fade_at_the_cutoff(case):
    z, rcut = elements(case)[0], calculator(case).rcut
    at = [evaluated(case, Atoms([z, z], [[0, 0, 0], [0, r, 0]])) for r in (rcut - 1e-6, rcut, rcut + 1e-6)]
    assert abs(at[0].energy) < 1e-10
    assert np.abs(at[0].forces).max() < 1e-5
    for beyond in at[1:]:
        assert beyond.energy == 0
        assert not beyond.forces.any()


@pytest.mark.parametrize("case", CASES)
def test_isolated_atoms_and_nothing_at_all(case):
    calc, E0 = read_acejax(model_path(case)), naive_model(case)["E0"]
    result = acepair.energy_forces_virial(structures.isolated(elements(case)), calc)
    assert result.energy == E0[0]
    assert not result.forces.any()
    assert not result.virial.any()
    nothing = acepair.energy_forces_virial(Atoms(), calc)
    assert (nothing.energy, nothing.forces.shape, nothing.virial.any()) == (0, (0, 3), np.False_)
    assert acepair.site_energies(Atoms(), calc).shape == (0,)
    apart = structures.far_apart(elements(case))
    assert acepair.site_energies(apart, calc)[2] == E0[elements(case).index(apart.numbers[2])]


@pytest.mark.parametrize("case", ["sio_tutorial", "tial_embedding"])
@pytest.mark.parametrize(("skin", "threads"), [(0.0, 1), (0.5, 2), (1.0, 5)])
def test_one_calculator_follows_every_change(case, skin, threads):
    """Moves within and beyond the skin, strains, other elements, boundary conditions and structures."""
    model, rng = naive_model(case), np.random.default_rng(5)
    calc = acepair.ACECalculator(read_acejax(model_path(case)), skin=skin, threads=threads)
    atoms = structures.triclinic(model.elements)
    for step in range(24):
        if step % 8 == 2:
            atoms.set_cell(atoms.cell[:] @ (np.eye(3) + rng.normal(size=(3, 3)) * 0.01), scale_atoms=step > 8)
        elif step % 8 == 4:
            atoms.numbers = structures.colored(len(atoms), model.elements, seed=step)
        elif step % 8 == 5:
            atoms.positions[step % len(atoms)] -= 2 * atoms.cell[1]
        elif step % 8 == 6:
            atoms.pbc = np.roll(atoms.pbc, 1) & [True, step < 8, True]
        elif step % 8 == 7:
            atoms = [structures.slab, structures.tiny, structures.molecule][step // 8](model.elements)
        else:
            atoms.positions += rng.normal(size=atoms.positions.shape) * (0.3 if step % 8 == 3 else 0.02)
        atoms.calc = calc
        expected = naive.evaluate(model, atoms)
        result = acepair.energy_forces_virial(atoms, calculator(case))
        assert_same(result, expected.energy - expected.E0.sum(), expected.forces, expected.virial, tolerance=1e-11)
        assert atoms.get_potential_energy() == pytest.approx(expected.energy, rel=1e-12)
        scale = max(1, np.abs(expected.forces).max())
        assert_allclose(atoms.get_forces(), expected.forces, rtol=0, atol=1e-11 * scale)


def test_many_atoms_and_any_number_of_threads():
    atoms = structures.diamond([14, 8], (4, 4, 3))
    atoms.positions += np.random.default_rng(6).normal(size=atoms.positions.shape) * 0.1
    expected = naive.evaluate(naive_model("sio_tutorial"), atoms)
    for threads in (1, 2, 3, 7):
        atoms.calc = acepair.ACECalculator(calculator("sio_tutorial"), threads=threads)
        assert_allclose(atoms.get_forces(), expected.forces, rtol=0, atol=1e-12 * np.abs(expected.forces).max())
        assert_allclose(atoms.get_stress(), expected.stress(atoms.get_volume()), rtol=0, atol=1e-13)
