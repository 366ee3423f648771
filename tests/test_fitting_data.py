"""Datasets: where labels are found, units and signs, weights, and what bad data get."""

import warnings

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.calculator import Calculator
from ase.calculators.lj import LennardJones
from ase.calculators.singlepoint import SinglePointCalculator
from ase.constraints import FixAtoms
from ase.io import write
from numpy.testing import assert_allclose

import acepair
from acepair.fitting import (
    BLR,
    Dataset,
    LinearSystem,
    Problem,
    Ridge,
    algebraic_smoothness_prior,
    assemble,
    error_table,
    fit,
    one_body_energies,
    read_dataset,
)
from acepair.fitting.weights import check_weights, weights_of

FORCES = np.arange(24.0).reshape(8, 3)
STRESS = np.array([[1.0, 6, 5], [6, 2, 4], [5, 4, 3]]) * 1e-2


def silicon(scale=1.0):
    return bulk("Si", "diamond", 5.4 * scale, cubic=True)


def labelled(**info):
    atoms = silicon()
    atoms.info.update(info)
    return atoms


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


def test_atoms_keep_what_other_calculators_need(model):
    """Charges and such; not the labels, which would be there twice, nor constraints."""

    class Charged(Calculator):
        implemented_properties = ("energy", "forces", "stress")

        def calculate(self, atoms=None, properties=(), system_changes=()):
            super().calculate(atoms, properties, system_changes)
            energy = 10 * np.sum(atoms.get_initial_charges() ** 2) + atoms.info["extra"]
            self.results = {"energy": energy, "forces": np.zeros((len(atoms), 3)), "stress": np.zeros(6)}

    made = []
    for atoms in frames(6):
        new = atoms.copy()
        new.info.update(energy=atoms.get_potential_energy() + 25 * len(atoms), extra=5.0 * len(atoms))
        new.arrays["forces"] = atoms.get_forces()
        new.set_initial_charges(np.full(len(atoms), np.sqrt(2)))
        new.set_constraint(FixAtoms([0]))
        made.append(new)
    data = read_dataset(made)
    assert set(data[0].atoms.arrays) == {"numbers", "positions", "initial_charges"}
    assert set(data[0].atoms.info) == {"extra"}
    assert not data[0].atoms.constraints
    assert fit(model, data, v_ref=Charged(), threads=1).train.rmse["set"]["E"] < 1e-2


def test_slices_and_sums():
    data = read_dataset([labelled(energy=float(k), config_type="ab"[k % 2]) for k in range(10)])
    assert isinstance(data[2:4], Dataset)
    assert [c.energy for c in data[1::3]] == [1, 4, 7]
    assert [c.energy for c in data[-1:] + data[:1]] == [9, 0]
    assert data.types == {"a": 5, "b": 5}
    assert [c.energy for c in data.of_type("B")] == [1, 3, 5, 7, 9]
    assert (data.n_atoms, data.elements) == (80, ("Si",))
    assert "10 configurations, 80 atoms" in repr(data)


def test_weights_by_type():
    checked = check_weights({"Bulk": {"E": 60}, "default": {"F": 3}}, ["bulk", "slab"])
    assert weights_of("BULK", checked) == {"E": 60, "F": 1, "V": 1}
    assert weights_of("slab", checked) == {"E": 1, "F": 3, "V": 1}
    assert weights_of("slab", check_weights({"bulk": {"E": 60}})) == {"E": 1, "F": 1, "V": 1}
    assert weights_of("any", check_weights(None)) == {"E": 30, "F": 1, "V": 1}


def test_weights_that_are_wrong():
    with pytest.warns(UserWarning, match="'bluk' have no effect.*nearest type is 'bulk'"):
        check_weights({"bluk": {"E": 1}}, ["bulk"])
    for weights, what in (
        ({"a": {"e": 1}}, "must be for E, F or V, got 'e'"),
        ({"a": {"E": -1}}, "must be finite and not negative, got -1"),
        ({"a": {"E": np.nan}}, "must be finite"),
        ({"a": {}, "A": {}}, "compared without case"),
    ):
        with pytest.raises(ValueError, match=what):
            check_weights(weights)
    with pytest.raises(TypeError, match="must be a mapping"):
        check_weights({"a": 3})


@pytest.fixture
def model():
    return acepair.ace1_model(elements="Si", order=2, totaldegree=5, rcut=4.0)


def frames(n=16):
    made = []
    for k in range(n):
        atoms = silicon(1 + 0.01 * k / n)
        atoms.rattle(0.1, seed=k)
        atoms.calc = LennardJones(sigma=2.0, epsilon=0.5, rc=4.0, smooth=True)
        atoms.get_stress()
        made.append(atoms)
    return made


