"""Components of a stack share one neighbour search and one set of edges, and each is cut exactly at its own cutoff."""

import copy
import itertools
from functools import cache

import numpy as np
import pytest
from ase.calculators.lj import LennardJones
from numpy.testing import assert_allclose, assert_array_equal
from reference import structures
from reference.naive import edges

import acepair
from acepair import ACECalculator, ETACEPotential, ETOneBodyPotential, ETPairPotential, StackedCalculator, neighbors
from acepair import _kernels as kernels
from acepair.evaluate import Evaluator, evaluator_of

SI_O = [14, 8]
STRUCTURES = [structures.triclinic, structures.tiny, structures.slab, structures.molecule, structures.far_apart]


@cache
def model(rcut=6.5, elements=("Si", "O")):
    return acepair.ace_model(
        elements=elements,
        order=2,
        max_level=6,
        rcut=rcut,
        E0s={element: -0.7 * k - 0.3 for k, element in enumerate(elements)},
        init_WB="glorot_normal",
        seed=3,
    )


def parts(ace=5.5, pair=5.5, zbl=None):
    """One-body, pair and many-body potential; their functions reach 6.5 Å and end at the cutoffs given here."""
    components = [
        ETOneBodyPotential(acepair.one_body(model().E0s)),
        ETPairPotential(acepair.convertpair(model()), pair),
        ETACEPotential(acepair.convert2et(model()), ace),
    ]
    return components if zbl is None else [*components, acepair.ZBLPotential(("Si", "O"), zbl)]


PER_PAIR = [[5.5, 4.0], [4.5, 6.0]]
CUTOFFS = {
    "equal": {},
    "pair shorter": {"pair": 4.2},
    "pair longer": {"pair": 6.3},
    "per pair, many-body": {"ace": PER_PAIR},
    "per pair, pair": {"pair": PER_PAIR},
    "three": {"ace": 5.0, "pair": 4.0, "zbl": 5.9},
    "crossing": {"ace": PER_PAIR, "pair": np.transpose(PER_PAIR), "zbl": 5.0},
}


@pytest.fixture
def count(monkeypatch):
    """Numbers of searches for neighbours and of passes of the kernels over the edges."""
    counts = {"searches": 0, "passes": 0}

    def counted(function, name):
        def call(*args, **kwargs):
            counts[name] += 1
            return function(*args, **kwargs)

        return call

    monkeypatch.setattr(neighbors, "find_neighbors", counted(neighbors.find_neighbors, "searches"))
    monkeypatch.setattr(kernels, "evaluate", counted(kernels.evaluate, "passes"))
    return counts


def assert_adds_up(result, components, atoms):
    separate = [acepair.energy_forces_virial(atoms, part) for part in components]
    scale = max(1.0, *(np.abs(part.forces).max(initial=0) for part in separate))
    assert result.energy == pytest.approx(sum(part.energy for part in separate), rel=1e-12, abs=1e-12 * scale)
    assert_allclose(result.forces, sum(part.forces for part in separate), rtol=0, atol=1e-12 * scale)
    virial = sum(part.virial for part in separate)
    assert_allclose(result.virial, virial, rtol=0, atol=1e-12 * max(scale, np.abs(virial).max()))


# ---- one search, one set of edges


@pytest.mark.parametrize("build", STRUCTURES)
def test_equal_cutoffs_share_search_and_edges(count, build):
    acepair.energy_forces_virial(build(SI_O), StackedCalculator(parts()))
    assert count == {"searches": 1, "passes": 1}


def test_equal_cutoffs_per_pair_share_search_and_edges(count):
    stack = StackedCalculator(parts(PER_PAIR, PER_PAIR))
    acepair.energy_forces_virial(structures.triclinic(SI_O), stack)
    assert count == {"searches": 1, "passes": 1}


def test_whole_models_take_one_pass(count):
    acepair.forces(structures.triclinic(SI_O), model())
    acepair.forces(structures.triclinic(SI_O), acepair.convert2et_full(model()))
    assert count == {"searches": 2, "passes": 2}


@pytest.mark.parametrize("cutoffs", CUTOFFS.values(), ids=CUTOFFS)
def test_any_cutoffs_share_one_search(count, cutoffs):
    stack = StackedCalculator(parts(**cutoffs))
    acepair.energy_forces_virial(structures.triclinic(SI_O), stack)
    assert count["searches"] == 1
    assert count["passes"] <= len(stack.components) - 1
    assert evaluator_of(stack).cache.rcut == max(part.rcut for part in stack.components)


def test_all_functions_share_the_list(count):
    atoms, stack = structures.triclinic(SI_O), StackedCalculator(parts(pair=4.2, zbl=5.0))
    for function in (
        acepair.potential_energy,
        acepair.forces,
        acepair.virial,
        acepair.site_energies,
        acepair.site_grads,
        acepair.potential_energy_basis,
        acepair.energy_forces_virial_basis,
        acepair.site_basis,
        acepair.site_basis_jacobian,
    ):
        function(atoms, stack)
    assert count["searches"] == 1


