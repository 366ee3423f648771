"""What bad input gets through the public functions, word for word, and the unusual input that works."""

from functools import cache

import numpy as np
import pytest
from ase import Atoms
from numpy.testing import assert_allclose
from reference import structures

import acepair

SI_O = [14, 8]


@cache
def model():
    parameters = {"elements": ("Si", "O"), "order": 2, "max_level": 6, "rcut": 5.0, "E0s": {"Si": -1.5, "O": -0.5}}
    return acepair.ace_model(**parameters, init_WB="glorot_normal", seed=1)


@cache
def calculator():
    return acepair.ACECalculator(model())


FUNCTIONS = {
    "potential_energy": lambda atoms: acepair.potential_energy(atoms, model()),
    "forces": lambda atoms: acepair.forces(atoms, model()),
    "virial": lambda atoms: acepair.virial(atoms, model()),
    "energy_forces_virial": lambda atoms: acepair.energy_forces_virial(atoms, model()),
    "site_energies": lambda atoms: acepair.site_energies(atoms, model()),
    "site_grads": lambda atoms: acepair.site_grads(atoms, model()),
    "site_basis": lambda atoms: acepair.site_basis(atoms, model()),
    "site_basis_jacobian": lambda atoms: acepair.site_basis_jacobian(atoms, model()),
    "potential_energy_basis": lambda atoms: acepair.potential_energy_basis(atoms, model()),
    "energy_forces_virial_basis": lambda atoms: acepair.energy_forces_virial_basis(atoms, model()),
    "ACECalculator, energy": lambda atoms: calculator().get_potential_energy(atoms),
    "ACECalculator, forces": lambda atoms: calculator().get_forces(atoms),
    "ACECalculator, stresses": lambda atoms: calculator().get_stresses(atoms),
}
each_function = pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS)


def refuse(function, atoms, message):
    with pytest.raises(ValueError, match=r".") as caught:
        function(atoms)
    assert str(caught.value) == message


def crystal():
    return structures.diamond(SI_O, (2, 1, 1))


# ---- species


@each_function
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({3: "Al"}, "model covers Si, O; the structure also has Al (atom 3)"),
        ({3: "Al", 7: "Al"}, "model covers Si, O; the structure also has Al (atoms 3, 7)"),
        ({1: "Al", 3: "Al", 7: "Al"}, "model covers Si, O; the structure also has Al (atoms 1, 3, 7)"),
        (
            dict.fromkeys([3, 9, 10, 12, 15], "Al"),
            "model covers Si, O; the structure also has Al (atoms 3, 9, ... 5 in all)",
        ),
        (
            {0: "U", 2: "H", 5: "H"},
            "model covers Si, O; the structure also has H (atoms 2, 5), U (atom 0)",
        ),
        ({4: "X"}, "model covers Si, O; the structure also has X (atom 4)"),
    ],
)
def test_unknown_species(function, changes, message):
    atoms = crystal()
    symbols = list(atoms.symbols)
    for k, symbol in changes.items():
        symbols[k] = symbol
    atoms.symbols = symbols
    refuse(function, atoms, message)


@each_function
@pytest.mark.parametrize(("number", "name"), [(300, "atomic number 300"), (-1, "atomic number -1")])
def test_impossible_atomic_numbers(function, number, name):
    atoms = crystal()
    atoms.numbers[2] = number
    refuse(function, atoms, f"model covers Si, O; the structure also has {name} (atom 2)")


def test_unknown_species_among_one_body_energies():
    one_body = acepair.ETOneBodyPotential(acepair.one_body({"Si": -1.0}))
    refuse(
        lambda atoms: acepair.potential_energy(atoms, one_body),
        Atoms("SiO"),
        "model covers Si; the structure also has O (atom 1)",
    )


# ---- positions and cells


@each_function
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_positions_that_are_not_finite(function, value):
    for atoms in (crystal(), structures.molecule(SI_O)):
        atoms.positions[5] = [0.5, value, 1.0]
        refuse(function, atoms, f"positions must be finite (Å), got [0.5, {value}, 1.0] for atom 5")


@each_function
def test_cells_that_are_not_finite(function):
    atoms = crystal()
    atoms.cell[1, 2] = np.nan
    refuse(function, atoms, "cell must be finite (Å), got [0.0, 5.2, nan] for vector 1")


@each_function
def test_singular_cells(function):
    atoms = crystal()
    atoms.cell[2] = 0
    refuse(function, atoms, "cell vectors of periodic axes must not be zero, got zero for vector 2")
    atoms.cell[2] = atoms.cell[0] - 2 * atoms.cell[1]
    cell = atoms.cell[:].tolist()
    refuse(function, atoms, f"cell must not be singular along its periodic axes [True, True, True], got {cell}")
    atoms.pbc = [True, False, True]
    atoms.cell[2] = -1.5 * atoms.cell[0]
    cell = atoms.cell[:].tolist()
    refuse(function, atoms, f"cell must not be singular along its periodic axes [True, False, True], got {cell}")


