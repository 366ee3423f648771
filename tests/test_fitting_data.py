"""Datasets: where labels are found, units and signs, and what bad data get."""

import numpy as np
import pytest
from ase.build import molecule
from ase.calculators.lj import LennardJones
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write
from numpy.testing import assert_allclose
from reference.labelled import STRESS, labelled, silicon

from acepair.fitting import (
    Dataset,
    read_dataset,
)

FORCES = np.arange(24.0).reshape(8, 3)


def test_usual_keys_in_a_file(tmp_path):
    atoms = labelled(REF_energy=-3.5, REF_virial=STRESS, config_type="bulk")
    atoms.arrays["REF_forces"] = FORCES
    write(tmp_path / "a.xyz", [atoms, atoms])
    found = read_dataset(tmp_path / "a.xyz")
    assert len(found) == 2
    c = found[0]
    assert (c.energy, c.config_type) == (-3.5, "bulk")
    assert_allclose(c.forces, FORCES)
    assert_allclose(c.virial, STRESS)
    assert "configuration 1 of a.xyz" in found[1].name


def test_labels_that_ase_moves_into_a_calculator(tmp_path):
    atoms = silicon()
    voigt = STRESS[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]]
    atoms.calc = SinglePointCalculator(atoms, energy=-3.5, forces=FORCES, stress=voigt)
    write(tmp_path / "a.xyz", atoms)
    for source in (tmp_path / "a.xyz", str(tmp_path / "a.xyz"), atoms, [atoms], [tmp_path / "a.xyz"]):
        c = read_dataset(source)[0]
        assert c.energy == -3.5
        assert_allclose(c.forces, FORCES)
        assert_allclose(c.virial, -atoms.get_volume() * STRESS)
        assert c.atoms.calc is None


def test_any_file_of_ase(tmp_path):
    atoms = silicon()
    atoms.calc = SinglePointCalculator(atoms, energy=-3.5, forces=FORCES)
    write(tmp_path / "a.traj", [atoms])
    assert read_dataset(tmp_path / "a.traj")[0].energy == -3.5


def test_results_of_other_positions_do_not_count():
    atoms, moved = silicon(), silicon()
    for a in (atoms, moved):
        a.calc = LennardJones(sigma=2, rc=3)
        a.get_forces()
    moved.positions[0] += 0.1
    with pytest.warns(UserWarning, match="1 structures whose calculator has results for others"):
        found = read_dataset([atoms, moved])
    assert found[0].energy is not None
    assert found[1].energy is None
    moved.calc = atoms.calc
    with pytest.raises(ValueError, match=r"must have energies, .*; structures whose calculator .* left out: 1"):
        read_dataset([moved])


def test_stress_is_the_derivative_of_the_energy():
    """The virial of a stress label is −dE/dε: what the package computes."""
    atoms = silicon()
    atoms.rattle(0.1, seed=1)
    atoms.calc = LennardJones(sigma=2, rc=4, smooth=True)
    stress = atoms.get_stress(voigt=False)
    c = read_dataset(atoms)[0]
    eps = 1e-5

    def energy(sign):
        strained = atoms.copy()
        strained.calc = LennardJones(sigma=2, rc=4, smooth=True)
        strain = np.eye(3)
        strain[0, 1] += sign * eps
        strained.set_cell(atoms.cell.array @ strain, scale_atoms=True)
        return strained.get_potential_energy()

    assert c.virial[0, 1] == pytest.approx(-(energy(1) - energy(-1)) / (2 * eps), rel=1e-5)
    assert_allclose(c.virial, -atoms.get_volume() * stress)


@pytest.mark.parametrize("value", [STRESS, STRESS.ravel(), STRESS[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]]])
def test_forms_of_virials(value):
    assert_allclose(read_dataset(labelled(virial=value))[0].virial, STRESS)


def test_keys_chosen():
    atoms = labelled(energy=1.0, REF_energy=2.0, mine=3.0, stress=STRESS, virial=STRESS)
    assert read_dataset(atoms)[0].energy == 2.0
    assert read_dataset(atoms, energy_key="mine")[0].energy == 3.0
    assert read_dataset(atoms, energy_key=False)[0].energy is None
    assert_allclose(read_dataset(atoms)[0].virial, STRESS)
    assert_allclose(read_dataset(atoms, stress_key="stress")[0].virial, -atoms.get_volume() * STRESS)
    assert read_dataset(atoms, virial_key=False)[0].virial is None


