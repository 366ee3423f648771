"""On a GPU: against what the CPU has found (tests/data/gpu), and against the same kernels on the CPU for random atoms.

Needs NumPy, CuPy and pytest only. Without a device only the stored results are checked, on the host shim.
"""

from __future__ import annotations

import functools
import os

import numpy as np
import pytest
from gpu.host import COMPILER, HostBackend
from gpu.poison import Poisoned
from gpu.stored import CASES, load
from numpy.testing import assert_allclose, assert_array_equal

from acepair.gpu.backend import cuda_backend
from acepair.gpu.engine import Engine, System

TOLERANCE = {"float64": 1e-11, "float32": 1e-4}  #: of the largest force, site energy, virial


@functools.cache
def device():
    if os.environ.get("ACEPAIR_TEST_DEVICE") == "host":  # to test the tests
        return host()
    try:
        backend = cuda_backend()
    except (ImportError, RuntimeError) as error:
        pytest.skip(str(error))
    backend.xp = Poisoned(backend.xp)
    return backend


def host():
    if COMPILER is None:
        pytest.skip("no C++ compiler for the host shim")
    return HostBackend()


def evaluate(backend, case, structure, dtype="float64", skin=1.0, **options):
    plans, elements, _ = load(case)
    engine = Engine(plans, elements, dtype=dtype, backend=backend, **options)
    system = System(engine, structure["species"], structure["pbc"], skin=skin)
    return to_host(backend, system.evaluate(structure["positions"], structure["cell"]))


def to_host(backend, results):
    names = ("energies", "site_energies", "forces", "virials", "site_virials")
    return {name: backend.to_host(getattr(results, name)) for name in names}


def assert_close(results, expected, tolerance):
    for name, value in expected.items():
        scale = max(np.abs(value).max(initial=1), np.abs(expected["site_energies"]).max() if name == "energies" else 1)
        assert_allclose(results[name], value, rtol=0, atol=tolerance * scale, err_msg=name)


def random_diamond(n, n_species, seed=0):
    """A rattled, sheared n³ diamond supercell of random species, some atoms far outside of the cell."""
    rng = np.random.default_rng(seed)
    sites = np.array([[0, 0, 0], [1, 1, 1], [2, 2, 0], [3, 3, 1], [2, 0, 2], [3, 1, 3], [0, 2, 2], [1, 3, 3]]) / 4
    corners = np.stack(np.meshgrid(*[np.arange(n)] * 3, indexing="ij"), axis=-1).reshape(-1, 1, 3)
    cell = 5.43 * n * (np.eye(3) + rng.uniform(-0.05, 0.05, (3, 3)))
    fractional = ((corners + sites) / n).reshape(-1, 3) + rng.integers(-3, 4, (8 * n**3, 3))
    positions = fractional @ cell + rng.normal(scale=0.1, size=fractional.shape)
    species = rng.integers(0, n_species, len(positions)).astype(np.int32)
    return {"positions": positions, "cell": cell, "pbc": np.ones(3, dtype=bool), "species": species}


def stored_results(structure):
    return {
        "energies": structure["energy"][None],
        "site_energies": structure["site_energies"],
        "forces": structure["forces"],
        "virials": structure["virial"][None],
        "site_virials": structure["site_virials"],
    }


@pytest.mark.parametrize("case", CASES)
def test_stored_results_are_those_of_the_kernels(case):
    for structure in load(case)[2]:
        assert_close(evaluate(host(), case, structure), stored_results(structure), 1e-12)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("case", CASES)
def test_stored_structures(case, dtype):
    for structure in load(case)[2]:
        assert_close(evaluate(device(), case, structure, dtype), stored_results(structure), TOLERANCE[dtype])


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("case", CASES)
def test_random_atoms(case, dtype):
    for n in (1, 2, 4):
        structure = random_diamond(n, len(load(case)[1]), seed=n)
        assert_close(evaluate(device(), case, structure, dtype), evaluate(host(), case, structure), TOLERANCE[dtype])


def test_results_are_the_same_every_time_and_in_chunks():
    structure = random_diamond(6, 2)
    first = evaluate(device(), "sio_tutorial", structure)
    for options in ({}, {"chunk_bytes": 1 << 18}):
        again = evaluate(device(), "sio_tutorial", structure, **options)
        for name, value in first.items():
            assert_array_equal(again[name], value, err_msg=name)


