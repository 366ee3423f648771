"""Structures to arrays, and what bad ones are told."""

from types import SimpleNamespace

import numpy as np
import pytest
from ase import Atoms
from numpy.testing import assert_array_equal

from acepair.structure import SpeciesTable, check_arrays, read_structure, refuse_coincident


def quartz(**changes):
    atoms = Atoms("SiO2", positions=[[0, 0, 0], [1, 1, 1], [-1, 1, 2]], cell=[4, 5, 6], pbc=True)
    values = {name: getattr(atoms, name) for name in ("positions", "cell", "pbc", "numbers")}
    return SimpleNamespace(**values | changes)


def test_arrays_and_species():
    atoms = Atoms("SiO2", positions=[[0, 0, 0], [1, 1, 1], [-1, 1, 2]], cell=[4, 5, 6], pbc=[True, False, True])
    structure = read_structure(atoms, SpeciesTable(("O", "Si")))
    assert_array_equal(structure.positions, atoms.positions)
    assert_array_equal(structure.cell, np.diag([4, 5, 6]))
    assert structure.pbc.tolist() == [True, False, True]
    assert structure.numbers.tolist() == [14, 8, 8]
    assert structure.species.tolist() == [1, 0, 0]
    assert [array.dtype.name for array in structure] == ["float64", "float64", "bool", "int64", "int32"]


def test_other_layouts_are_converted():
    rows = np.arange(12, dtype=np.float32).reshape(3, 4).T  # not contiguous, another type
    positions, cell, pbc, numbers = check_arrays(rows, [[1, 0, 0], [0, 1, 0], [0, 0, 1]], [0, 0, 0], [1, 2, 3, 4])
    assert_array_equal(positions, rows)
    assert positions.flags.c_contiguous
    assert (positions.dtype, cell.dtype, pbc.dtype, numbers.dtype) == (float, float, bool, np.int64)


@pytest.mark.parametrize(
    "atoms",
    [
        Atoms(),
        Atoms("O"),
        Atoms("O", cell=[0, 3, 0], pbc=[False, True, False]),
        Atoms("O", cell=[[1, 0, 0], [0, 0, 0], [1, 1, 0]], pbc=[True, False, True]),
        Atoms("O", cell=[[1, 2, 3], [2, 4, 6], [0, 1, 0]], pbc=[True, False, True]),
        Atoms("O", cell=[[1, 0, 0], [5000, 1, 0], [-3, 2000, 0.5]], pbc=True),
        Atoms("O", cell=1e-3 * np.eye(3), pbc=True),
        Atoms("O", cell=[1e7, 1, 1e-2], pbc=True),
    ],
)
def test_unusual_structures_that_are_fine(atoms):
    assert len(read_structure(atoms, SpeciesTable("O")).species) == len(atoms)


def test_unknown_species():
    table = SpeciesTable(("Si", "O"))
    numbers = np.full(40, 14)
    numbers[[3, 17, 20, 21, 39]] = 13
    with pytest.raises(ValueError) as error:  # noqa: PT011 - the whole message is compared
        table.species(numbers)
    assert str(error.value) == "model covers Si, O; the structure also has Al (atoms 3, 17, ... 5 in all)"
    numbers[:] = 8
    numbers[[5, 6, 9]] = 1
    numbers[7] = 92
    with pytest.raises(ValueError) as error:  # noqa: PT011
        table.species(numbers)
    assert str(error.value) == "model covers Si, O; the structure also has H (atoms 5, 6, 9), U (atom 7)"


@pytest.mark.parametrize(("number", "name"), [(0, "X"), (-1, "atomic number -1"), (300, "atomic number 300")])
def test_numbers_that_are_no_element(number, name):
    with pytest.raises(ValueError, match=f"the structure also has {name} \\(atom 1\\)"):
        SpeciesTable("Si").species(np.array([14, number]))


def test_table_refuses_elements():
    with pytest.raises(ValueError, match="element must be a chemical symbol"):
        SpeciesTable(("Si", "Sl"))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("axis", range(3))
def test_positions_that_are_not_finite(value, axis):
    positions = np.ones((3, 3))
    positions[1, axis] = value
    with pytest.raises(ValueError, match=r"positions must be finite \(Å\), got \[.*(nan|inf).*\] for atom 1"):
        check_arrays(positions, np.eye(3), [True] * 3, [1, 1, 1])


def test_huge_positions_are_finite():
    check_arrays(np.full((5, 3), 1e308), np.eye(3), [True] * 3, np.ones(5, int))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"cell": np.diag([4, np.nan, 6])}, r"cell must be finite \(Å\), got \[0.0, nan, 0.0\] for vector 1"),
        ({"cell": np.diag([4.0, 5, 0])}, "cell vectors of periodic axes must not be zero, got zero for vector 2"),
        ({"cell": np.zeros((3, 3))}, "cell vectors of periodic axes must not be zero, got zero for vector 0"),
        ({"cell": [[1.0, 2, 3], [0, 1, 0], [2, 4, 6]]}, r"cell must not be singular .* got \[\[1.0, 2.0, 3.0\]"),
        ({"cell": [[1.0, 2, 3], [0, 1, 0], [0.1, 0.3, 0.3]]}, "cell must not be singular"),
        (
            {"cell": [[1.0, 2, 3], [0, 1, 0], [2, 4, 6]], "pbc": [True, False, True]},
            r"cell must not be singular along its periodic axes \[True, False, True\]",
        ),
        ({"cell": np.eye(2)}, r"cell must have shape \(3, 3\), got \(2, 2\)"),
        ({"cell": np.ones(3)}, r"cell must have shape \(3, 3\), got \(3,\)"),
        ({"pbc": True}, r"pbc must have shape \(3,\), got \(\)"),
        ({"pbc": np.ones(4, bool)}, r"pbc must have shape \(3,\), got \(4,\)"),
        ({"positions": np.ones((3, 2))}, r"positions must have shape \(n_atoms, 3\), got \(3, 2\)"),
        ({"positions": np.ones(9)}, r"positions must have shape \(n_atoms, 3\), got \(9,\)"),
        ({"positions": [[1, 2, 3], [4]]}, "positions must be an array of numbers"),
        ({"positions": np.ones((2, 3))}, "numbers must have one entry per position, got 3 for 2 positions"),
        ({"numbers": np.ones((3, 1), int)}, r"numbers must have shape \(n_atoms,\), got \(3, 1\)"),
    ],
)
def test_bad_values(changes, message):
    with pytest.raises(ValueError, match=message):
        read_structure(quartz(**changes), SpeciesTable(("Si", "O")))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"positions": np.ones((3, 3)) * 1j}, "positions must be float64, got an array of complex128"),
        ({"positions": [["a", "b", "c"]] * 3}, "positions must be float64, got an array of str"),
        ({"numbers": np.array([14.0, 8, 8])}, "numbers must be int64, got an array of float64"),
        ({"numbers": ["Si", "O", "O"]}, "numbers must be int64, got an array of str"),
    ],
)
def test_bad_types(changes, message):
    with pytest.raises(TypeError, match=message):
        read_structure(quartz(**changes), SpeciesTable(("Si", "O")))


def test_coincident_atoms():
    with pytest.raises(ValueError, match="atoms must be at least 1e-06 Å apart, got 2e-08 Å for atoms 3 and 17"):
        refuse_coincident(3, 17, 2e-8)
    with pytest.raises(ValueError, match="got 0 Å for atom 4 and its own periodic image"):
        refuse_coincident(4, 4, 0.0)