def test_factors_of_configurations_and_atoms(model):
    """A factor is as good as the same factor on the weight."""
    plain = frames()
    heavy = [a.copy() for a in plain]
    for a, b in zip(plain, heavy, strict=True):
        b.info.update(energy=a.get_potential_energy(), config_weight=2.0, energy_weight=3.0)
        b.arrays["forces"] = a.get_forces()
        b.arrays["atom_weight"] = np.full(len(b), 0.5)
    expected = fit(model, read_dataset(plain, stress_key=False), weights={"default": {"E": 6.0, "F": 1.0}}, threads=1)
    found = fit(model, read_dataset(heavy), weights={}, threads=1)
    assert_allclose(found.theta, expected.theta, rtol=0, atol=1e-8 * np.abs(expected.theta).max())
    twice = fit(model, read_dataset(plain, stress_key=False).with_factors([2.0] * len(plain)), weights={}, threads=1)
    assert twice.system.rest != expected.system.rest


def test_types_without_weight_have_no_rows(model):
    data = read_dataset(frames())
    with pytest.raises(ValueError, match="no rows are left"):
        fit(model, data, weights={"default": {"E": 0, "F": 0, "V": 0}})
    assert fit(model, data, weights={"default": {"E": 0, "V": 0}}, threads=1).system.n_rows == data.n_atoms * 3


def test_missing_forces_in_some_frames(model):
    made = frames()
    bare = made[3].copy()
    bare.info["energy"] = made[3].get_potential_energy()
    made[3] = bare
    data = read_dataset(made)
    assert data[3].forces is None
    result = fit(model, data, threads=1)
    assert result.system.n_rows == 16 * (1 + 24 + 6) - 24 - 6
    assert np.isfinite(result.train.rmse["set"]["F"])


def test_no_labels_of_a_kind(model):
    data = read_dataset(frames(), stress_key=False)
    table = fit(model, data, threads=1).train
    assert np.isnan(table.rmse["set"]["V"])
    assert "–" in str(table)


def test_species_outside_the_model(model):
    made = frames(2)
    made[1] = made[1].copy()
    made[1].info["energy"] = 0.0
    made[1].symbols[5] = "Ge"
    with pytest.raises(ValueError, match=r"configuration 1: model covers Si; the structure also has Ge \(atom 5\)"):
        fit(model, made)
    with pytest.raises(ValueError, match=r"configuration 1: model covers Si"):
        fit(model, made[:1], test=made)


def test_atoms_in_the_same_place_are_named(model):
    made = frames(3)
    bad = made[1].copy()
    bad.positions[3] = bad.positions[4]
    bad.info["energy"] = 0.0
    with pytest.raises(ValueError, match=r"configuration 1: atoms must be at least .* apart"):
        fit(model, [made[0], bad, made[2]])


def test_huge_outlier_is_named_in_the_report(model):
    made = [a.copy() for a in frames()]
    for a, b in zip(frames(), made, strict=True):
        b.info["energy"] = a.get_potential_energy()
        b.arrays["forces"] = a.get_forces()
    clean = fit(model, made, threads=1)
    assert not clean.outliers
    made[5].info["energy"] += 1000
    result = fit(model, made, threads=1)
    assert len(result.outliers) >= 1
    assert "Note: configuration 5: error of E" in result.report


def test_error_table_from_the_definition(model):
    data = read_dataset(frames())
    fitted = fit(model, data[:12], threads=1).model
    table = error_table(fitted, data[12:], threads=2)
    E, F, V = [], [], []
    for c in data[12:]:
        found = acepair.energy_forces_virial(c.atoms, fitted)
        E.append((found.energy - c.energy) / len(c))
        F.append(found.forces - c.forces)
        V.append((found.virial - c.virial)[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]] / len(c))
    for name, errors in (("E", E), ("F", F), ("V", V)):
        flat = np.concatenate([np.ravel(e) for e in errors])
        assert table.rmse["set"][name] == pytest.approx(np.sqrt(np.mean(flat**2)))
        assert table.mae["set"][name] == pytest.approx(np.mean(np.abs(flat)))
    assert list(table.rmse) == ["", "set"]


def test_energies_of_isolated_atoms():
    atom = Atoms("Si", info={"energy": -1.5, "config_type": "IsolatedAtom"})
    other = Atoms("O", info={"energy": -2.5})
    data = read_dataset([atom, other, labelled(energy=-20.0)])
    assert one_body_energies(data, ("O", "Si"), "isolated") == {"O": -2.5, "Si": -1.5}
    with pytest.raises(ValueError, match="needs the energy of an isolated atom of Ti, got none"):
        one_body_energies(data, ("Si", "Ti"), "isolated")
    with pytest.raises(ValueError, match="'isolated' or 'lsq', got 'mean'"):
        one_body_energies(data, ("Si",), "mean")


