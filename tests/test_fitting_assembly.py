"""Rows of the design matrix, blocks, memory, threads, resumption, clusters."""

import gc
import itertools
import pickle
import tracemalloc
from dataclasses import dataclass
from functools import cache

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.lj import LennardJones
from numpy.testing import assert_allclose

import acepair
from acepair.fitting import (
    TSVD,
    Dataset,
    Problem,
    Ridge,
    Solution,
    Solver,
    algebraic_smoothness_prior,
    assemble,
    exponential_smoothness_prior,
    fit,
    gaussian_smoothness_prior,
    read_dataset,
)
from acepair.fitting.restraint import restraint_dimers
from acepair.fitting.streaming import parse_memory
from acepair.models.zbl import ZBLPotential

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


@pytest.mark.parametrize("store", ["qr", "dense", "disk"])
def test_fit_is_the_ridge_of_the_dense_matrix(tmp_path, store):
    """Against NumPy, on rows from the definition."""
    A, y = dense_reference(model(), data())
    prior = algebraic_smoothness_prior(model())
    scaled = A / prior
    options = {"weights": WEIGHTS, "threads": 2, "store": store, "folder": tmp_path}
    ridge = fit(model(), data(), solver=Ridge(alpha=0.05), **options)
    expected = np.linalg.solve(scaled.T @ scaled + 0.05 * np.eye(len(prior)), scaled.T @ y) / prior
    assert_allclose(ridge.theta, expected, rtol=0, atol=1e-9 * np.abs(expected).max())
    blr = fit(model(), data(), **options)
    ratio = blr.details["noise variance"] / blr.details["prior variance"]
    expected = np.linalg.solve(scaled.T @ scaled + ratio * np.eye(len(prior)), scaled.T @ y) / prior
    assert_allclose(blr.theta, expected, rtol=0, atol=1e-7 * np.abs(expected).max())
    tsvd = fit(model(), data(), solver=TSVD(1e-8), **options)
    expected = scaled @ np.linalg.lstsq(scaled, y, rcond=1e-8)[0]
    assert_allclose(A @ tsvd.theta, expected, rtol=0, atol=1e-7 * np.abs(y).max())


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


@pytest.mark.parametrize(
    ("text", "value"),
    [("500MB", 5e8), ("2 GB", 2e9), ("1.5gib", 1.5 * 2**30), ("2k", 2000), (1e6, 1e6), (1e16, 1e16), (".5kB", 500)],
)
def test_memory_as_text(text, value):
    assert parse_memory(text) == value


@pytest.mark.parametrize("text", ["", "much", "-1GB", 0, "1PB", "1..2GB", ".", np.nan, np.inf])
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


def dimer_energies(potential, pair):
    return [acepair.potential_energy(Atoms(pair, [[0, 0, 0], [0, 0, d]]), potential) for d in (0.08, 0.12, 0.2, 0.24)]


def test_repulsion_restraint():
    """Labels of atoms that attract each other at short distance, too, and a model without ZBL."""
    bare = acepair.ace1_model(elements=("Si", "O"), order=2, totaldegree=5, rcut=4.0)
    attractive = []
    for k in range(12):
        atoms = structure(k)
        atoms.calc = LennardJones(sigma=2.0, epsilon=-0.3, rc=4.0, smooth=True)
        atoms.info = {"energy": atoms.get_potential_energy()}
        atoms.arrays["forces"] = atoms.get_forces()
        attractive.append(read_dataset(atoms, stress_key=False)[0])
    options = {"weights": {"default": WEIGHTS["default"]}, "threads": 1}
    free = fit(bare, Dataset(attractive), **options)
    held = fit(bare, Dataset(attractive), repulsion_restraint=30.0, **options)
    assert held.system.n_rows == free.system.n_rows + 3 * 6
    assert len(held.train.data) == len(attractive)
    for pair in ("SiSi", "SiO", "OO"):
        assert not np.all(np.diff(dimer_energies(free.model, pair)) < 0), pair
        assert np.all(np.diff(dimer_energies(held.model, pair)) < 0), pair
    bare = acepair.ace1_model(elements=("Si", "O"), order=2, totaldegree=5, rcut=4.0, Eref=E0S)
    strong = fit(bare, Dataset(attractive), repulsion_restraint=1e3, **options)
    for c in restraint_dimers(bare):
        above = -sum(E0S[symbol] for symbol in c.atoms.symbols)
        assert acepair.potential_energy(c.atoms, strong.model) + above == pytest.approx(c.energy + above, rel=0.5)


