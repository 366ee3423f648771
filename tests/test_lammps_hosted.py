"""pair_style acepair/python: LAMMPS hosts acepair in Python."""

import os
import re
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from gpu.host import COMPILER
from numpy.testing import assert_allclose
from reference import lammps_run, structures
from reference.cases import model_path
from reference.copper import copper, crystal
from reference.lammps_run import evaluate, header, run, run_python, standard, write_data
from reference.wide_stack import wide_stack

from acepair import energy_forces_virial, save_model
from acepair.io.acejax import read_acejax

NATIVE = "pair_style acepair\npair_coeff * * model.acepair Si O\n"
PYTHON = NATIVE.replace("acepair\n", "acepair/python cpu\n", 1)


@cache
def model():
    return read_acejax(model_path("sio_tutorial"))


@pytest.fixture
def folder(tmp_path):
    save_model(model(), tmp_path / "model.acepair")
    save_model(copper(), tmp_path / "copper.acepair")
    return tmp_path


@pytest.fixture
def atoms():
    return standard(structures.triclinic((14, 8)))


@pytest.fixture
def hosting():
    return lammps_run.hosting()


@pytest.fixture
def device(hosting, tmp_path):
    """A Python in LAMMPS whose CUDA device is the CPU, by the host shim of the GPU's tests."""
    if COMPILER is None:
        pytest.skip("no C++ compiler for the host shim")
    lines = [
        "import sys",
        f"exec(open({hosting['PYTHONPATH'].split(os.pathsep)[0] + '/sitecustomize.py'!r}).read())",
        f"sys.path.insert(0, {str(Path(__file__).parent)!r})",
        "import acepair.gpu.backend, gpu.host",
        "acepair.gpu.backend.cuda_backend = gpu.host.HostBackend",
    ]
    (tmp_path / "device").mkdir()
    (tmp_path / "device" / "sitecustomize.py").write_text("\n".join(lines))
    return hosting | {"PYTHONPATH": str(tmp_path / "device")}


@pytest.mark.parametrize("ranks", [1, 2])
def test_hosted_python_on_a_device_gives_the_native_numbers(ranks, folder, atoms, device):
    native = evaluate(atoms, NATIVE, ["Si", "O"], folder)
    hosted = evaluate(atoms, PYTHON.replace("cpu", "cuda"), ["Si", "O"], folder, ranks=ranks, **device)
    assert "Python on cuda" in hosted.output
    for quantity in ("energy", "forces", "virial", "energies", "virials", "centroid_virials"):
        wanted = getattr(native, quantity)
        assert_allclose(getattr(hosted, quantity), wanted, rtol=1e-11, atol=1e-11 * np.max(np.abs(wanted)))


@pytest.mark.parametrize("ranks", [1, 2])
@pytest.mark.parametrize("modify", ["", "pair_modify nofdotr\n"])
def test_hosted_python_gives_the_native_numbers(modify, ranks, folder, atoms, hosting):
    native = evaluate(atoms, NATIVE + modify, ["Si", "O"], folder)
    hosted = evaluate(atoms, PYTHON + modify, ["Si", "O"], folder, ranks=ranks, **hosting)
    assert "Python on cpu" in hosted.output
    for quantity in ("energy", "forces", "virial", "energies", "virials", "centroid_virials"):
        wanted = getattr(native, quantity)
        assert_allclose(getattr(hosted, quantity), wanted, rtol=1e-11, atol=1e-11 * np.max(np.abs(wanted)))


@pytest.mark.parametrize("ranks", [1, 2])
def test_hosted_python_follows_rebuilds(ranks, folder, hosting):
    atoms = crystal(3)
    write_data(folder / "structure.data", atoms, ["Cu"])
    commands = "neighbor 0.3 bin\nvelocity all create 1500 1 mom yes rot no loop geom\nfix 1 all nve\nrun 100\n"
    energies = []
    for style in ("acepair", "acepair/python cpu"):
        script = f"{header(atoms)}pair_style {style}\npair_coeff * * copper.acepair Cu\n{commands}"
        output = run(script + 'print "energy $(pe:%.17g)"\n', folder, ranks=ranks, **hosting).stdout
        assert int(re.search(r"Neighbor list builds = (\d+)", output)[1]) > 3
        energies.append(float(re.search(r"^energy (.*)$", output, re.MULTILINE)[1]))
    assert energies[0] == pytest.approx(energies[1], abs=1e-8)


