"""Weights, factors, options and priors: which rows there are, and what bad options get."""

import warnings

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.calculator import Calculator
from ase.calculators.lj import LennardJones
from ase.constraints import FixAtoms
from numpy.testing import assert_allclose
from reference.labelled import STRESS, frames, labelled

import acepair
from acepair.fitting import (
    BLR,
    LinearSystem,
    Problem,
    Ridge,
    algebraic_smoothness_prior,
    assemble,
    error_table,
    fit,
    read_dataset,
)
from acepair.fitting.weights import check_weights, weights_of


@pytest.fixture
def model():
    return acepair.ace1_model(elements="Si", order=2, totaldegree=5, rcut=4.0)


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


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"solver": BLR}, r"solver must be an instance, BLR\(\.\.\.\), got the class BLR"),
        ({"solver": None}, "solver must be a name, a Solver or an estimator, got None"),
        ({"v_ref": LennardJones}, "v_ref must be ASE calculators, got the class LennardJones"),
        ({"v_ref": "zbl"}, "v_ref must be ASE calculators, got str"),
        ({"v_ref": "model"}, "got ACEModel; of a potential ACECalculator makes one"),
        ({"weights": [1, 2]}, "weights must be a mapping of configuration types"),
        ({"threads": "2"}, "threads must be an integer, got '2'"),
        ({"E0s": True}, "E0s must be a mapping of elements to values, got True"),
        ({"repulsion_restraint": "yes"}, "repulsion_restraint must be True, False or a number, got 'yes'"),
    ],
)
def test_options_of_another_type(model, options, what):
    if options.get("v_ref") == "model":
        options = {"v_ref": model}
    with pytest.raises(TypeError, match=what):
        fit(model, frames(2), **options)


def test_values_that_are_refused(model):
    data = read_dataset(frames(2))
    for options, what in (
        ({"prior": "algebriac"}, "prior must be one of algebraic, exponential, gaussian, none, got 'algebriac'"),
        ({"folder": ""}, "folder must be a path, got ''"),
        ({"threads": 0}, "threads must be at least 1, got 0"),
    ):
        with pytest.raises(ValueError, match=what):
            fit(model, data, **options)
    with pytest.raises(MemoryError, match=r"at least \d+\.\d MB for .*, got 0.001 MB"):
        fit(model, data, memory="1kB", threads=1)
    far = Atoms("Si2", positions=[[0, 0, 0], [20, 0, 0]], info={"energy": 1.0})
    with pytest.raises(ValueError, match="are there atoms closer to each other than the cutoff"):
        fit(model, far, threads=1)


def test_priors_by_name(model):
    data = read_dataset(frames(4))
    expected = fit(model, data, prior=algebraic_smoothness_prior, v_ref=None, threads=1)
    assert_allclose(fit(model, data, prior="Algebraic", threads=1).theta, expected.theta)
    assert_allclose(fit(model, data, prior="none", threads=1).theta, fit(model, data, prior=None, threads=1).theta)


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


def test_no_warnings_for_good_data(model):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit(model, frames(), threads=1)


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