def test_energies_by_least_squares():
    rng = np.random.default_rng(0)
    made = []
    for _ in range(10):
        n, m = rng.integers(1, 5, 2)
        made.append(Atoms(f"Si{n}O{m}", np.arange(3 * (n + m)).reshape(-1, 3), info={"energy": -1.5 * n + 4.0 * m}))
    found = one_body_energies(read_dataset(made), ("Si", "O"), "lsq")
    assert_allclose([found["Si"], found["O"]], [-1.5, 4.0])


def test_energies_by_least_squares_are_per_atom():
    """A large configuration counts as much as a small one."""
    rng = np.random.default_rng(0)
    made = [Atoms("Si", info={"energy": -1.5}), Atoms("Si100", rng.random((100, 3)) * 30, info={"energy": -200.0})]
    assert one_body_energies(read_dataset(made), ("Si",), "lsq")["Si"] == pytest.approx((-1.5 - 2.0) / 2)


@pytest.mark.parametrize("how", ["lsq", "isolated"])
def test_energies_are_what_the_reference_leaves(how):
    """ZBL and v_ref are subtracted before one-body energies are sought."""
    model = acepair.ace1_model(elements="Si", order=2, totaldegree=5, rcut=4.0, ZBL=True, Eref={"Si": 3.0})
    lj = LennardJones(sigma=2.0, epsilon=0.5, rc=4.0, smooth=True)
    zbl = acepair.StackedCalculator([model.zbl])
    made = [*frames(4), Atoms("Si", calculator=lj)]
    for k, atoms in enumerate(made):
        energy = -5.0 * len(atoms) + lj.get_potential_energy(atoms) + acepair.potential_energy(atoms, zbl)
        made[k] = atoms.copy()
        made[k].info["energy"] = energy
    result = fit(model, made, E0s=how, v_ref=lj, threads=1)
    assert result.ace_model.E0s["Si"] == pytest.approx(-5.0, abs=1e-9)
    assert_allclose(result.theta, 0, atol=1e-6)


def test_two_energies_of_one_isolated_atom():
    data = read_dataset([Atoms("Si", info={"energy": -1.5}), Atoms("Si", info={"energy": -9.5})])
    with pytest.raises(
        ValueError, match=r"one energy of an isolated atom of Si, got -1.5 eV of configuration 0 and -9.5"
    ):
        one_body_energies(data, ("Si",), "isolated")
    same = read_dataset([Atoms("Si", info={"energy": -1.5}), Atoms("Si", info={"energy": -1.5})])
    assert one_body_energies(same, ("Si",), "isolated") == {"Si": -1.5}


def test_atoms_of_weight_zero_have_no_rows(model):
    """The fit is that of the other rows: noise and evidence, too."""
    rng = np.random.default_rng(1)
    made = [a.copy() for a in frames(6)]
    for a, b in zip(frames(6), made, strict=True):
        b.arrays["forces"] = a.get_forces() + 0.05 * rng.standard_normal((8, 3))
        b.info["energy"] = a.get_potential_energy()
        b.arrays["atom_weight"] = np.array([1.0, 0, 0, 2, 0, 0, 1, 0])
    data = read_dataset(made)
    problem = Problem(model, data)
    assert problem.shape[0] == 6 * (1 + 9)
    system = assemble(problem, store="dense", threads=1)
    assert system.A.any(axis=1).all()
    # row by row, from the definition
    rows, labels = [], []
    for c in data:
        basis = acepair.energy_forces_virial_basis(c.atoms, model)
        rows.append(basis.energy[None] * 30 / np.sqrt(8))
        labels.append([c.energy * 30 / np.sqrt(8)])
        for i in (0, 3, 6):
            rows.append(basis.forces[i] * c.atom_factors[i])
            labels.append(c.forces[i] * c.atom_factors[i])
    A, y = np.concatenate(rows), np.concatenate(labels)
    assert_allclose(system.A, A, rtol=0, atol=1e-12 * np.abs(A).max())
    assert_allclose(system.y, y, rtol=0, atol=1e-12 * np.abs(y).max())
    prior = algebraic_smoothness_prior(model)
    for solver in (BLR(), Ridge()):
        expected = solver.solve(LinearSystem.of_matrix(A / prior, y))
        found = fit(model, data, solver=solver, threads=1)
        for key, value in expected.details.items():
            assert found.details[key] == pytest.approx(value, rel=1e-6), key


def test_forces_that_are_left_out_have_no_rows(model):
    made = [a.copy() for a in frames(3)]
    for a, b in zip(frames(3), made, strict=True):
        b.arrays["forces"] = a.get_forces()
        b.arrays["forces"][2:5] = np.nan
    with pytest.warns(UserWarning, match="not finite"):
        data = read_dataset(made, bad_labels="skip")
    assert Problem(model, data).shape[0] == 3 * 15


