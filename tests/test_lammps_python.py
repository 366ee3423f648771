"""LAMMPS from Python, the command line, and where the plugin is."""

import subprocess
import sys
from pathlib import Path

import pytest
from reference.lammps_run import lmp, run_library

from acepair import cli
from acepair.lammps import plugin
from acepair.lammps.headers import mpi_library

TREE = Path(__file__).parents[1]


def test_preload(tmp_path):
    if mpi_library() is None:
        pytest.skip("the mpich wheel is not installed")
    output = run_library('print("acepair:", lmp.has_style("pair", "acepair"))', tmp_path).stdout
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


def test_entry_point_is_light():
    """It runs whenever LAMMPS starts: nothing heavy may be imported."""
    code = "import sys; from acepair.lammps.plugin import plugin_folder; plugin_folder(); print(*sys.modules)"
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=TREE, check=True).stdout
    assert not {"numpy", "ase", "lammps", "acepair._kernels"} & set(output.split())