@pytest.mark.parametrize("zbl", [False, True])
@pytest.mark.parametrize("with_others", [False, True])
def test_targets_of_the_restraint(zbl, with_others):
    """The potential without v_ref has the nuclear repulsion above the atoms' energies, whatever it is made of."""
    model = acepair.ace1_model(elements=("Si", "O"), order=2, totaldegree=5, rcut=4.0, Eref=E0S, ZBL=zbl)
    others = [LennardJones(sigma=1.5, epsilon=0.1, rc=4.0)] if with_others else []
    dimers = restraint_dimers(model, 2.0)
    problem = Problem(model, data(), others=others, restraint=dimers)
    first = len(data())
    nuclear = ZBLPotential(("Si", "O"), 20.0)
    fixed = acepair.StackedCalculator([p for p in model.to_calculator().components if not p.readouts])
    for k, c in enumerate(dimers, start=first):
        expected = acepair.potential_energy(c.atoms, nuclear)
        atoms = sum(E0S[symbol] for symbol in c.atoms.symbols)
        total = problem.targets(k).energy + acepair.potential_energy(c.atoms, fixed)
        assert total - atoms == pytest.approx(expected, rel=1e-9)
        weights = problem.row_weights[k]
        assert (weights.F, weights.V) == (0, 0)
        assert weights.E == pytest.approx(2 / expected)
    k = 0
    found = problem.targets(k).energy - Problem(model, data()).targets(k).energy
    energy = sum(potential.get_potential_energy(data()[k].atoms) for potential in others)
    assert found == pytest.approx(-energy)


def test_data_of_the_restraints_type():
    """Its weights are those of users, the restraint's its own."""
    frames = [structure(k) for k in range(3)]
    for atoms in frames:
        atoms.info["config_type"] = "repulsion_restraint"
    weights = {"repulsion_restraint": {"E": 7.0, "F": 3.0, "V": 0.0}}
    found = read_dataset(frames)
    problem = Problem(model(), found, weights, restraint=restraint_dimers(model()))
    plain = Problem(model(), found, weights)
    assert [w.E for w in problem.row_weights[:3]] == [w.E for w in plain.row_weights]
    assert problem.row_weights[0].F == 3.0
    unweighted = Problem(model(), found, {"default": {"E": 100}}, restraint=restraint_dimers(model()))
    assert [w.E for w in unweighted.row_weights[3:]] == [w.E for w in problem.row_weights[3:]]


def test_priors_of_large_functions_do_not_overflow():
    large = acepair.ace1_model(elements="Si", order=2, totaldegree=[25, 21], rcut=4.0)
    assert acepair.length_basis(large) > 100
    prior = gaussian_smoothness_prior(large)
    assert np.isfinite(prior).all()
    assert prior.max() == np.exp(700.0)
    assert prior[0] == pytest.approx(np.exp(2.0))
    frames = [structure(k) for k in range(6)]
    for atoms in frames:
        atoms.symbols[:] = "Si"
    for solver in ("blr", "ridge", "tsvd", "rrqr", "lsqr"):
        result = fit(large, frames, prior=gaussian_smoothness_prior, solver=solver, threads=1)
        assert not result.theta[prior > np.exp(600)].any() or np.abs(result.theta[prior > np.exp(600)]).max() < 1e-200
        assert np.abs(result.theta).max() > 0


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


def test_rows_of_estimators_and_of_others(tmp_path):
    linear_model = pytest.importorskip("sklearn.linear_model")
    expected = fit(model(), data(), solver=Ridge(alpha=0.01), threads=1)
    estimator = linear_model.Ridge(alpha=0.01, fit_intercept=False, solver="svd")
    for store in ("dense", "disk"):
        found = fit(model(), data(), solver=estimator, store=store, folder=tmp_path / store, threads=1)
        assert found.train.rmse["set"]["F"] == pytest.approx(expected.train.rmse["set"]["F"], rel=1e-6)
        assert found.system.A is None
    assert len(list((tmp_path / "disk").iterdir())) == 3  # the scaled rows are gone
    with pytest.raises(ValueError, match="needs the rows themselves: store must be 'dense' or 'disk', got 'qr'"):
        fit(model(), data(), solver="ard", store="qr")
    with pytest.raises(ValueError, match="solver ARD needs the rows themselves, of which a scheduler's workers"):
        fit(model(), data(), solver="ard", scheduler="tcp://nowhere:1")


def test_scaled_rows_on_disk(tmp_path):
    system = assemble(problem(), store="disk", folder=tmp_path)
    prior = algebraic_smoothness_prior(model())
    scaled = system.scaled(prior, rows=True)
    assert isinstance(scaled.A, np.memmap)
    assert_allclose(scaled.A, np.array(system.A) / prior, rtol=1e-15)
    again = scaled.scaled(2 * np.ones(len(prior)), rows=True)
    assert_allclose(again.A, np.array(system.A) / prior / 2, rtol=1e-15)
    assert len(list(tmp_path.iterdir())) == 3


