"""Rows of the design matrix, blocks, memory, threads, resumption, clusters."""

import pickle
from functools import cache

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.lj import LennardJones
from numpy.testing import assert_allclose

import acepair
from acepair.fitting import (
    Problem,
    Ridge,
    algebraic_smoothness_prior,
    assemble,
    exponential_smoothness_prior,
    fit,
    gaussian_smoothness_prior,
    read_dataset,
)
from acepair.fitting.streaming import parse_memory

WEIGHTS = {"default": {"E": 3.0, "F": 2.0, "V": 0.5}, "special": {"E": 7.0, "F": 1.5, "V": 0.25}}
E0S = {"Si": -3.0, "O": 2.0}


@cache
def model():
    return acepair.ace1_model(elements=("Si", "O"), order=2, totaldegree=5, rcut=4.0, Eref=E0S, ZBL=True)


def structure(seed):
    rng = np.random.default_rng(seed)
    atoms = bulk("Si", "diamond", 5.4, cubic=True)
    atoms.symbols[:3] = "O"
    del atoms[6 + seed % 2 :]
    atoms.set_cell(atoms.cell.array @ (np.eye(3) + 0.05 * rng.standard_normal((3, 3))), scale_atoms=True)
    atoms.positions += 0.1 * rng.standard_normal(atoms.positions.shape)
    atoms.info = {"energy": float(rng.normal()), "virial": rng.standard_normal((3, 3)), "config_type": "abc"[seed % 3]}
    atoms.info["virial"] = atoms.info["virial"] + atoms.info["virial"].T
    atoms.arrays["forces"] = rng.standard_normal((len(atoms), 3))
    return atoms


@cache
def data(n=12):
    frames = [structure(k) for k in range(n)]
    frames[1].info["config_type"] = "Special"
    del frames[2].arrays["forces"]
    del frames[3].info["energy"]
    del frames[4].info["virial"]
    return read_dataset(frames)


def dense_reference(model, data):
    """Row by row, from the definition."""
    fixed = acepair.StackedCalculator([c for c in model.to_calculator().components if not c.readouts])
    rows, labels = [], []
    for c in data:
        w = WEIGHTS["special" if c.config_type == "Special" else "default"]
        basis = acepair.energy_forces_virial_basis(c.atoms, model)
        reference = acepair.energy_forces_virial(c.atoms, fixed)
        scale = np.sqrt(len(c))
        if c.energy is not None:
            rows.append(w["E"] / scale * basis.energy)
            labels.append(w["E"] / scale * (c.energy - reference.energy))
        if c.forces is not None:
            for i in range(len(c)):
                for k in range(3):
                    rows.append(w["F"] * basis.forces[i, k])
                    labels.append(w["F"] * (c.forces[i, k] - reference.forces[i, k]))
        if c.virial is not None:
            for i, j in ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1)):
                rows.append(w["V"] / scale * basis.virial[i, j])
                labels.append(w["V"] / scale * (c.virial[i, j] - reference.virial[i, j]))
    return np.array(rows), np.array(labels)


def problem():
    return Problem(model(), data(), WEIGHTS)


def small_parts(monkeypatch, n_rows=60):
    """Divide the data into parts of so many rows, or one configuration."""
    monkeypatch.setattr("acepair.fitting.streaming.ROWS_PER_COLUMN", 0)
    monkeypatch.setattr("acepair.fitting.streaming.MAX_BLOCK", n_rows * (acepair.length_basis(model()) + 1) * 8)


def assert_same_system(found, expected, tol=1e-10):
    """Triangles are unique only where the matrix has full rank: compare what they are for."""
    assert found.n_rows == expected.n_rows
    for name in ("R", "Qty"):
        product, wanted = (s.R.T @ getattr(s, name) for s in (found, expected))
        assert_allclose(product, wanted, rtol=0, atol=tol * np.abs(wanted).max(), err_msg=name)
    squares = [s.Qty @ s.Qty + s.rest for s in (found, expected)]
    assert squares[0] == pytest.approx(squares[1], rel=1e-10)


def test_rows_from_the_definition():
    system = assemble(problem(), store="dense", threads=1)
    A, y = dense_reference(model(), data())
    assert system.A.shape == A.shape == (system.n_rows, acepair.length_basis(model()))
    assert_allclose(system.A, A, rtol=0, atol=1e-12 * np.abs(A).max())
    assert_allclose(system.y, y, rtol=0, atol=1e-12 * np.abs(y).max())


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("block_rows", [1, 60, 10**6])
def test_streamed_equals_dense(monkeypatch, threads, block_rows):
    small_parts(monkeypatch, block_rows)
    A, y = dense_reference(model(), data())
    streamed = assemble(problem(), store="qr", threads=threads)
    assert streamed.A is None
    assert_allclose(streamed.R.T @ streamed.R, A.T @ A, rtol=0, atol=1e-12 * np.abs(A.T @ A).max())
    assert_allclose(streamed.R.T @ streamed.Qty, A.T @ y, rtol=0, atol=1e-12 * np.abs(A.T @ y).max())
    prior = algebraic_smoothness_prior(model())
    theta = [np.linalg.lstsq(M / prior, b, rcond=1e-8)[0] for M, b in ((A, y), (streamed.R, streamed.Qty))]
    assert_allclose((A / prior) @ theta[0], (A / prior) @ theta[1], rtol=0, atol=1e-10 * np.abs(y).max())


def test_streamed_fit_equals_dense_fit():
    options = {"weights": WEIGHTS, "threads": 2}
    dense, streamed = (fit(model(), data(), store=store, **options) for store in ("dense", "qr"))
    assert_allclose(streamed.theta, dense.theta, rtol=0, atol=1e-10 * np.abs(dense.theta).max())


