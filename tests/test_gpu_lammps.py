"""What `pair_style acepair/python cuda` calls, on the host shim: against the same calls for the CPU."""

import numpy as np
import pytest
from gpu.host import COMPILER, HostBackend
from numpy.testing import assert_allclose
from reference import structures
from reference.cases import model_path
from reference.model_zoo import tutorial

import acepair
from acepair.io import read_acejax
from acepair.lammps.hosted import Hosted
from acepair.neighbors import find_neighbors

pytestmark = pytest.mark.skipif(COMPILER is None, reason="no C++ compiler for the host shim")

RCUT = 5.5


class Plugin:
    """The arrays that LAMMPS's plugin hands over for one plan; ghosts are rows of their own."""

    def __init__(self, atoms, ignored=()):
        found = find_neighbors(atoms.positions, atoms.cell.array, atoms.pbc, RCUT + 0.5)
        n = len(atoms)
        self.species = np.where(atoms.numbers == 14, 0, 1).astype(np.int32)
        self.species[list(ignored)] = -1
        self.owner, self.shift = found.owner, np.concatenate((np.zeros((n, 3)), found.image_shift))
        self.first, self.neighbor = found.first.copy(), found.neighbor.copy()
        self.centres = np.flatnonzero(self.species >= 0).astype(np.int32)
        self.xyzs = np.empty((len(self.owner), 4))
        self.energies, self.forces, self.virial = np.empty(n), np.empty((len(self.owner), 4)), np.empty(9)
        self.coincident = np.full(2, -1, dtype=np.int32)
        self.place(atoms)

    def place(self, atoms):
        self.xyzs[:, :3] = atoms.positions[self.owner] + self.shift @ atoms.cell.array
        self.xyzs[:, 3] = self.species[self.owner]

    def bind(self, hosted, plan=0):
        arrays = (
            self.xyzs,
            self.first,
            self.neighbor,
            self.centres,
            self.energies,
            self.forces,
            self.virial,
            self.coincident,
        )
        assert hosted.bind(plan, *(memoryview(array).cast("B") for array in arrays)) == ""

    def results(self, call):
        """Energies, forces, virial after a call that adds to ones."""
        for array in (self.energies, self.forces, self.virial):
            array[:] = 1
        assert call() == ""
        return self.energies.copy(), self.forces[:, :3].copy(), self.virial.copy()


@pytest.fixture
def model_file(tmp_path):
    acepair.save_model(read_acejax(model_path("sio_tutorial")), tmp_path / "model.acepair")
    return str(tmp_path / "model.acepair")


def opened(path, device):
    hosted = Hosted()
    assert hosted.open(path, device) == ""
    return hosted


@pytest.mark.parametrize("ignored", [(), (0, 5)], ids=["all", "two ignored"])
def test_steps_equal_those_of_the_cpu(monkeypatch, model_file, ignored):
    monkeypatch.setattr("acepair.gpu.backend.cuda_backend", HostBackend)
    atoms = structures.triclinic([14, 8])
    atoms.wrap()
    plugin = Plugin(atoms, ignored)
    cpu, gpu = opened(model_file, "cpu"), opened(model_file, "cuda")
    for step in range(2):
        for hosted in (cpu, gpu) if step == 0 else ():
            plugin.bind(hosted)
        expected = plugin.results(lambda: cpu.step(0))
        for a, b in zip(plugin.results(lambda: gpu.step(0)), expected, strict=True):
            assert_allclose(a, b, rtol=0, atol=1e-12 * np.abs(b).max())
        atoms.rattle(0.02, seed=step)
        plugin.place(atoms)

    gradients = [np.zeros((len(plugin.neighbor), 3)) for _ in range(2)]
    for hosted, found in zip((cpu, gpu), gradients, strict=True):
        plugin.results(lambda hosted=hosted, found=found: hosted.step(0, memoryview(found).cast("B")))
    assert np.abs(gradients[0]).max() > 0.1
    assert_allclose(gradients[1], gradients[0], rtol=0, atol=1e-12 * np.abs(gradients[0]).max())


def test_atoms_in_the_same_place(monkeypatch, model_file):
    monkeypatch.setattr("acepair.gpu.backend.cuda_backend", HostBackend)
    atoms = structures.triclinic([14, 8])
    atoms.wrap()
    plugin, hosted = Plugin(atoms), opened(model_file, "cuda")
    plugin.bind(hosted)
    atoms.positions[1] = atoms.positions[5]
    plugin.place(atoms)
    assert hosted.step(0) == ""
    assert sorted(plugin.coincident) == [1, 5]


def test_energies_of_atoms_alone(monkeypatch, tmp_path):
    monkeypatch.setattr("acepair.gpu.backend.cuda_backend", HostBackend)
    one_body = acepair.ETOneBodyPotential(acepair.one_body({"Si": -1.25, "O": 3.0}))
    acepair.save_model(one_body, tmp_path / "model.acepair")
    plugin, hosted = Plugin(structures.triclinic([14, 8])), opened(str(tmp_path / "model.acepair"), "cuda")
    plugin.bind(hosted)
    energies, forces, _ = plugin.results(lambda: hosted.step(0))
    assert_allclose(energies, 1 + np.where(plugin.species == 0, -1.25, 3.0))
    assert (forces == 1).all()


def test_unknown_device(tmp_path):
    acepair.save_model(tutorial(), tmp_path / "model.acepair")
    assert Hosted().open(str(tmp_path / "model.acepair"), "tpu") == "device must be cpu or cuda, got tpu"
