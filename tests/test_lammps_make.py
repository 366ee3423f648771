"""make_lammps: structures as ASE has them, and models, in a LAMMPS of this process."""

import re
from functools import cache

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk
from ase.io import write
from numpy.testing import assert_allclose
from reference import structures
from reference.cases import model_path
from reference.lammps_run import run_python

from acepair import ACECalculator, save_model
from acepair.io.acejax import read_acejax

START = """
import numpy as np
from ase.io import read
from acepair import load_model
from acepair.lammps import make_lammps

atoms = read("atoms.traj")
"""


@cache
def model():
    return read_acejax(model_path("sio_tutorial"))


@pytest.fixture
def folder(tmp_path):
    save_model(model(), tmp_path / "model.acepair")
    return tmp_path


def make(atoms, folder, code, **options):
    write(folder / "atoms.traj", atoms)
    return run_python(["-c", START + code], folder, **options)


REPORT = """
lmp.command("run 0")
np.save("forces.npy", np.ctypeslib.as_array(lmp.gather_atoms("f", 1, 3)).reshape(-1, 3))
np.save("velocities.npy", np.ctypeslib.as_array(lmp.gather_atoms("v", 1, 3)).reshape(-1, 3))
print("energy", repr(lmp.get_thermo("pe")), repr(lmp.get_thermo("temp")))
"""


def tilted(*periodic):
    """A rhombohedral cell, atoms on its faces and outside it."""
    atoms = bulk("Si", a=5.43) * (3, 3, 2)
    atoms.numbers[::3] = 8
    atoms.rattle(0.1, seed=1)
    atoms.pbc = periodic
    atoms.positions[0] += atoms.cell[0] @ np.diag(atoms.pbc)
    return atoms


def cluster(cell=None, shift=0.0):
    atoms = Atoms("SiOSiO", positions=[[0, 0, 0], [2.3, 0, 0.1], [0, 2.3, 0], [0.2, 0, 2.3]], cell=cell)
    atoms.positions += shift
    return atoms


def slab():
    """Atoms a little outside the cell, across which it is not periodic."""
    atoms = structures.diamond((14, 8), (2, 2, 1))
    atoms.pbc = (True, True, False)
    atoms.rattle(0.1, seed=2)
    return atoms


def left_handed():
    atoms = structures.triclinic((14, 8))
    atoms.set_cell(atoms.cell[[1, 0, 2]])
    return atoms


STRUCTURES = {
    "triclinic": structures.triclinic((14, 8)),
    "left-handed": left_handed(),
    "slab": slab(),
    "no cell": cluster(),
    "one vector": cluster([10, 0, 0]),
    "outside its cell": cluster([12, 12, 12], 40.0),
    "one atom": Atoms("Si", cell=[5, 5, 5]),
    **{f"tilted {p}": tilted(*p) for p in [(1, 1, 1), (1, 1, 0), (0, 1, 1), (1, 0, 1), (0, 0, 1), (0, 0, 0)]},
}


@pytest.mark.parametrize("name", STRUCTURES)
def test_structures(name, folder):
    """Energy, forces and velocities, the latter two turned back by comparing their lengths."""
    atoms = STRUCTURES[name].copy()
    atoms.set_velocities(np.random.default_rng(0).normal(size=(len(atoms), 3)) * 0.01)
    output = make(atoms, folder, 'lmp = make_lammps(atoms, "model.acepair")\n' + REPORT).stdout
    energy, temperature = map(float, output.split("energy ")[1].split()[:2])
    atoms.calc = ACECalculator(model())
    assert energy == pytest.approx(atoms.get_potential_energy(), abs=1e-9)
    forces, velocities = np.load(folder / "forces.npy"), np.load(folder / "velocities.npy")
    wanted = atoms.get_forces()
    assert_allclose(forces @ forces.T, wanted @ wanted.T, atol=1e-9 * max(1, (wanted**2).max()))
    v = atoms.get_velocities() * 1000 * units.fs
    assert_allclose(velocities @ velocities.T, v @ v.T, rtol=1e-10, atol=1e-10 * (v**2).max())
    if len(atoms) > 1:
        kinetic = atoms.get_kinetic_energy() / (1.5 * (len(atoms) - 1) * units.kB)
        assert temperature == pytest.approx(kinetic, rel=1e-5)


PLACES = ["a b/model.acepair", "it's#1.acepair", 'say "it\'s".acepair', "$x.acepair"]


@pytest.mark.parametrize("place", PLACES)
def test_paths_are_quoted(place, folder):
    (folder / place).parent.mkdir(exist_ok=True)
    (folder / "model.acepair").rename(folder / place)
    make(STRUCTURES["slab"], folder, f"make_lammps(atoms, {place!r}).command('run 0')\n")


def test_model_in_memory(folder):
    """Also where temporary files are in a folder with a space."""
    (folder / "t m p").mkdir()
    output = make(
        STRUCTURES["triclinic"],
        folder,
        'lmp = make_lammps(atoms, load_model("model.acepair"), elements=["H", "O", "Si"][1:])\n' + REPORT,
        TMPDIR=str(folder / "t m p"),
    ).stdout
    expected = ACECalculator(model()).get_potential_energy(STRUCTURES["triclinic"])
    assert float(output.split("energy ")[1].split()[0]) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("ranks", [2])
def test_ranks(ranks, folder):
    # a file a rank: mpiexec may cut a rank's line in two with another's
    code = """
lmp = make_lammps(atoms, "model.acepair")
lmp.command("run 0")
np.save("energy-%d.npy" % lmp.extract_setting("world_rank"), lmp.get_thermo("pe"))
"""
    make(STRUCTURES["slab"], folder, code, ranks=ranks)
    expected = ACECalculator(model()).get_potential_energy(STRUCTURES["slab"])
    energies = [float(np.load(folder / f"energy-{rank}.npy")) for rank in range(ranks)]
    assert energies == pytest.approx([expected] * ranks, abs=1e-9)


def heavy():
    atoms = cluster()
    atoms.set_masses([28, 16, 30, 16])
    return atoms


MISTAKES = {
    "no atoms": (Atoms(cell=[5, 5, 5], pbc=True), {}, "at least one atom"),
    "elements": (cluster(), {"elements": ["Si"]}, "elements must name all of the structure's, O is missing"),
    "no cell": (Atoms("Si", pbc=True), {}, "cell must have a vector where the structure is periodic"),
    "masses": (heavy(), {}, "masses must be the same"),
}


@pytest.mark.parametrize("what", MISTAKES)
def test_mistakes(what, folder):
    from acepair.lammps import make_lammps

    atoms, options, message = MISTAKES[what]
    with pytest.raises(ValueError, match=message):
        make_lammps(atoms, "model.acepair", **options)


def test_failure_closes_lammps(folder):
    """What stays open would hold on to files and MPI."""
    code = """
import lammps
closed = []
close = lammps.lammps.close
lammps.lammps.close = lambda self: closed.append(True) or close(self)
try:
    make_lammps(atoms, "nothing.acepair")
except Exception as error:
    print("raised:", error, closed)
"""
    output = make(STRUCTURES["slab"], folder, code).stdout
    assert re.search(r"raised: .*no such file", output)
    assert "[True" in output