def test_search_is_made_once_while_atoms_move_little(count):
    atoms = structures.triclinic(SI_O)
    calc = ACECalculator(StackedCalculator(parts(pair=4.2, zbl=5.0)), skin=1.0)
    rng = np.random.default_rng(0)
    for _ in range(8):
        atoms.positions += rng.normal(scale=0.02, size=atoms.positions.shape)
        calc.get_forces(atoms)
        assert_adds_up(
            acepair.energy_forces_virial(atoms, calc.model), calc.model.components, atoms
        )  # those search for themselves
    assert (calc.neighbors.n_rebuilds, calc.neighbors.n_reuses) == (1, 7)
    assert calc.neighbors.rcut == 5.5


# ---- the one-body component


def test_one_body_energies_never_trigger_a_search(count):
    one_body = parts()[0]
    for build in STRUCTURES:
        atoms = build(SI_O)
        result = acepair.energy_forces_virial(atoms, one_body)
        assert result.energy == pytest.approx(sum(one_body.layer.E0[symbol] for symbol in atoms.symbols), rel=1e-14)
        assert not result.forces.any()
        assert not result.virial.any()
        assert acepair.site_grads(atoms, one_body).shape == (0, 3)
        assert acepair.energy_forces_virial_basis(atoms, one_body).forces.shape == (len(atoms), 3, 0)
        calc = ACECalculator(StackedCalculator([one_body, one_body]))
        assert calc.get_potential_energy(atoms) == pytest.approx(2 * result.energy, rel=1e-14)
        assert not calc.get_forces(atoms).any()
        assert calc.neighbors is None
    assert count == {"searches": 0, "passes": 0}


def test_one_body_energies_do_not_widen_the_search(count):
    one_body, pair, _ = parts(pair=4.2)
    stack = StackedCalculator([one_body, pair])
    acepair.forces(structures.triclinic(SI_O), stack)
    assert evaluator_of(stack).cache.rcut == 4.2
    assert count == {"searches": 1, "passes": 1}


# ---- sums


@pytest.mark.parametrize("build", STRUCTURES)
@pytest.mark.parametrize("cutoffs", CUTOFFS.values(), ids=CUTOFFS)
def test_components_sum_to_the_stack(cutoffs, build):
    atoms, components = build(SI_O), parts(**cutoffs)
    stack = StackedCalculator(components)
    assert_adds_up(acepair.energy_forces_virial(atoms, stack), components, atoms)
    separate = [acepair.site_energies(atoms, part) for part in components]
    assert_allclose(acepair.site_energies(atoms, stack), sum(separate), rtol=0, atol=1e-11)


def test_order_and_nesting_do_not_matter():
    atoms, components = structures.triclinic(SI_O), parts(pair=4.2, zbl=5.0)
    expected = acepair.energy_forces_virial(atoms, StackedCalculator(components))
    for order in itertools.permutations(components):
        nested = StackedCalculator([StackedCalculator(order[:2]), *order[2:]])
        assert nested.components == order
        result = acepair.energy_forces_virial(atoms, nested)
        assert result.energy == pytest.approx(expected.energy, rel=1e-12)
        assert_allclose(result.forces, expected.forces, rtol=0, atol=1e-12 * np.abs(expected.forces).max())


def test_component_twice():
    atoms, components = structures.triclinic(SI_O), parts()
    twice = StackedCalculator(components * 2)
    assert_adds_up(acepair.energy_forces_virial(atoms, twice), components * 2, atoms)
    assert acepair.length_basis(twice) == 2 * acepair.length_basis(StackedCalculator(components))


def test_two_many_body_components():
    atoms = structures.triclinic(SI_O)
    components = [*parts(ace=5.0), ETACEPotential(acepair.convert2et(model(4.6)), 4.6)]
    assert_adds_up(acepair.energy_forces_virial(atoms, StackedCalculator(components)), components, atoms)


def test_edge_gradients_add_up():
    """On the edges of the stack, each component has gradients within its own cutoff only."""
    atoms, components = structures.triclinic(SI_O), parts(ace=5.0, pair=4.0, zbl=5.9)
    stack = StackedCalculator(components)
    found = acepair.evaluate.site_edges(atoms, stack)
    expected = np.zeros_like(found.D)
    for part in components:
        own = found.d < part.rcut
        gradients = acepair.site_grads(atoms, part)
        assert len(gradients) == own.sum()
        expected[own] += gradients
    assert_allclose(acepair.site_grads(atoms, stack), expected, rtol=0, atol=1e-12 * np.abs(expected).max())


