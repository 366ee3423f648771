"""ASE calculator: how to make one, copies, processes and threads."""

import copy
import json
import pickle
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from reference.cases import model_path
from reference.copper import copper, crystal, own_copper

import acepair
from acepair import ACECalculator
from acepair.io import read_acejax


@cache
def silica():
    return read_acejax(model_path("sio_tutorial"))


# ---- ways to make one, copies


def test_models_of_all_kinds():
    atoms = crystal(rattle=0.1)
    model = copper()
    expected = acepair.potential_energy(atoms, model)
    stack = acepair.convert2et_full(model)
    for made_of in (model, stack, model.to_calculator()):
        calc = ACECalculator(made_of)
        assert calc.model is made_of
        assert calc.get_potential_energy(atoms) == pytest.approx(expected, rel=1e-13)
    parts = [ACECalculator(part).get_potential_energy(atoms) for part in stack.components]
    assert sum(parts) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("as_path", [str, Path])
def test_model_file(tmp_path, as_path):
    atoms, path = crystal(rattle=0.1), tmp_path / "copper.acepair"
    acepair.save_model(copper(), path)
    calc = ACECalculator(as_path(path))
    assert calc.get_potential_energy(atoms) == ACECalculator(copper()).get_potential_energy(atoms)
    assert calc.todict()["model"] == str(path)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"device": "tpu"}, ValueError, "device must be 'cpu' or 'cuda', got 'tpu'"),
        ({"dtype": "float16"}, ValueError, "dtype must be 'float64' or 'float32', got 'float16'"),
        ({"skin": -1}, ValueError, "skin must be finite and not negative (Å), got -1"),
        ({"skin": np.nan}, ValueError, "skin must be finite and not negative (Å), got nan"),
        ({"threads": 0}, ValueError, "threads must be at least 1, got 0"),
        ({"threads": 1.5}, TypeError, "threads must be an integer, got 1.5"),
        ({"cutoff": 3}, TypeError, "ACECalculator.__init__() got an unexpected keyword argument 'cutoff'"),
    ],
)
def test_bad_arguments(arguments, error, message):
    with pytest.raises(error) as caught:
        ACECalculator(copper(), **arguments)
    assert str(caught.value) == message


def test_bad_models():
    with pytest.raises(TypeError, match=r"^model must be a potential, a StackedCalculator or an ACEModel, got int$"):
        ACECalculator(5)
    with pytest.raises(TypeError, match=r"got ETACE; wrap the layer in its potential first$"):
        ACECalculator(acepair.convert2et(copper()))


def test_set():
    calc, atoms = ACECalculator(copper()), crystal(rattle=0.1)
    energy = calc.get_potential_energy(atoms)
    assert calc.set(skin=0.5) == {"skin": 0.5}
    assert calc.neighbors.skin == 0.5
    assert calc.set(skin=0.5, threads=2) == {"threads": 2}
    assert calc.threads == 2
    assert calc.get_potential_energy(atoms) == energy
    with pytest.raises(ValueError, match="device must be 'cpu'"):
        calc.set(device="tpu", skin=3)
    assert calc.parameters["skin"] == calc.neighbors.skin == 0.5
    with pytest.raises(TypeError, match=r"^parameters are skin, threads, device, dtype, got rcut$"):
        calc.set(rcut=3)