def test_structures_without_atoms(model):
    """They work, and have no rows."""
    empty = Atoms(cell=[4, 4, 4], pbc=True, info={"energy": 0.0, "virial": np.zeros((3, 3))})
    empty.arrays["forces"] = np.zeros((0, 3))
    made = [a.copy() for a in frames(4)]
    for a, b in zip(frames(4), made, strict=True):
        b.info.update(energy=a.get_potential_energy(), virial=np.eye(3))
        b.arrays["forces"] = a.get_forces()
    expected = fit(model, made, E0s="lsq", threads=1)
    found = fit(model, [empty, *made[:2], empty, *made[2:], empty], test=[empty], E0s="lsq", threads=1)
    assert found.system.n_rows == expected.system.n_rows
    assert_allclose(found.theta, expected.theta, rtol=0, atol=1e-9 * np.abs(expected.theta).max())
    assert found.train.rmse["set"]["F"] == pytest.approx(expected.train.rmse["set"]["F"])
    assert "Test set, 1 configurations" in found.report


def test_labels_under_other_keys_are_noted():
    made = [labelled(REF_energy=-1.0, config_type="a") for _ in range(3)] + [labelled(energy=-2.0, stress=STRESS)]
    made[0].info["virial"] = STRESS
    with pytest.warns(UserWarning, match="left out") as caught:
        data = read_dataset(made)
    assert {str(w.message) for w in caught} == set(data.notes)
    assert "1 labels 'energy' left out: 'REF_energy' is used for the energy (energy_key=...)" in data.notes
    assert "1 labels 'stress' left out: 'virial' is used for the virial (virial_key=...)" in data.notes
    assert len(data.notes) == 2
    assert data[3].energy is None
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read_dataset([labelled(REF_energy=-1.0, energy=-2.0), labelled(REF_energy=-1.0)])
        read_dataset(made[:3], virial_key=False)


@pytest.mark.parametrize("factors", [-1.0, np.nan, np.inf, None, {"E": -1.0}, {"e": 1.0}, "2"])
def test_factors_are_checked(factors):
    data = read_dataset([labelled(energy=0.0)])
    with pytest.raises(ValueError, match=r"configuration.* must be"):
        data.with_factors([factors])
    assert data.with_factors([{"E": 2}])[0].factors == {"E": 2.0, "F": 1.0, "V": 1.0}


def test_weights_that_are_no_numbers(model):
    for bad in (None, "3", True):
        with pytest.raises(ValueError, match="weight E of 'default' must be finite and not negative"):
            fit(model, frames(2), weights={"default": {"E": bad}})


def test_a_type_called_set(model):
    made = [a.copy() for a in frames(4)]
    for k, (a, b) in enumerate(zip(frames(4), made, strict=True)):
        b.info.update(energy=a.get_potential_energy() + k, config_type="set" if k < 2 else "other")
    table = error_table(fit(model, made[2:], threads=1).model, made)
    assert list(table.rmse) == ["set (type)", "other", "set"]
    errors = [float((c["E"].predicted - c["E"].reference)[0]) for c in table.comparisons]
    assert table.mae["set"]["E"] == pytest.approx(np.mean(np.abs(errors)))
    assert table.mae["set (type)"]["E"] == pytest.approx(np.mean(np.abs(errors[:2])))


def test_reference_without_virial_labels(model):
    """A calculator in v_ref that has no stress serves data without virials."""

    class NoStress(LennardJones):
        implemented_properties = ("energy", "free_energy", "forces")

        def get_stress(self, *args, **keywords):
            raise AssertionError("nobody needs the stress")

    lj = NoStress(sigma=2.0, epsilon=0.5, rc=4.0, smooth=True)
    data = read_dataset(frames(4), stress_key=False)
    result = fit(model, data, v_ref=lj, solver="tsvd", threads=1)
    assert_allclose(result.theta, 0, atol=1e-10)
    assert result.train.rmse["set"]["F"] < 1e-12


def test_the_callers_model_keeps_its_threads(model):
    from acepair.evaluate import evaluator_of

    evaluator_of(model).threads = 3
    assemble(Problem(model, read_dataset(frames(2))), threads=1)
    assert evaluator_of(model).threads == 3


def test_given_energies(model):
    result = fit(model, frames(), E0s={"Si": -2.0}, threads=1)
    assert result.ace_model.E0s == {"Si": -2.0}
    assert model.E0s == {"Si": 0.0}
    with pytest.raises(ValueError, match="E0s must be given for Si, got none for Si"):
        fit(model, frames(), E0s={"Ge": 1.0})


def test_no_warnings_for_good_data(model):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit(model, frames(), threads=1)