def test_molecular_dynamics_on_the_device():
    """Positions that stay on the device; lists that are reused and made anew."""
    backend, rng = device(), np.random.default_rng(3)
    plans, elements, _ = load("sio_tutorial")
    structure = random_diamond(3, 2)
    system = System(Engine(plans, elements, backend=backend), structure["species"], structure["pbc"], skin=0.5)
    positions, cell = backend.xp.asarray(structure["positions"]), structure["cell"]
    for step in range(12):
        results = to_host(backend, system.evaluate(positions, cell))
        moved = structure | {"positions": backend.to_host(positions), "cell": cell}
        assert_close(results, evaluate(host(), "sio_tutorial", moved), 1e-11)
        positions += backend.xp.asarray(rng.normal(scale=0.02, size=positions.shape))
        if step % 5 == 4:
            F = np.eye(3) + rng.normal(scale=0.003, size=(3, 3))
            positions, cell = backend.xp.asarray(backend.to_host(positions) @ F), cell @ F
    assert system.n_rebuilds > 1
    assert system.n_reuses > 1


def test_systems_that_take_turns_on_one_engine():
    """What is recorded for one of them must not end with what another one needs."""
    backend = device()
    plans, elements, _ = load("sio_tutorial")
    structures = [random_diamond(n, 2, seed=n) for n in (2, 3)]
    engine = Engine(plans, elements, backend=backend)
    systems = [System(engine, structure["species"], structure["pbc"]) for structure in structures]
    positions = [backend.xp.asarray(structure["positions"]) for structure in structures]
    expected = [evaluate(host(), "sio_tutorial", structure) for structure in structures]
    for k in (0, 0, 0, 1, 0, 1, 1, 1, 0, 0):
        results = to_host(backend, systems[k].evaluate(positions[k], structures[k]["cell"]))
        assert_close(results, expected[k], 1e-11)


def test_positions_that_come_in_other_arrays_each_time():
    backend, rng = device(), np.random.default_rng(5)
    plans, elements, _ = load("sio_tutorial")
    structure = random_diamond(2, 2)
    system = System(Engine(plans, elements, backend=backend), structure["species"], structure["pbc"], skin=1.0)
    for step in range(6):
        structure["positions"] = structure["positions"] + rng.normal(scale=0.01, size=structure["positions"].shape)
        given = structure["positions"].copy()
        given = backend.xp.asarray(given) if step % 2 else given
        results = to_host(backend, system.evaluate(given, structure["cell"]))
        assert_close(results, evaluate(host(), "sio_tutorial", structure), 1e-11)
        given[:] = np.nan  # ours to change afterwards
    assert system.n_rebuilds == 1


def test_many_structures_at_once():
    backend = device()
    plans, elements, _ = load("sio_tutorial")
    several = [random_diamond(n, 2, seed=n) for n in (1, 3, 1, 2)]
    for structure, pbc in zip(several, [(1, 1, 1), (0, 0, 0), (1, 0, 1), (1, 1, 0)], strict=True):
        structure["pbc"] = np.array(pbc, dtype=bool)
    sizes = [len(structure["species"]) for structure in several]
    first = np.concatenate(([0], np.cumsum(sizes)))

    def joined(name):
        return np.concatenate([structure[name] for structure in several])

    pbc = np.stack([structure["pbc"] for structure in several])
    cells = np.stack([structure["cell"] for structure in several])
    system = System(Engine(plans, elements, backend=backend), joined("species"), pbc, first)
    results = to_host(backend, system.evaluate(joined("positions"), cells))
    for k, structure in enumerate(several):
        atoms = slice(first[k], first[k + 1])
        own = {name: results[name][atoms] for name in ("site_energies", "forces", "site_virials")}
        own |= {name: results[name][k : k + 1] for name in ("energies", "virials")}
        assert_close(own, evaluate(host(), "sio_tutorial", structure), 1e-11)


def test_what_cannot_be_evaluated():
    structure = random_diamond(2, 2)
    broken = structure["positions"].copy()
    broken[7] = np.nan
    with pytest.raises(ValueError, match=r"must be finite .* for atom 7"):
        evaluate(device(), "sio_tutorial", structure | {"positions": broken})
    broken[7] = broken[9]
    with pytest.raises(ValueError, match=r"at least 1e-06 Å apart, got 0 Å for atoms [79] and [79]"):
        evaluate(device(), "sio_tutorial", structure | {"positions": broken})