def test_matrix_on_disk(tmp_path):
    on_disk = assemble(problem(), store="disk", folder=tmp_path)
    A = dense_reference(model(), data())[0]
    assert isinstance(on_disk.A.base, np.memmap) or isinstance(on_disk.A, np.memmap)
    assert_allclose(on_disk.A, A, rtol=0, atol=1e-12 * np.abs(A).max())
    with pytest.raises(ValueError, match="store='disk' needs a folder"):
        assemble(problem(), store="disk")


def test_fewer_blocks_in_memory_than_needed():
    with pytest.raises(MemoryError, match=r"memory must be at least .* MB for .* parameters"):
        assemble(problem(), memory="20kB")
    with pytest.raises(MemoryError, match="a dense"):
        assemble(Problem(model(), data() + data() + data() + data()), store="dense", memory="0.5MB", threads=1)


@pytest.mark.parametrize(("text", "value"), [("500MB", 5e8), ("2 GB", 2e9), ("1.5gib", 1.5e9), (1e6, 1e6)])
def test_memory_as_text(text, value):
    assert parse_memory(text) == value


@pytest.mark.parametrize("text", ["", "much", "-1GB", 0, "1PB"])
def test_memory_that_is_none(text):
    with pytest.raises(ValueError, match="memory must be bytes"):
        parse_memory(text)


def test_arguments():
    with pytest.raises(ValueError, match="store must be one of auto, qr, dense, disk, got 'ram'"):
        assemble(problem(), store="ram")
    with pytest.raises(ValueError, match="threads must be at least 1, got 0"):
        assemble(problem(), threads=0)


def test_problem_is_sent_to_others():
    copy = pickle.loads(pickle.dumps(problem()))
    assert_same_system(assemble(copy), assemble(problem()))
    assert copy.fingerprint(1e6) == problem().fingerprint(1e6)


def test_reference_of_other_calculators():
    """A calculator in v_ref is subtracted from all labels and joins the potential."""
    lj = LennardJones(sigma=1.5, epsilon=0.1, rc=4.0, smooth=True)
    simple = acepair.ace1_model(elements=("Si", "O"), order=2, totaldegree=5, rcut=4.0)
    frames = []
    for k in range(6):
        atoms = structure(k)
        atoms.calc = lj
        other = atoms.copy()
        other.info = {"energy": atoms.get_potential_energy(), "stress": atoms.get_stress()}
        other.arrays["forces"] = atoms.get_forces()
        frames.append(other)
    result = fit(simple, frames, v_ref=lj, solver="tsvd", threads=2)
    # nothing is left to fit
    assert_allclose(result.theta, 0, atol=1e-10)
    assert result.train.rmse["set"]["F"] < 1e-12
    assert result.train.rmse["set"]["V"] < 1e-12
    assert result.model.ase_calculators == (lj,)


def test_repulsion_restraint():
    options = {"weights": WEIGHTS, "threads": 1}
    frames = data()
    free = fit(model(), frames, **options)
    held = fit(model(), frames, repulsion_restraint=True, **options)
    assert held.system.n_rows == free.system.n_rows + 3 * 6
    for pair in ("SiSi", "SiO", "OO"):
        energies = [
            acepair.potential_energy(Atoms(pair, [[0, 0, 0], [0, 0, d]]), held.model) for d in (0.08, 0.12, 0.2, 0.3)
        ]
        assert np.all(np.diff(energies) < 0), pair
    assert len(held.train.data) == len(frames)


def test_algebraic_prior_from_the_definition():
    small = acepair.ace1_model(elements="Si", order=2, totaldegree=4, rcut=4.0)
    functions = [*small.basis.coupling.mb_spec_of_B, *(((n, l),) for n, l in small.pair_rembed.spec)]
    found = algebraic_smoothness_prior(small, p=3, wl=0.5, wn=2)
    assert_allclose(found, [sum((l / 0.5) ** 3 + (n / 2) ** 3 for n, l in nl) for nl in functions])
    found = exponential_smoothness_prior(small)
    assert_allclose(found, [np.exp(sum(1.5 * l + n for n, l in nl)) for nl in functions])
    found = gaussian_smoothness_prior(small)
    assert_allclose(found, [np.exp(sum(2 * l**2 + 2 * n**2 for n, l in nl)) for nl in functions])


def test_priors_of_users():
    expected = fit(model(), data(), weights=WEIGHTS, prior=np.full(acepair.length_basis(model()), 2.0), threads=1)
    none = fit(model(), data(), weights=WEIGHTS, prior=None, threads=1)
    assert_allclose(none.theta, expected.theta, rtol=0, atol=1e-5 * np.abs(none.theta).max())
    with pytest.raises(ValueError, match=r"prior must have length"):
        fit(model(), data(), weights=WEIGHTS, prior=[1.0])
    with pytest.raises(ValueError, match=r"prior must be finite and positive, got 0.0"):
        fit(model(), data(), weights=WEIGHTS, prior=np.zeros(acepair.length_basis(model())))


def test_estimators_get_the_rows():
    linear_model = pytest.importorskip("sklearn.linear_model")
    expected = fit(model(), data(), solver=Ridge(alpha=0.01), threads=1)
    estimator = linear_model.Ridge(alpha=0.01, fit_intercept=False, solver="svd")
    found = fit(model(), data(), solver=estimator, threads=1)
    assert found.train.rmse["set"]["F"] == pytest.approx(expected.train.rmse["set"]["F"], rel=1e-6)
    with pytest.raises(ValueError, match="needs the rows themselves"):
        fit(model(), data(), solver="ard", store="qr")