@each_function
@pytest.mark.parametrize("distance", [0.0, 1e-9, 9e-7])
def test_two_atoms_at_the_same_place(function, distance):
    for atoms in (crystal(), structures.slab(SI_O)):
        atoms.positions[6] = atoms.positions[2] + [0, distance, 0]
        refuse_pair(function, atoms, {"atoms 2 and 6", "atoms 6 and 2"}, distance)


@each_function
def test_two_atoms_at_the_same_place_in_other_cells(function):
    atoms = crystal()
    atoms.positions[6] = atoms.positions[2] + 2 * atoms.cell[0] - atoms.cell[1]
    refuse_pair(function, atoms, {"atoms 2 and 6", "atoms 6 and 2"}, 0)


@each_function
def test_cells_far_too_small(function):
    atoms = Atoms("Si", cell=[5e-7, 5, 5], pbc=[True, False, False])
    with pytest.raises(ValueError, match=r"^cell must not be so skewed or small for a cutoff of \d Å, got \[\[5e-07, "):
        function(atoms)


def refuse_pair(function, atoms, pairs, distance):
    with pytest.raises(ValueError, match=r"^atoms must be at least 1e-06 Å apart, got .* Å for ") as caught:
        function(atoms)
    found, pair = str(caught.value).removeprefix("atoms must be at least 1e-06 Å apart, got ").split(" Å for ")
    assert pair in pairs
    assert float(found) == pytest.approx(distance, rel=0.05, abs=1e-12)


@each_function
def test_atoms_may_be_close(function):
    atoms = crystal()
    atoms.positions[6] = atoms.positions[2] + [0, 2e-6, 0]
    function(atoms)


class Structure:
    """Arrays that ase.Atoms itself would not take."""

    def __init__(self, **changes):
        atoms = crystal()
        self.positions, self.cell, self.pbc, self.numbers = atoms.positions, atoms.cell[:], atoms.pbc, atoms.numbers
        vars(self).update(changes)


functions_of_arrays = pytest.mark.parametrize(
    "function",
    [f for name, f in FUNCTIONS.items() if not name.startswith("ACE")],
    ids=[n for n in FUNCTIONS if not n.startswith("ACE")],
)


@functions_of_arrays
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"positions": np.zeros((16, 2))}, "positions must have shape (n_atoms, 3), got (16, 2)"),
        ({"positions": np.zeros(48)}, "positions must have shape (n_atoms, 3), got (48,)"),
        ({"cell": np.ones(3)}, "cell must have shape (3, 3), got (3,)"),
        ({"pbc": np.array(True)}, "pbc must have shape (3,), got ()"),
        ({"numbers": np.full(15, 14)}, "numbers must have one entry per position, got 15 for 16 positions"),
        ({"numbers": np.full((16, 1), 14)}, "numbers must have shape (n_atoms,), got (16, 1)"),
        ({"positions": [[0, 0, 0], [1, 2]]}, "positions must be an array of numbers, got [[0, 0, 0], [1, 2]]"),
    ],
)
def test_wrong_shapes(function, changes, message):
    refuse(function, Structure(**changes), message)


@functions_of_arrays
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"numbers": np.full(16, 14.5)}, "numbers must be int64, got an array of float64"),
        ({"positions": np.zeros((16, 3), complex)}, "positions must be float64, got an array of complex128"),
        ({"positions": np.full((16, 3), "1.0")}, "positions must be float64, got an array of str96"),
        ({"pbc": np.ones(3)}, "pbc must be bool, got an array of float64"),
    ],
)
def test_wrong_types(function, changes, message):
    with pytest.raises(TypeError) as caught:
        function(Structure(**changes))
    assert str(caught.value) == message


@each_function
def test_positions_too_far_away(function):
    atoms = structures.slab(SI_O)
    atoms.positions[4] = [0, 0, 3e11]
    where = "[0.0, 0.0, 300000000000.0] for atom 4"
    refuse(function, atoms, f"positions must lie within 1e+09 cutoffs and cells of the origin (Å), got {where}")


# ---- models and parameters


@pytest.mark.parametrize(
    "function",
    [
        acepair.potential_energy,
        acepair.forces,
        acepair.site_basis,
        acepair.energy_forces_virial_basis,
        acepair.site_grads,
    ],
)
def test_what_is_no_model(function):
    message = "model must be a potential, a StackedCalculator or an ACEModel, got "
    layer = acepair.convert2et(model())
    for wrong, described in (
        (None, "NoneType"),
        ([model()], "list"),
        (calculator(), "ACECalculator"),
        (layer, "ETACE; wrap the layer in its potential first"),
    ):
        with pytest.raises(TypeError) as caught:
            function(crystal(), wrong)
        assert str(caught.value) == message + described