def test_wrong_keys_list_those_there_are():
    atoms = labelled(mine=1.0, energy=2.0)
    with pytest.raises(ValueError, match=r"energy_key 'enrgy' is in no .*; the keys there are: energy, mine"):
        read_dataset(atoms, energy_key="enrgy")
    with pytest.raises(ValueError, match=r"must have energies, forces or virials; the keys there are: mine"):
        read_dataset(labelled(mine=1.0))
    with pytest.raises(ValueError, match="only one of virial_key and stress_key"):
        read_dataset(atoms, virial_key="mine", stress_key="energy")
    with pytest.raises(TypeError, match="energy_key must be a key"):
        read_dataset(atoms, energy_key=3)


def test_empty_and_missing_files(tmp_path):
    (tmp_path / "empty.xyz").write_text("")
    (tmp_path / "nonsense.xyz").write_text("this is\nno file of structures\n")
    with pytest.raises(ValueError, match="got an empty file"):
        read_dataset(tmp_path / "empty.xyz")
    with pytest.raises(ValueError, match=r"nonsense\.xyz must be a file of structures that ASE can read"):
        read_dataset(tmp_path / "nonsense.xyz")
    with pytest.raises(FileNotFoundError):
        read_dataset(tmp_path / "missing.xyz")
    with pytest.raises(ValueError, match="at least one configuration, got none in a list"):
        read_dataset([])
    with pytest.raises(TypeError, match=r"must be files or ase\.Atoms, got int"):
        read_dataset([3])


@pytest.mark.parametrize(
    ("info", "what"),
    [
        ({"energy": np.nan}, "energy of configuration must be finite, got nan"),
        ({"energy": 0.0, "virial": STRESS * np.inf}, "virial of configuration must be finite, got inf"),
        ({"energy": "low"}, "energy of configuration must be numbers, got 'low'"),
        ({"energy": [1.0, 2.0]}, "energy of configuration must be one number"),
        ({"virial": [1.0, 2.0]}, "virial of configuration must be 3 x 3"),
        ({"energy": 0.0, "forces": FORCES}, None),
        ({"energy": 0.0, "forces": FORCES[:3]}, "forces of configuration must have shape"),
        ({"energy": 0.0, "config_weight": -1.0}, "must be finite and not negative, got -1.0"),
    ],
)
def test_bad_labels(info, what):
    if what is None:
        assert read_dataset(labelled(**info))[0].forces is not None
        return
    with pytest.raises(ValueError, match=what):
        read_dataset(labelled(**info))


def test_labels_that_are_not_finite_can_be_left_out():
    atoms = labelled(energy=np.nan)
    atoms.arrays["forces"] = FORCES.copy()
    atoms.arrays["forces"][2, 1] = np.nan
    with pytest.raises(ValueError, match="got nan"):
        read_dataset(atoms)
    with pytest.warns(UserWarning, match="left out: not finite") as caught:
        found = read_dataset(atoms, bad_labels="skip")
    assert found[0].energy is None
    assert found[0].atom_factors.tolist() == [1, 1, 0, 1, 1, 1, 1, 1]
    assert len(found.notes) == len(caught) == 2
    assert any("forces" in note and note.startswith("1 ") for note in found.notes)


def test_virials_of_open_structures():
    atoms = molecule("H2O")
    atoms.info.update(energy=1.0, virial=np.zeros((3, 3)))
    with pytest.warns(UserWarning, match="1 virials left out: the structure is not periodic in three directions"):
        assert read_dataset(atoms)[0].virial is None
    assert read_dataset(atoms, open_virials="use")[0].virial is not None
    del atoms.info["virial"]
    atoms.info["stress"] = STRESS
    with pytest.raises(ValueError, match="needs a cell of three vectors"):
        read_dataset(atoms, open_virials="use")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.foo", b"hello\n1 2 3\n"),
        ("a.db", b"SQLite format 3\0" + b"x" * 500),
        ("b.db", b"junk" * 50),
        ("a.json", b'{"a": 1}'),
        ("vasprun.xml", b"<modeling>\n"),
        ("OUTCAR", b"foo\n"),
        ("a.npz", b"PK\x03\x04"),
        ("a.xyz.gz", b"not gz"),
        ("a.xyz", b"1\n\xe9\xff\nH 0 0 0\n"),
        ("a.cif", b"data_\n"),
        ("a.traj", b"- of Ulm"),
        ("a", b"asdf\n"),
    ],
)
def test_files_that_are_none(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=rf"{name} must be a file of structures that ASE can read|at least one"):
        read_dataset(tmp_path / name)