def test_threads_of_the_environment(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert ACECalculator(copper()).threads == 1
    assert ACECalculator(copper(), threads=3).threads == 3


def by_pickle(calc):
    return pickle.loads(pickle.dumps(calc))


@pytest.mark.parametrize("duplicate", [by_pickle, copy.deepcopy], ids=["pickle", "deepcopy"])
@pytest.mark.parametrize("used", [False, True], ids=["fresh", "used"])
def test_copies_are_independent(duplicate, used):
    atoms = crystal(rattle=0.1)
    calc = ACECalculator(own_copper(), skin=0.7, threads=1)
    expected = ACECalculator(copper()).get_forces(atoms)
    if used:
        calc.get_forces(atoms)
    twin = duplicate(calc)
    assert (twin.neighbors.skin, twin.threads, twin.neighbors.n_rebuilds) == (0.7, 1, 0)
    assert twin.calculation_required(atoms, ["forces"]) is not used
    acepair.set_linear_parameters(calc.model, 3 * acepair.get_linear_parameters(calc.model))
    assert_allclose(twin.get_forces(atoms), expected, atol=1e-12)
    atoms.positions[0] += 0.1
    assert_allclose(calc.get_forces(atoms), 3 * twin.get_forces(atoms), atol=1e-11)


def test_shallow_copies_share_the_model():
    calc = ACECalculator(own_copper())
    atoms = crystal(rattle=0.1)
    twin = copy.copy(calc)
    assert twin.model is calc.model
    assert twin.neighbors is not calc.neighbors
    assert twin.get_potential_energy(atoms) == calc.get_potential_energy(atoms)


def test_atoms_with_a_calculator_can_be_copied():
    atoms = crystal(rattle=0.1)
    atoms.calc = ACECalculator(copper())
    energy = atoms.get_potential_energy()
    assert copy.deepcopy(atoms).get_potential_energy() == energy
    assert by_pickle(atoms).get_potential_energy() == energy
    other = atoms.copy()
    assert other.calc is None
    other.calc = atoms.calc
    assert other.get_potential_energy() == energy


def test_todict_is_json():
    calc = ACECalculator(silica(), skin=0.4)
    text = json.dumps(calc.todict())
    found = json.loads(text)
    assert found == {
        "model": "StackedCalculator",
        "elements": ["Si", "O"],
        "rcut": 5.5,
        "n_parameters": 240,
        "skin": 0.4,
    }
    assert calc.todict(skip_default=False)["device"] == "cpu"
    assert calc.name == "acepair"


def test_repr():
    assert repr(ACECalculator(copper())) == f"ACECalculator({copper()!r})"


# ---- processes and threads


def test_several_threads_with_a_calculator_each():
    frames = []
    for seed in range(4):
        atoms = crystal(2)
        atoms.rattle(0.1, seed=seed)
        frames.append(atoms)
    expected = [ACECalculator(copper()).get_forces(atoms) for atoms in frames]

    def work(atoms):
        calc, atoms = ACECalculator(copper()), atoms.copy()
        for _ in range(5):
            calc.reset()
            forces = calc.get_forces(atoms)
        return forces, acepair.forces(atoms, copper())

    with ThreadPoolExecutor(4) as pool:
        for (by_calculator, by_function), forces in zip(pool.map(work, frames * 3), expected * 3, strict=True):
            assert_array_equal(by_calculator, forces)
            assert_allclose(by_function, forces, atol=1e-12)


def test_calls_at_the_same_time_that_use_threads():
    """One call has the threads of the process, the others threads of their own; no bit depends on who has which."""
    atoms = crystal(4, rattle=0.1)
    expected = ACECalculator(copper(), threads=1).get_forces(atoms)

    def work(threads):
        calculator, mine = ACECalculator(copper(), threads=threads), atoms.copy()
        found = []
        for _ in range(10):
            calculator.reset()
            found.append(calculator.get_forces(mine))
        return found

    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(work, [2, 3, 4, 2]):
            for forces in found:
                assert_array_equal(forces, expected)


def test_forked_processes():
    """Neither search nor kernels leave threads or locks behind a child would wait for, even while they are in use."""
    script = textwrap.dedent(
        """
        import multiprocessing, os, sys, threading
        import numpy as np
        sys.path.insert(0, sys.argv[2])
        import acepair
        from acepair.io import read_acejax
        from reference import structures

        model = read_acejax(sys.argv[1])
        atoms = structures.diamond([14, 8], (3, 3, 3))
        atoms.rattle(0.1, seed=1)
        calc = acepair.ACECalculator(model, threads=2)
        forces = calc.get_forces(atoms)

        def same_forces(shift):
            moved = atoms.copy()
            moved.positions += [shift, 0, 0]  # a search and an evaluation of its own
            calc.reset()
            by_function = acepair.forces(moved, model)
            return np.allclose(calc.get_forces(moved), forces) and np.allclose(by_function, forces)

        child = os.fork()
        if child == 0:
            os._exit(0 if same_forces(2.0) else 1)
        assert os.waitpid(child, 0)[1] == 0
        with multiprocessing.get_context("fork").Pool(2) as pool:
            assert all(pool.map(same_forces, [0.0, 3.0, 4.0]))

        busy, ended = acepair.ACECalculator(model, threads=2), threading.Event()

        def keep_threads_busy():
            mine = atoms.copy()
            while not ended.is_set():
                busy.reset()
                busy.get_forces(mine)

        other = threading.Thread(target=keep_threads_busy)
        other.start()
        for _ in range(10):
            child = os.fork()
            if child == 0:
                calc.reset()
                os._exit(0 if np.allclose(calc.get_forces(atoms), forces) else 1)
            assert os.waitpid(child, 0)[1] == 0
        ended.set()
        other.join()
        print("done")
        """
    )
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", script]
    arguments = [str(model_path("sio_tutorial")), str(Path(__file__).parent)]
    done = subprocess.run(command + arguments, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == "done\n", done.stderr


def test_nothing_is_kept_of_a_model_that_is_gone():
    import gc
    import weakref

    atoms = crystal(rattle=0.1)
    stack = acepair.convert2et_full(own_copper())
    references = [weakref.ref(stack), *map(weakref.ref, stack.components)]
    calc = ACECalculator(stack)
    calc.get_forces(atoms)
    for part in (stack, *stack.components):
        acepair.forces(atoms, part)
        acepair.energy_forces_virial_basis(atoms, part)
    del calc, stack, part
    gc.collect()
    assert [reference() for reference in references] == [None] * len(references)


def test_threads_may_share_a_calculator():
    calculator = ACECalculator(copper())
    structures = [crystal(rattle=0.02 * k) for k in range(1, 25)]
    expected = [acepair.forces(atoms, copper()) for atoms in structures]
    for atoms in structures:
        atoms.calc = calculator
    with ThreadPoolExecutor(4) as pool:
        got = list(pool.map(lambda atoms: atoms.get_forces(), structures))
    for mine, theirs in zip(got, expected, strict=True):
        assert_allclose(mine, theirs, rtol=0, atol=1e-11)
