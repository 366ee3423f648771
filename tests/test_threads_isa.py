"""Results are the same bits for any number of threads, and to rounding for every instruction set."""

import os
import subprocess
import sys

import numpy as np
import pytest
from ase import Atoms
from numpy.testing import assert_allclose, assert_array_equal
from reference import structures
from reference.cases import CASES, model_path, naive_model
from reference.random_model import random_model

import acepair
from acepair import _kernels as kernels
from acepair import plan
from acepair.evaluate import Evaluator
from acepair.io import read_acejax

FALLBACK = kernels.available_isas()[-1]
SMALL = ["sio_tutorial", "si_order4", "tial_ace1", "tial_embedding"]


@pytest.fixture
def restored_isa():
    before = kernels.isa()
    yield
    kernels.use_isa(before)


def several_blocks(numbers):
    """112 atoms of a diamond lattice, enough blocks of centres for three threads."""
    atoms = structures.diamond(numbers, (2, 7, 1))
    atoms.rattle(0.12, seed=4)
    return atoms


def everything(model, atoms, threads=1, dtype="float64"):
    """All that the kernels compute of a potential."""
    evaluator = Evaluator(model, threads=threads, dtype=dtype)
    done = evaluator.evaluate(atoms, site_virials=True)
    only_energies = evaluator.evaluate(atoms, gradients=False)
    return {
        "site energies": done.site_energies,
        "energy": np.array(done.energy),
        "site energies alone": only_energies.site_energies,
        "forces": done.forces,
        "virial": done.virial,
        "site virials": done.site_virials,
        "edge gradients": evaluator.edge_gradients(atoms)[1],
    }


# ---- threads


@pytest.mark.parametrize("case", SMALL)
@pytest.mark.parametrize("build", [several_blocks, structures.tiny, structures.disordered])
def test_threads_do_not_change_a_bit(case, build):
    model = read_acejax(model_path(case))
    atoms = build(naive_model(case).elements)
    expected = everything(model, atoms, 1)
    for threads in (2, 3, 64):
        for name, values in everything(model, atoms, threads).items():
            assert_array_equal(values, expected[name], err_msg=f"{name}, {threads} threads")


def test_threads_do_not_change_a_bit_on_stacks_of_several_passes():
    one_body, pair, many_body = read_acejax(model_path("sio_tutorial")).components
    shorter = acepair.ETACEPotential(many_body.layer, 4.5)
    model = acepair.StackedCalculator([one_body, pair, shorter, acepair.ZBLPotential(("Si", "O"), 5.0)])
    atoms = several_blocks([14, 8])
    expected = everything(model, atoms, 1)
    for threads in (2, 3):
        for name, values in everything(model, atoms, threads).items():
            assert_array_equal(values, expected[name], err_msg=f"{name}, {threads} threads")


def test_same_bits_every_time():
    """Whoever finishes first, sums are in the same order; five runs of a race would show it."""
    model, atoms = read_acejax(model_path("si_order4")), several_blocks([14])
    evaluator = Evaluator(model, threads=4)
    first = evaluator.evaluate(atoms).forces
    for _ in range(5):
        assert_array_equal(evaluator.evaluate(atoms).forces, first)


def test_threads_of_the_calculator():
    atoms = several_blocks([14, 8])
    forces = []
    for threads in (1, 2, 3):
        calc = acepair.ACECalculator(read_acejax(model_path("sio_tutorial")), threads=threads)
        assert calc.threads == calc.neighbors.threads == threads
        forces.append(calc.get_forces(atoms))
    assert_array_equal(forces[1], forces[0])
    assert_array_equal(forces[2], forces[0])


# ---- instruction sets


def test_baseline_is_always_there():
    available = kernels.available_isas()
    assert available[-1] in ("baseline", "aarch64")
    assert len(set(available)) == len(available)
    assert kernels.isa() in available


def test_best_is_used_unless_told_otherwise(restored_isa):
    assert kernels.use_isa(FALLBACK) == kernels.isa() == FALLBACK
    assert kernels.use_isa() == kernels.isa() == kernels.available_isas()[0]