@pytest.mark.parametrize("ranks", [1, 2])
@pytest.mark.parametrize(
    ("style", "message"),
    [
        ("acepair/python", "takes one argument, cpu or cuda"),
        ("acepair/python tpu", "takes one argument, cpu or cuda"),
        ("acepair/python cuda", 'device "cuda" needs'),
    ],
)
def test_hosted_python_mistakes(style, message, ranks, folder, atoms, hosting):
    write_data(folder / "structure.data", atoms, ["Si", "O"])
    script = header(atoms) + NATIVE.replace("acepair\n", f"{style}\n", 1) + "run 0\n"
    done = run(script, folder, ranks=ranks, check=False, **hosting, CUDA_VISIBLE_DEVICES="")
    assert done.returncode != 0
    assert message in done.stdout


def test_hosted_python_errors_end_the_run(folder, atoms, hosting):
    write_data(folder / "structure.data", atoms, ["Si", "O"])
    move = "set atom 2 x 1.0 y 1.0 z 1.0\nset atom 3 x 1.0 y 1.0 z 1.0\n"
    done = run(header(atoms) + PYTHON + move + "run 0\n", folder, check=False, **hosting)
    assert done.returncode != 0
    assert "are in the same place" in done.stdout


def test_no_python_to_host(folder, atoms, hosting):
    write_data(folder / "structure.data", atoms, ["Si", "O"])
    without = {**hosting, "ACEPAIR_LIBPYTHON": "/nonexistent/libpython.so"}
    done = run(header(atoms) + PYTHON + "run 0\n", folder, check=False, **without)
    assert done.returncode != 0
    assert "cannot load Python" in done.stdout


def test_no_python_is_exported(folder, atoms, monkeypatch):
    """Where Python has no shared library the entry point exports none."""
    monkeypatch.delenv("ACEPAIR_LIBPYTHON", raising=False)
    write_data(folder / "structure.data", atoms, ["Si", "O"])
    done = run(header(atoms) + PYTHON + "run 0\n", folder, check=False, ranks=2)
    assert done.returncode != 0
    assert "run LAMMPS from Python instead: python -m acepair.lmp -in FILE" in done.stdout


@pytest.mark.parametrize("style", [NATIVE, PYTHON])
def test_plans_with_more_elements_than_the_model(style, folder, atoms, hosting):
    save_model(wide_stack(), folder / "model.acepair")
    expected = energy_forces_virial(atoms, wide_stack())
    result = evaluate(atoms, style, ["Si", "O"], folder, ranks=2, **hosting)
    assert result.energy == pytest.approx(expected.energy, abs=1e-9)
    assert_allclose(result.forces, expected.forces, atol=1e-10 * abs(expected.forces).max())


def test_lammps_driven_from_python(folder, atoms):
    """The interpreter that drives LAMMPS is the one that evaluates."""
    write_data(folder / "structure.data", atoms, ["Si", "O"])
    (folder / "in.lmp").write_text(header(atoms) + PYTHON + 'run 0\nprint "energy $(pe:%.17g)"\n')
    done = run_python(["-m", "acepair.lmp", "-in", "in.lmp"], folder)
    energy = float(re.search(r"^energy (.*)$", done.stdout, re.MULTILINE)[1])
    assert energy == pytest.approx(energy_forces_virial(atoms, model()).energy, abs=1e-9)


@pytest.mark.parametrize("ranks", [1, 2])
def test_script_from_standard_input(ranks, folder, atoms):
    """As `lmp < FILE` takes it."""
    write_data(folder / "structure.data", atoms, ["Si", "O"])
    script = header(atoms) + PYTHON + 'run 0\nprint "energy $(pe:%.17g)"\n'
    done = run_python(["-m", "acepair.lmp"], folder, ranks=ranks, stdin=script)
    energy = float(re.search(r"^energy (.*)$", done.stdout, re.MULTILINE)[1])
    assert energy == pytest.approx(energy_forces_virial(atoms, model()).energy, abs=1e-9)


def test_script_that_is_missing(folder):
    done = run_python(["-m", "acepair.lmp", "-in", "in.nothing"], folder, check=False)
    assert done.returncode != 0
    assert "cannot open in.nothing: No such file" in done.stdout
    assert "Traceback" not in done.stdout
