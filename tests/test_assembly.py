"""Rows of design matrices: times the parameters they are the model, and they are its derivatives."""

from functools import cache

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.lj import LennardJones
from numpy.testing import assert_allclose, assert_array_equal
from reference import naive, structures
from reference.cases import model_path, naive_model
from reference.numerical import numerical_forces, numerical_virial

import acepair
from acepair.evaluate import evaluator_of, site_edges
from acepair.io import read_acejax

SI_O = [14, 8]


def with_random_parameters(model, seed=0):
    theta = np.random.default_rng(seed).normal(scale=0.1, size=acepair.length_basis(model))
    return acepair.set_linear_parameters(model, theta)


@cache
def ace():
    """Learned radial functions, solid harmonics, cutoffs per pair."""
    rcut = {("Si", "Si"): 5.0, ("Si", "O"): 4.4, ("O", "O"): 4.7}
    return with_random_parameters(acepair.ace_model(elements=("Si", "O"), order=3, max_level=7, rcut=rcut, pair_maxn=4))


@cache
def ace1():
    """Onehot radial functions, spherical harmonics, another pair cutoff."""
    model = acepair.ace1_model(elements=("Si", "O"), order=3, totaldegree=5, rcut=4.5, pair_rcut=5.5)
    return with_random_parameters(model)


@cache
def ace_splines():
    return acepair.splinify(ace(), 20)


@cache
def order_four():
    return with_random_parameters(acepair.ace1_model(elements="Si", order=4, totaldegree=7, rcut=4.5))


def stack():
    """One-body, pair and many-body part."""
    return acepair.convert2et_full(ace())


MODELS = {"ace_model": ace, "ace1_model": ace1, "splines": ace_splines, "order 4": order_four}
each_model = pytest.mark.parametrize("make", MODELS.values(), ids=MODELS)


def numbers_of(model):
    return [int(z) for z in model.numbers]


# ---- times the parameters


@each_model
@pytest.mark.parametrize(
    "build", [structures.triclinic, structures.tiny, structures.slab, structures.wire, structures.molecule]
)
def test_times_parameters_it_is_the_model(make, build):
    model = make()
    atoms = build(numbers_of(model))
    theta, basis = acepair.get_linear_parameters(model), acepair.energy_forces_virial_basis(atoms, model)
    L = acepair.length_basis(model)
    assert (basis.energy.shape, basis.forces.shape, basis.virial.shape) == ((L,), (len(atoms), 3, L), (3, 3, L))
    # rounding is relative to the terms of a sum, not to what is left of them
    expected = acepair.energy_forces_virial(atoms, model)
    terms = np.abs(basis.energy * theta).sum()
    assert abs(basis.energy @ theta - expected.energy) < 1e-12 * terms
    terms = (np.abs(basis.forces) @ np.abs(theta)).max()
    assert_allclose(basis.forces @ theta, expected.forces, rtol=0, atol=1e-12 * terms)
    terms = (np.abs(basis.virial) @ np.abs(theta)).max()
    assert_allclose(basis.virial @ theta, expected.virial, rtol=0, atol=1e-12 * terms)
    assert_array_equal(acepair.potential_energy_basis(atoms, model), basis.energy)


@each_model
def test_rows_do_not_depend_on_the_parameters(make):
    model = acepair.convert2et_full(make())
    atoms = structures.triclinic(numbers_of(model))
    before = acepair.energy_forces_virial_basis(atoms, model)
    acepair.set_linear_parameters(model, np.arange(acepair.length_basis(model)))
    after = acepair.energy_forces_virial_basis(atoms, model)
    for a, b in zip(before, after, strict=True):
        assert_array_equal(a, b)


# ---- site basis