@pytest.mark.parametrize("rcuts", [4.2, PER_PAIR], ids=["one", "per pair"])
def test_filtering_is_exact(rcuts):
    """Only edges within the pair component's own cutoff count, though its functions reach further."""
    atoms = structures.triclinic(SI_O)
    pair = ETPairPotential(acepair.convertpair(model()), rcuts)
    stack = StackedCalculator([parts()[2], pair])
    i, j, _, D = edges(atoms.positions, atoms.cell[:], atoms.pbc, 6.5)
    z = np.array([SI_O.index(number) for number in atoms.numbers])
    d = np.linalg.norm(D, axis=1)
    inside = d < np.broadcast_to(rcuts, (2, 2))[z[i], z[j]]
    assert 0 < inside.sum() < len(d)
    R = pair.layer.rembed.evaluate(d[inside], z[i][inside], z[j][inside])
    expected = np.zeros(len(atoms))
    np.add.at(expected, i[inside], (R * pair.layer.readout.weights[:, z[i][inside]].T).sum(axis=1))
    assert_allclose(acepair.site_energies(atoms, pair), expected, rtol=1e-11)
    alone = acepair.site_energies(atoms, parts()[2])
    assert_allclose(acepair.site_energies(atoms, stack), alone + expected, rtol=1e-11)


# ---- elements


def test_elements_in_another_order():
    atoms = structures.triclinic(SI_O)
    other = acepair.convert2et_full(model(5.0, ("O", "Si"))).components
    components = [*parts(pair=4.2), *other]
    stack = StackedCalculator(components)
    assert stack.elements == ("Si", "O")
    assert_array_equal(StackedCalculator([*other, *parts(PER_PAIR)]).rcuts, [[6.0, 5.5], [5.5, 5.5]])
    assert_adds_up(acepair.energy_forces_virial(atoms, stack), components, atoms)


def test_elements_of_a_stack_are_those_all_components_know():
    wide, narrow = parts()[2], ETPairPotential(acepair.convertpair(model(5.0, ("O",))), 5.0)
    stack = StackedCalculator([wide, narrow])
    assert stack.elements == ("O",)
    atoms = structures.triclinic([8])
    assert_adds_up(acepair.energy_forces_virial(atoms, stack), [wide, narrow], atoms)
    with pytest.raises(ValueError, match=r"^model covers O; the structure also has Si"):
        acepair.forces(structures.triclinic(SI_O), stack)


# ---- parameters


def test_parameters_of_one_component():
    atoms, components = structures.triclinic(SI_O), copy.deepcopy(parts(pair=4.2))
    stack = StackedCalculator(components)
    before = acepair.energy_forces_virial(atoms, stack)
    pair = components[1]
    change = acepair.energy_forces_virial(atoms, pair)
    acepair.set_linear_parameters(pair, 2 * acepair.get_linear_parameters(pair))
    after = acepair.energy_forces_virial(atoms, stack)
    assert after.energy - before.energy == pytest.approx(change.energy, rel=1e-10)
    assert_allclose(after.forces - before.forces, change.forces, atol=1e-11)


def test_parameters_are_those_of_the_components_in_order():
    stack = StackedCalculator(parts(zbl=5.0))
    thetas = [acepair.get_linear_parameters(part) for part in stack.potentials]
    assert [len(theta) for theta in thetas] == [0, 12, len(thetas[2]), 0]
    assert_array_equal(acepair.get_linear_parameters(stack), np.concatenate(thetas))


def test_plans_are_kept_until_parameters_change():
    evaluator = Evaluator(StackedCalculator(copy.deepcopy(parts())))
    plans = evaluator.plans()
    assert evaluator.plans() is plans
    acepair.set_linear_parameters(evaluator.calculator, acepair.get_linear_parameters(evaluator.calculator))
    assert evaluator.plans() is not plans


# ---- what cannot be stacked


@pytest.mark.parametrize(
    ("components", "error", "message"),
    [
        (
            lambda: [acepair.convert2et(model())],
            TypeError,
            "a component must be a potential or an ASE calculator, got ",
        ),
        (lambda: [5], TypeError, "a component must be a potential or an ASE calculator, got int"),
        (lambda: parts()[0], TypeError, "components must be a sequence of potentials, got one ETOneBodyPotential"),
        (lambda: [], ValueError, "components must contain at least one potential of this package, got ()"),
        (lambda: [LennardJones()], ValueError, "components must contain at least one potential of this package, got "),
        (
            lambda: [parts()[0], ETOneBodyPotential(acepair.one_body({"Cu": 1.0}))],
            ValueError,
            "components must have an element in common, got [('Si', 'O'), ('Cu',)]",
        ),
    ],
)
def test_bad_components(components, error, message):
    with pytest.raises(error) as caught:
        StackedCalculator(components())
    assert str(caught.value).startswith(message)