@pytest.mark.parametrize(
    "make", [lambda: model(), lambda: acepair.convert2et_full(model()), lambda: acepair.convert2et(model())]
)
def test_wrong_parameters(make):
    target = make()
    before = acepair.get_linear_parameters(target)
    L = len(before)
    for theta, message in (
        (np.zeros(L - 1), f"theta must have length {L}, got shape ({L - 1},)"),
        (np.zeros((L, 1)), f"theta must have length {L}, got shape ({L}, 1)"),
        (0.0, f"theta must have length {L}, got shape ()"),
        (np.where(np.arange(L) == 3, np.nan, 1.0), "theta must be finite, got nan at index 3"),
        (np.where(np.arange(L) > 4, np.inf, 1.0), "theta must be finite, got inf at index 5"),
    ):
        with pytest.raises(ValueError, match=r"^theta must ") as caught:
            acepair.set_linear_parameters(target, theta)
        assert str(caught.value) == message
        assert_allclose(acepair.get_linear_parameters(target), before, rtol=0)


def test_no_parameters_of_other_things():
    with pytest.raises(TypeError, match=r"^a ACECalculator has no linear parameters$"):
        acepair.get_linear_parameters(calculator())


# ---- unusual input that works


@pytest.mark.parametrize("name", sorted(structures.ALL))
def test_unusual_structures_work(name):
    atoms = structures.ALL[name](SI_O)
    for key, function in FUNCTIONS.items():
        if key != "ACECalculator, stresses" or atoms.cell.rank == 3:
            result = function(atoms)
            for values in result if isinstance(result, tuple) else (result,):
                assert np.isfinite(values).all()


def test_more_than_a_thousand_neighbors_work():
    atoms = structures.crowded(SI_O)
    atoms.set_cell(0.9 * atoms.cell, scale_atoms=True)
    assert len(acepair.evaluate.site_edges(atoms, model()).i) > 2000
    for function in FUNCTIONS.values():
        function(atoms)


@pytest.mark.parametrize("pbc", [(False,) * 3, (True, False, False), (False, True, True), (True,) * 3])
def test_edges_along_axes(pbc):
    """Harmonics and their derivatives are finite, and equal to those a tiny bit off the axis."""
    positions = 2.5 * np.concatenate([np.zeros((1, 3)), np.eye(3), -np.eye(3)])
    atoms = Atoms("SiO3Si3", positions, cell=[9.0, 9.5, 10.0], pbc=pbc)
    on_axis = acepair.energy_forces_virial(atoms, model())
    atoms.positions += 1e-9 * np.random.default_rng(0).normal(size=positions.shape)
    off_axis = acepair.energy_forces_virial(atoms, model())
    for a, b in zip(on_axis, off_axis, strict=True):
        assert_allclose(a, b, rtol=0, atol=1e-6)


def test_one_atom_and_none():
    for atoms, energy in ((Atoms("O"), -0.5), (Atoms("Si", cell=[30, 30, 30], pbc=True), -1.5), (Atoms(), 0.0)):
        result = acepair.energy_forces_virial(atoms, model())
        assert result.energy == energy
        assert not result.forces.any()
        assert not result.virial.any()
        assert result.forces.shape == (len(atoms), 3)


def test_what_stands_along_open_axes_does_not_matter():
    atoms = structures.slab(SI_O)
    expected = acepair.energy_forces_virial(atoms, model())
    for vector in ([0, 0, 0], [0, 0, 1e-30], atoms.cell[0], [1e5, 3, -2]):
        atoms.cell[2] = vector
        result = acepair.energy_forces_virial(atoms, model())
        assert result.energy == pytest.approx(expected.energy, rel=1e-13)
        assert_allclose(result.virial, expected.virial, rtol=0, atol=1e-12 * np.abs(expected.virial).max())


def test_arrays_in_any_order_and_of_any_real_type():
    atoms = crystal()
    atoms.rattle(0.1, seed=1)
    expected = acepair.forces(atoms, model())
    other = Structure(
        positions=np.asfortranarray(atoms.positions),
        numbers=atoms.numbers.astype(np.uint8),
        cell=atoms.cell,
        pbc=[1 == 1] * 3,
    )
    assert_allclose(acepair.forces(other, model()), expected, rtol=0, atol=1e-14)
    other = Structure(positions=np.repeat(atoms.positions, 2, axis=0)[::2], cell=atoms.cell[::-1][::-1])
    assert_allclose(acepair.forces(other, model()), expected, rtol=0, atol=1e-14)
    half = Structure(positions=atoms.positions.astype(np.float32))
    atoms.positions = half.positions
    assert_allclose(acepair.forces(half, model()), acepair.forces(atoms, model()), rtol=0, atol=1e-14)


def test_evaluation_leaves_the_structure_alone():
    atoms = structures.triclinic(SI_O)
    before = atoms.copy()
    for function in FUNCTIONS.values():
        function(atoms)
    assert atoms == before
    assert atoms.calc is None