@each_model
def test_columns_are_species_by_species(make):
    """Column z n_functions + k is function k summed over the atoms of species z."""
    for part in acepair.convert2et_full(make()).components[1:]:
        atoms = structures.triclinic(numbers_of(part))
        B = acepair.site_basis(atoms, part)
        columns = [B[atoms.numbers == z].sum(axis=0) for z in part.numbers]
        assert B.shape == (len(atoms), part.layer.readout.n_functions)
        assert_allclose(acepair.potential_energy_basis(atoms, part), np.concatenate(columns), rtol=1e-13)


@each_model
def test_site_basis_times_weights_is_the_site_energy(make):
    for part in acepair.convert2et_full(make()).components[1:]:
        atoms = structures.triclinic(numbers_of(part))
        B = acepair.site_basis(atoms, part)
        z = np.array([numbers_of(part).index(number) for number in atoms.numbers])
        terms = B * part.layer.readout.weights.T[z]
        scale = np.abs(terms).sum(axis=1).max()
        assert_allclose(acepair.site_energies(atoms, part), terms.sum(axis=1), rtol=0, atol=1e-12 * scale)


def test_site_bases_of_components_stand_side_by_side():
    atoms = structures.triclinic(SI_O)
    for function, axis in ((acepair.site_basis, 1), (acepair.potential_energy_basis, 0)):
        separate = [function(atoms, part) for part in stack().components]
        assert_allclose(function(atoms, stack()), np.concatenate(separate, axis=axis), rtol=1e-14)
    jacobian, edges = acepair.site_basis_jacobian(atoms, stack()), site_edges(atoms, stack())
    start = 0
    for part in stack().components:
        z = np.array([SI_O.index(number) for number in atoms.numbers])
        own = edges.d < part.rcuts[z[edges.i], z[edges.j]]
        expected = acepair.site_basis_jacobian(atoms, part)
        columns = jacobian[:, :, start : start + expected.shape[2]]
        start += expected.shape[2]
        assert_allclose(columns[own], expected, rtol=1e-13)
        assert not columns[~own].any()
    assert start == jacobian.shape[2]


# ---- derivatives


@each_model
@pytest.mark.parametrize("build", [structures.triclinic, structures.molecule])
def test_jacobian_matches_central_differences(make, build):
    """A neighbour moves with all its images: dB_i/dr_j sums their edges, less those of i if j is i."""
    for part in acepair.convert2et_full(make()).components[1:]:
        atoms = build(numbers_of(part))
        jacobian, edges = acepair.site_basis_jacobian(atoms, part), site_edges(atoms, part)
        assert jacobian.shape == (len(edges.i), 3, part.layer.readout.n_functions)
        derivative = np.zeros((len(atoms), len(atoms), 3, jacobian.shape[2]))
        np.add.at(derivative, (edges.i, edges.j), jacobian)
        np.subtract.at(derivative, (edges.i, edges.i), jacobian)
        h = 1e-4
        for atom, axis in ((0, 0), (3, 2), (len(atoms) - 1, 1)):
            values = []
            for step in (h, -h, 2 * h, -2 * h):
                moved = atoms.copy()
                moved.positions[atom, axis] += step
                values.append(acepair.site_basis(moved, part))
            numerical = (8 * (values[0] - values[1]) - (values[2] - values[3])) / (12 * h)
            scale = np.abs(derivative).max()
            tolerance = 1e-6 if make is ace_splines else 1e-8  # splines are only C²
            assert_allclose(derivative[:, atom, axis], numerical, rtol=0, atol=tolerance * scale)