def peak(run):
    """Most bytes of arrays during a call."""
    gc.collect()
    tracemalloc.start()
    try:
        result = run()
        return tracemalloc.get_traced_memory()[1], result
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("store", ["qr", "disk"])
def test_memory_is_bounded(tmp_path, store):
    """A matrix on disk, or in a triangle, is never in memory; nor in what a fit returns."""
    single = acepair.ace1_model(elements="Si", order=2, totaldegree=10, rcut=4.0)
    frames = []
    for k in range(300):
        atoms = structure(k)
        atoms.symbols[:] = "Si"
        frames.append(atoms)
    many = read_dataset(frames)
    n_rows, L = Problem(single, many).shape
    matrix = n_rows * (L + 1) * 8
    fit(single, many[:2], threads=1)  # imports, and what is kept of the model
    used, result = peak(lambda: fit(single, many, store=store, folder=tmp_path, memory=matrix / 4, threads=1))
    assert used < matrix / 2
    assert len(pickle.dumps(result.system)) < matrix / 10


def test_memory_of_a_budget():
    """Blocks, triangles and workspaces stay within what `memory` says."""
    single = acepair.ace1_model(elements="Si", order=2, totaldegree=10, rcut=4.0)
    frames = [bulk("Si", "diamond", 5.4, cubic=True).repeat(2) for _ in range(40)]
    for k, atoms in enumerate(frames):
        atoms.rattle(0.05, seed=k)
        atoms.info["energy"] = 0.0
        atoms.arrays["forces"] = np.zeros((len(atoms), 3))
    problem = Problem(single, read_dataset(frames))
    assemble(problem, threads=1)
    for threads in (1, 2):
        with pytest.raises(MemoryError) as refused:
            assemble(problem, memory=1000, threads=threads)
        least = float(str(refused.value).split("at least ")[1].split()[0]) * 1e6 + 5e5
        used, _ = peak(lambda threads=threads, least=least: assemble(problem, memory=least, threads=threads))
        assert used < least + 5e5
        used, _ = peak(lambda threads=threads: assemble(problem, memory=1e9, threads=threads))
        assert used < 1e9


def test_results_are_sent_to_others():
    result = fit(model(), data(), test=data()[:3], weights=WEIGHTS, threads=1)
    copy = pickle.loads(pickle.dumps(result))
    assert_allclose(copy.theta, result.theta, rtol=0)
    assert copy.report == result.report
    assert_allclose(copy.samples(2, seed=1), result.samples(2, seed=1), rtol=0)
    atoms = data()[0].atoms
    assert acepair.potential_energy(atoms, copy.model) == acepair.potential_energy(atoms, result.model)


def test_committee_is_drawn_from_the_posterior():
    result = fit(model(), data(), weights=WEIGHTS, threads=1)
    atoms = data()[0].atoms
    row = acepair.potential_energy_basis(atoms, result.ace_model)
    fixed = acepair.potential_energy(atoms, model())
    thetas = result.samples(20000, seed=2)
    for member, theta in zip(result.committee(4, seed=2), thetas, strict=False):
        assert_allclose(acepair.get_linear_parameters(member), theta)
        assert acepair.potential_energy(atoms, member) == pytest.approx(fixed + row @ theta)
    energies = fixed + thetas @ row
    p = result.posterior
    sigma = np.sqrt(row @ (p.V * p.variances) @ p.V.T @ row)
    mean = acepair.potential_energy(atoms, result.ace_model)
    assert np.mean(energies) == pytest.approx(mean, abs=5 * sigma / np.sqrt(20000))
    assert np.std(energies) == pytest.approx(sigma, rel=0.03)


@dataclass(frozen=True)
class Talkative(Solver):
    """A user's solver that has more to say than numbers."""

    def solve(self, system):
        return Solution(np.zeros(system.n_columns), {"reason": "there was none", "steps": np.int64(3), "good": True})


def test_details_that_are_text(tmp_path):
    result = fit(model(), data(), solver=Talkative(), threads=1)
    for text in ("reason: there was none", "steps: 3", "good: True"):
        assert text in result.report
    result.save(tmp_path / "a.acepair")
    from acepair.io import read_metadata

    details = read_metadata(tmp_path / "a.acepair")["provenance"]["details"]
    assert details == {"reason": "there was none", "steps": 3.0, "good": "True"}
    pytest.importorskip("matplotlib")
    from acepair.fitting.html import _sections

    page = "".join(itertools.takewhile(lambda section: "<img" not in section, _sections(result)))
    assert "there was none" in page