def assert_same_as_baseline(model, atoms, isa, relative=1e-12):
    kernels.use_isa(FALLBACK)
    expected = everything(model, atoms)
    rows = acepair.energy_forces_virial_basis(atoms, model)
    jacobian = acepair.site_basis_jacobian(atoms, model)
    kernels.use_isa(isa)
    scale = np.abs(expected["edge gradients"]).max(initial=0)
    for name, values in everything(model, atoms).items():
        own = max(scale, np.abs(expected[name]).max(initial=0))
        assert_allclose(values, expected[name], rtol=0, atol=relative * own, err_msg=name)
    scale = np.abs(jacobian).max(initial=0)
    assert_allclose(acepair.site_basis_jacobian(atoms, model), jacobian, rtol=0, atol=relative * scale)
    for a, b in zip(acepair.energy_forces_virial_basis(atoms, model), rows, strict=True):
        assert_allclose(a, b, rtol=0, atol=relative * max(scale, np.abs(b).max(initial=0)))


@pytest.mark.parametrize("isa", kernels.available_isas())
@pytest.mark.parametrize("case", CASES)
def test_instruction_sets_agree(restored_isa, isa, case):
    elements = naive_model(case).elements
    for build in (structures.triclinic, structures.molecule, structures.axes, structures.far_apart):
        assert_same_as_baseline(read_acejax(model_path(case)), build(elements), isa)


@pytest.mark.parametrize("isa", kernels.available_isas())
@pytest.mark.parametrize("radial", ["analytic", "spline", "spline_factorised"])
@pytest.mark.parametrize("harmonics", ["real_solidharmonics", "real_sphericalharmonics"])
def test_instruction_sets_agree_on_other_models(restored_isa, tmp_path, isa, radial, harmonics):
    np.savez(tmp_path / "m.npz", **random_model([8, 14, 1], radial=radial, harmonics=harmonics, order=5, lmax=4))
    model = read_acejax(tmp_path / "m.npz")
    for build in (structures.disordered, structures.far_apart):
        assert_same_as_baseline(model, build([8, 14, 1]), isa)


@pytest.mark.parametrize("isa", kernels.available_isas())
def test_threads_do_not_change_a_bit_in_any_instruction_set(restored_isa, isa):
    kernels.use_isa(isa)
    model, atoms = read_acejax(model_path("sio_tutorial")), several_blocks([14, 8])
    expected = everything(model, atoms, 1)
    for name, values in everything(model, atoms, 3).items():
        assert_array_equal(values, expected[name], err_msg=name)


@pytest.mark.parametrize("isa", kernels.available_isas())
def test_numbers_of_neighbors_around_the_vector_width(restored_isa, isa):
    """From none to more than two vectors of neighbours, and centres that fill no block."""
    model = read_acejax(model_path("tial_ace1"))
    directions = np.random.default_rng(2).normal(size=(19, 3))
    directions *= np.linspace(2.3, 5.4, 19)[:, None] / np.linalg.norm(directions, axis=1)[:, None]
    for n in range(20):
        atoms = Atoms(numbers=[22, *([13, 22] * 10)[:n]], positions=[[0, 0, 0], *directions[:n]])
        assert_same_as_baseline(model, atoms, isa)


def test_unknown_instruction_set(restored_isa):
    listed = ", ".join(kernels.available_isas())
    with pytest.raises(ValueError, match=f"^ACEPAIR_ISA must be one of {listed} on this machine, got 'mmx'$"):
        kernels.use_isa("mmx")


SCRIPT = """
from ase import Atoms
import acepair
from acepair import _kernels
model = acepair.ace1_model(elements="Si", order=2, totaldegree=4)
acepair.forces(Atoms("Si2", [[0, 0, 0], [0, 0, 2.3]]), model)
print(_kernels.isa())
"""


def run_with_isa(isa):
    environment = os.environ | {"ACEPAIR_ISA": isa, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", SCRIPT]
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60, check=False)


def test_environment_chooses_the_instruction_set():
    done = run_with_isa(FALLBACK)
    assert done.stdout == "baseline\n", done.stderr


def test_unknown_instruction_set_in_the_environment():
    done = run_with_isa("sse9")
    assert done.returncode == 1
    listed = ", ".join(kernels.available_isas())
    message = f"ValueError: ACEPAIR_ISA must be one of {listed} on this machine, got 'sse9'"
    assert done.stderr.splitlines()[-1] == message


@pytest.mark.parametrize("kind", [plan.TransformKind, plan.EnvelopeKind, plan.BasisKind])
def test_python_and_kernels_number_kinds_alike(kind):
    assert kernels.KINDS[kind.__name__] == {member.name: member.value for member in kind}