@each_model
@pytest.mark.parametrize("build", [structures.triclinic, structures.slab])
def test_forces_and_virials_are_sums_of_the_jacobian(make, build):
    for part in acepair.convert2et_full(make()).components[1:]:
        atoms = build(numbers_of(part))
        edges, n = site_edges(atoms, part), part.layer.readout.n_functions
        z = np.array([numbers_of(part).index(number) for number in atoms.numbers])
        jacobian = np.zeros((len(edges.i), 3, len(part.elements), n))
        jacobian[np.arange(len(edges.i)), :, z[edges.i]] = acepair.site_basis_jacobian(atoms, part)
        jacobian = jacobian.reshape(len(edges.i), 3, -1)
        forces = np.zeros((len(atoms), *jacobian.shape[1:]))
        np.add.at(forces, edges.i, jacobian)
        np.subtract.at(forces, edges.j, jacobian)
        virial = -np.einsum("pa,pbk->abk", edges.D, jacobian)
        basis = acepair.energy_forces_virial_basis(atoms, part)
        assert_allclose(basis.forces, forces, rtol=0, atol=1e-12 * np.abs(jacobian).max())
        assert_allclose(basis.virial, virial, rtol=0, atol=1e-12 * max(np.abs(virial).max(), np.abs(jacobian).max()))


@pytest.mark.parametrize("column", [0, 7, 21, -1])
def test_rows_match_central_differences(column):
    atoms, model = structures.triclinic(SI_O), ace1()
    basis = acepair.energy_forces_virial_basis(atoms, model)

    def value(a):
        return acepair.potential_energy_basis(a, model)[column]

    forces, virial = basis.forces[..., column], basis.virial[..., column]
    scale = np.abs(virial).max()
    assert_allclose(forces[:3], numerical_forces(value, atoms, which=range(3)), rtol=0, atol=1e-8 * scale)
    assert_allclose(virial, numerical_virial(value, atoms), rtol=0, atol=1e-7 * scale)


@pytest.mark.parametrize("case", ["sio_tutorial", "tial_ace1"])
def test_pair_jacobian_is_that_of_the_radial_functions(case):
    """∂B_i/∂D = dR/dr D/r; a complex step gives dR/dr exactly."""
    model, pair = naive_model(case), read_acejax(model_path(case)).components[1]
    atoms = structures.disordered(model.elements)
    edges = site_edges(atoms, pair)
    z = np.array([model.elements.index(number) for number in atoms.numbers])
    _, dR = naive.radial(model, "pair", edges.d, z[edges.i], z[edges.j])
    expected = dR[:, None, :] * (edges.D / edges.d[:, None])[:, :, None]
    jacobian = acepair.site_basis_jacobian(atoms, pair)
    assert_allclose(jacobian, expected, rtol=0, atol=1e-12 * np.abs(expected).max())


# ---- order of columns


def test_models_have_many_body_functions_first():
    atoms, model = structures.triclinic(SI_O), ace1()
    one_body, pair, many_body = acepair.convert2et_full(model).components
    whole = acepair.energy_forces_virial_basis(atoms, model)
    parts = [acepair.energy_forces_virial_basis(atoms, part) for part in (many_body, pair)]
    for k, rows in enumerate(whole):
        assert_allclose(rows, np.concatenate([part[k] for part in parts], axis=-1), rtol=1e-14)
    thetas = [acepair.get_linear_parameters(part) for part in (many_body, pair)]
    assert_array_equal(acepair.get_linear_parameters(model), np.concatenate(thetas))
    assert acepair.energy_forces_virial_basis(atoms, one_body).energy.shape == (0,)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2), (2, 0, 1, 2)])
def test_stacks_have_the_order_of_their_components(order):
    atoms, components = structures.triclinic(SI_O), [stack().components[k] for k in order]
    whole = acepair.energy_forces_virial_basis(atoms, acepair.StackedCalculator(components))
    parts = [acepair.energy_forces_virial_basis(atoms, part) for part in components]
    for k, rows in enumerate(whole):
        assert_allclose(rows, np.concatenate([part[k] for part in parts], axis=-1), rtol=1e-14)