@pytest.mark.parametrize("suffix", ["db", "json"])
def test_databases_of_ase(tmp_path, suffix):
    from ase.db import connect

    with connect(tmp_path / f"a.{suffix}") as db:
        for k in range(4):
            atoms = silicon()
            if k == 3:
                atoms.calc = SinglePointCalculator(atoms, energy=3.0)
                db.write(atoms, data={"config_type": "b"})
            else:
                db.write(atoms, REF_energy=float(k), config_type="a", data={"REF_forces": FORCES + k})
    path = tmp_path / f"a.{suffix}"
    with pytest.warns(UserWarning, match="1 labels 'energy' left out: 'REF_energy' is used"):
        data = read_dataset(path)
    assert [c.config_type for c in data] == ["a", "a", "a", "b"]
    assert [c.energy for c in data] == [0, 1, 2, None]
    assert_allclose(data[1].forces, FORCES + 1)
    assert [c.energy for c in read_dataset(path, index="1:3")] == [1, 2]
    assert [c.energy for c in read_dataset(path, index=2)] == [2]
    assert [c.energy for c in read_dataset(path, index="REF_energy>1")] == [2]


def test_optional_keys_that_are_nowhere():
    atoms = labelled(energy=1.0, kind="a", w=2.0)
    atoms.arrays["wa"] = np.full(8, 3.0)
    c = read_dataset(atoms, type_key="kind", weight_key="w", atom_weight_key="wa")[0]
    assert (c.config_type, c.factors["E"], c.atom_factors[0]) == ("a", 2, 3)
    for name in ("type_key", "weight_key", "atom_weight_key"):
        with pytest.raises(ValueError, match=f"{name} 'nope' is in no configuration; the keys there are: energy, kind"):
            read_dataset(atoms, **{name: "nope"})


def test_keys_that_some_configurations_lack():
    atoms = [labelled(mine=1.0), labelled(mien=2.0), labelled(mine=3.0)]
    with pytest.warns(UserWarning, match=r"1 configurations are without 'mine' \(energy_key\)"):
        data = read_dataset(atoms, energy_key="mine")
    assert [c.energy for c in data] == [1, None, 3]


def test_virials_that_are_not_symmetric():
    virial = np.arange(9.0).reshape(3, 3)
    with pytest.warns(UserWarning, match="1 virials are not symmetric: the mean with their transposes is used"):
        c = read_dataset(labelled(virial=virial))[0]
    assert_allclose(c.virial, (virial + virial.T) / 2)


def test_what_has_been_read_already():
    data = read_dataset([labelled(energy=float(k)) for k in range(4)])
    for source in (data, [data], [data[:2], data[2:]], [data[0], *data[1:]], list(data)):
        assert [c.energy for c in read_dataset(source)] == [0, 1, 2, 3]
    assert read_dataset([data]).keys == (("energy", "energy"),)
    with pytest.raises(ValueError, match="energy_key must be given when files are read: a Dataset has been read"):
        read_dataset(data, energy_key="mine")
    with pytest.raises(TypeError, match="got both: Atoms"):
        read_dataset([data, labelled(energy=1.0)])


def test_choices():
    data = read_dataset([labelled(energy=float(k), config_type="ab"[k % 2]) for k in range(5)])
    for index, expected in (
        ([3, 1], [3, 1]),
        (np.array([-1, 0]), [4, 0]),
        (np.arange(5) > 2, [3, 4]),
        ([True, False, False, False, True], [0, 4]),
        ([], []),
        (range(2), [0, 1]),
    ):
        chosen = data[index]
        assert isinstance(chosen, Dataset)
        assert [c.energy for c in chosen] == expected
        assert chosen.keys == data.keys
    assert data[np.int64(2)].energy == 2
    for index in ([True, False], [1.5], np.zeros((2, 2), int)):
        with pytest.raises(IndexError, match="must be integers, or a bool for each of 5 configurations"):
            data[index]
    with pytest.raises(ValueError, match="type must be one of 'a', 'b', got 'typo'"):
        data.of_type("a", "typo")


def test_slices_and_sums():
    data = read_dataset([labelled(energy=float(k), config_type="ab"[k % 2]) for k in range(10)])
    assert isinstance(data[2:4], Dataset)
    assert [c.energy for c in data[1::3]] == [1, 4, 7]
    assert [c.energy for c in data[-1:] + data[:1]] == [9, 0]
    assert data.types == {"a": 5, "b": 5}
    assert [c.energy for c in data.of_type("B")] == [1, 3, 5, 7, 9]
    assert (data.n_atoms, data.elements) == (80, ("Si",))
    assert "10 configurations, 80 atoms" in repr(data)
