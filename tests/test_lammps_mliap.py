"""MLIAPACE against data with the attributes that ML-IAP's unified interface has, and no others."""

import pickle
from functools import cache

import numpy as np
import pytest
from numpy.testing import assert_allclose
from reference import structures
from reference.cases import model_path
from reference.lammps_run import standard
from reference.wide_stack import wide_stack

from acepair import energy_forces_virial, save_model
from acepair.evaluate import Evaluator
from acepair.io.acejax import read_acejax
from acepair.lammps.engine import Engine
from acepair.lammps.mliap import MLIAPACE
from acepair.structure import read_structure


@cache
def model():
    return read_acejax(model_path("sio_tutorial"))


@pytest.fixture
def atoms():
    return standard(structures.triclinic((14, 8)))


@pytest.fixture
def model_file(tmp_path):
    path = tmp_path / "model.acepair"
    save_model(model(), path)
    return str(path)


class Data:
    """src/ML-IAP/mliap_unified_couple.pyx: energies can only be written, arrays without entries cannot be had."""

    def __init__(self, elems, iatoms, pair_i, pair_j, rij):
        self._arrays = {"elems": elems, "iatoms": iatoms, "pair_i": pair_i, "pair_j": pair_j, "rij": rij}
        self.nlistatoms, self.npairs = len(iatoms), len(rij)
        self.energies, self.total, self.gradients = np.full(len(iatoms), np.nan), np.nan, np.zeros((0, 3))

    def __getattr__(self, name):
        array = self.__dict__.get("_arrays", {})[name]
        if not array.size:
            raise ValueError("Invalid shape in axis 0: 0.")
        return array

    @staticmethod
    def _write_only(fset):
        return property(None, fset)

    @_write_only
    def eatoms(self, value):
        self.energies[:] = memoryview(value)

    @_write_only
    def energy(self, value):
        self.total = float(value)

    def update_pair_forces(self, fij):
        view = memoryview(fij)
        assert view.c_contiguous
        assert view.format == "d"
        assert view.shape == (self.npairs, 3)
        assert self.npairs  # LAMMPS takes the address of the first
        self.gradients = np.array(fij)


class KokkosData(Data):
    """src/KOKKOS/mliap_unified_couple_kokkos.pyx: the energies of atoms are a view that can only be read."""

    @property
    def eatoms(self):
        return self.energies


def mliap_data(atoms, elements, *, of=Data, listed=None, potential=None):
    """The atoms have another order than ASE's, and `listed` ones another in the list; images of all are ghosts."""
    evaluator = Evaluator(potential or model())
    structure = read_structure(atoms, evaluator.table)
    edges, _ = evaluator.edges(structure, evaluator.neighbors(structure))
    rng = np.random.default_rng(0)
    number = rng.permutation(len(atoms)).astype(np.int32)  # LAMMPS's number of an atom
    elems = np.empty(2 * len(atoms), dtype=np.int32)
    symbols = atoms.get_chemical_symbols()
    elems[number] = elems[number + len(atoms)] = [elements.index(s) if s in elements else -1 for s in symbols]
    listed = np.arange(len(atoms)) if listed is None else listed
    pairs = rng.permutation(np.flatnonzero(np.isin(edges.i, listed)))
    ghost = len(atoms) * edges.S[pairs].any(axis=1)
    data = of(
        elems=elems,
        iatoms=rng.permutation(number[listed]),
        pair_i=number[edges.i[pairs]],
        pair_j=(number[edges.j[pairs]] + ghost).astype(np.int32),
        rij=edges.D[pairs],
    )
    return data, number


def forces(data, n_atoms):
    """What LAMMPS makes of the gradients, ghosts folded back."""
    total = np.zeros((n_atoms, 3))
    np.add.at(total, data._arrays["pair_i"] % n_atoms, data.gradients)
    np.add.at(total, data._arrays["pair_j"] % n_atoms, -data.gradients)
    return total


@pytest.mark.parametrize("of", [Data, KokkosData])
@pytest.mark.parametrize("elements", [["Si", "O"], ["O", "Si"]])
def test_agrees_with_python(elements, of, model_file, atoms):
    data, number = mliap_data(atoms, elements, of=of)
    MLIAPACE(model_file, elements).compute_forces(data)
    expected = Evaluator(model()).evaluate(atoms)
    assert data.total == pytest.approx(expected.energy, abs=1e-10)
    wanted = np.empty(len(atoms))
    wanted[number] = expected.site_energies
    assert_allclose(data.energies, wanted[data.iatoms], atol=1e-11)
    assert_allclose(forces(data, len(atoms))[number], expected.forces, atol=1e-10 * abs(expected.forces).max())


def test_plans_with_more_elements_than_the_model(tmp_path, atoms):
    save_model(wide_stack(), tmp_path / "wide.acepair")
    data, number = mliap_data(atoms, ["Si", "O"], potential=wide_stack())
    MLIAPACE(str(tmp_path / "wide.acepair"), ["Si", "O"]).compute_forces(data)
    expected = Evaluator(wide_stack()).evaluate(atoms)
    assert data.total == pytest.approx(expected.energy, abs=1e-10)
    assert_allclose(forces(data, len(atoms))[number], expected.forces, atol=1e-10 * abs(expected.forces).max())


def test_null_atoms_are_left_out(model_file, atoms):
    """ML-IAP's element of atoms mapped to NULL is −1; a list that leaves them out is shorter."""
    silicon = np.flatnonzero(atoms.numbers == 14)
    expected = Evaluator(model()).evaluate(atoms[silicon])
    for listed in (None, silicon):
        data, _ = mliap_data(atoms, ["Si"], listed=listed)
        MLIAPACE(model_file, ["Si"]).compute_forces(data)
        assert data.total == pytest.approx(expected.energy, abs=1e-10)


def test_without_pairs(model_file):
    atoms = structures.isolated((14,))
    data, _ = mliap_data(atoms, ["Si", "O"])
    MLIAPACE(model_file).compute_forces(data)
    assert data.total == pytest.approx(energy_forces_virial(atoms, model()).energy)


def test_without_atoms(model_file):
    data = Data(*(np.zeros(0, dtype=np.int32),) * 4, np.zeros((0, 3)))
    MLIAPACE(model_file).compute_forces(data)
    assert data.total == 0


def test_gpu_arrays_are_refused(model_file, atoms):
    class OnGPU(np.ndarray):
        __cuda_array_interface__ = None

    data, _ = mliap_data(atoms, ["Si", "O"])
    data._arrays["elems"] = data._arrays["elems"].view(OnGPU)
    with pytest.raises(NotImplementedError, match="on a GPU"):
        MLIAPACE(model_file).compute_forces(data)


def test_attributes(model_file):
    """What LAMMPS reads of the object, which it also pickles."""
    potential = pickle.loads(pickle.dumps(MLIAPACE(model_file, ["Si"])))
    assert potential.element_types == ["Si"]
    assert potential.rcutfac == 5.5 / 2
    with pytest.raises(ValueError, match="model covers Si, O; there is also Al"):
        MLIAPACE(model_file, ["Al"])


def test_engine_refuses_coincident_atoms(model_file):
    engine = Engine(model_file)
    first, neighbor = np.array([0, 1, 2]), np.array([1, 0], dtype=np.int32)
    with pytest.raises(ValueError, match="same place"):
        engine.evaluate(np.zeros((2, 3)), np.zeros(2, dtype=np.int32), first, neighbor, 2)