def test_components_without_parameters_have_no_columns():
    atoms, components = structures.triclinic(SI_O), stack().components
    others = [acepair.ZBLPotential(("Si", "O"), 3.0), LennardJones(sigma=2, epsilon=0.1)]
    plain = acepair.energy_forces_virial_basis(atoms, stack())
    mixed = acepair.energy_forces_virial_basis(atoms, acepair.StackedCalculator([others[1], *components, others[0]]))
    for a, b in zip(plain, mixed, strict=True):
        assert_array_equal(a, b)
    assert acepair.site_basis(atoms, others[0]).shape == (len(atoms), 0)


def test_elements_in_another_order():
    atoms = structures.triclinic(SI_O)
    swapped = with_random_parameters(acepair.ace1_model(elements=("O", "Si"), order=2, totaldegree=5, rcut=5.0), 1)
    both = acepair.StackedCalculator([*stack().components, *acepair.convert2et_full(swapped).components])
    basis, theta = acepair.energy_forces_virial_basis(atoms, both), acepair.get_linear_parameters(both)
    expected = acepair.energy_forces_virial(atoms, both)
    assert basis.energy @ theta == pytest.approx(expected.energy, rel=1e-11)
    assert_allclose(basis.forces @ theta, expected.forces, atol=1e-10)
    alone = acepair.energy_forces_virial_basis(atoms, acepair.convert2et_full(swapped))
    assert_allclose(basis.forces[:, :, -len(alone.energy) :], alone.forces, rtol=1e-13)


def test_elements_that_a_stack_does_not_share_have_empty_columns():
    narrow = acepair.convert2et_full(acepair.ace1_model(elements="O", order=2, totaldegree=5, rcut=5.0))
    both = acepair.StackedCalculator([stack().components[1], narrow.components[1]])
    basis = acepair.energy_forces_virial_basis(structures.triclinic([8]), both)
    n = stack().components[1].layer.readout.n_functions
    assert not basis.energy[:n].any()
    assert not basis.forces[..., :n].any()
    assert basis.energy[n : 2 * n].any()


# ---- special structures


@each_model
def test_no_atoms(make):
    model = make()
    L = acepair.length_basis(model)
    basis = acepair.energy_forces_virial_basis(Atoms(), model)
    assert basis.forces.shape == (0, 3, L)
    for rows in (basis.energy, basis.virial, acepair.potential_energy_basis(Atoms(), model)):
        assert rows.shape[-1] == L
        assert not rows.any()
    n = L // len(model.elements)
    assert acepair.site_basis(Atoms(), model).shape == (0, n)
    assert acepair.site_basis_jacobian(Atoms(), model).shape == (0, 3, n)


@each_model
def test_an_isolated_atom(make):
    model = make()
    for build in (structures.isolated, structures.isolated_periodic):
        basis = acepair.energy_forces_virial_basis(build(numbers_of(model)), model)
        assert not basis.energy.any()
        assert not basis.forces.any()
        assert not basis.virial.any()


def test_more_than_a_thousand_neighbors():
    atoms, model = structures.crowded(SI_O), ace()
    basis, theta = acepair.energy_forces_virial_basis(atoms, model), acepair.get_linear_parameters(model)
    terms = np.abs(basis.energy * theta).sum()
    assert abs(basis.energy @ theta - acepair.potential_energy(atoms, model)) < 1e-12 * terms


@pytest.mark.parametrize("case", ["sio_tutorial", "si_order4"])
@pytest.mark.parametrize("build", [structures.triclinic, structures.tiny])
def test_threads_do_not_change_a_bit(case, build):
    results = []
    for threads in (1, 2, 3):
        model = read_acejax(model_path(case))
        assert model.components[2].layer.readout.n_functions > 3 * 16  # enough for three threads of any vector width
        evaluator_of(model).threads = threads
        atoms = build(numbers_of(model))
        rows = acepair.energy_forces_virial_basis(atoms, model)
        results.append((*rows, acepair.site_basis(atoms, model), acepair.site_basis_jacobian(atoms, model)))
    for others in results[1:]:
        for a, b in zip(results[0], others, strict=True):
            assert_array_equal(a, b)
