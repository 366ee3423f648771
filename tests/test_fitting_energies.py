"""Energies of elements: of isolated atoms, by least squares, given."""

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.lj import LennardJones
from numpy.testing import assert_allclose
from reference.labelled import frames, labelled

import acepair
from acepair.fitting import (
    fit,
    one_body_energies,
    read_dataset,
)


@pytest.fixture
def model():
    return acepair.ace1_model(elements="Si", order=2, totaldegree=5, rcut=4.0)


def test_energies_of_isolated_atoms():
    atom = Atoms("Si", info={"energy": -1.5, "config_type": "IsolatedAtom"})
    other = Atoms("O", info={"energy": -2.5})
    data = read_dataset([atom, other, labelled(energy=-20.0)])
    assert one_body_energies(data, ("O", "Si"), "isolated") == {"O": -2.5, "Si": -1.5}
    with pytest.raises(ValueError, match="needs the energy of an isolated atom of Ti, got none"):
        one_body_energies(data, ("Si", "Ti"), "isolated")
    with pytest.raises(ValueError, match="'isolated' or 'lsq', got 'mean'"):
        one_body_energies(data, ("Si",), "mean")


def test_energies_by_least_squares():
    rng = np.random.default_rng(0)
    made = []
    for _ in range(10):
        n, m = rng.integers(1, 5, 2)
        made.append(Atoms(f"Si{n}O{m}", np.arange(3 * (n + m)).reshape(-1, 3), info={"energy": -1.5 * n + 4.0 * m}))
    found = one_body_energies(read_dataset(made), ("Si", "O"), "lsq")
    assert_allclose([found["Si"], found["O"]], [-1.5, 4.0])


def test_energies_by_least_squares_are_per_atom():
    """A large configuration counts as much as a small one."""
    rng = np.random.default_rng(0)
    made = [Atoms("Si", info={"energy": -1.5}), Atoms("Si100", rng.random((100, 3)) * 30, info={"energy": -200.0})]
    assert one_body_energies(read_dataset(made), ("Si",), "lsq")["Si"] == pytest.approx((-1.5 - 2.0) / 2)


@pytest.mark.parametrize("how", ["lsq", "isolated"])
def test_energies_are_what_the_reference_leaves(how):
    """ZBL and v_ref are subtracted before one-body energies are sought."""
    model = acepair.ace1_model(elements="Si", order=2, totaldegree=5, rcut=4.0, ZBL=True, Eref={"Si": 3.0})
    lj = LennardJones(sigma=2.0, epsilon=0.5, rc=4.0, smooth=True)
    zbl = acepair.StackedCalculator([model.zbl])
    made = [*frames(4), Atoms("Si", calculator=lj)]
    for k, atoms in enumerate(made):
        energy = -5.0 * len(atoms) + lj.get_potential_energy(atoms) + acepair.potential_energy(atoms, zbl)
        made[k] = atoms.copy()
        made[k].info["energy"] = energy
    result = fit(model, made, E0s=how, v_ref=lj, threads=1)
    assert result.ace_model.E0s["Si"] == pytest.approx(-5.0, abs=1e-9)
    assert_allclose(result.theta, 0, atol=1e-6)


def test_two_energies_of_one_isolated_atom():
    data = read_dataset([Atoms("Si", info={"energy": -1.5}), Atoms("Si", info={"energy": -9.5})])
    with pytest.raises(
        ValueError, match=r"one energy of an isolated atom of Si, got -1.5 eV of configuration 0 and -9.5"
    ):
        one_body_energies(data, ("Si",), "isolated")
    same = read_dataset([Atoms("Si", info={"energy": -1.5}), Atoms("Si", info={"energy": -1.5})])
    assert one_body_energies(same, ("Si",), "isolated") == {"Si": -1.5}


def test_given_energies(model):
    result = fit(model, frames(), E0s={"Si": -2.0}, threads=1)
    assert result.ace_model.E0s == {"Si": -2.0}
    assert model.E0s == {"Si": 0.0}
    with pytest.raises(ValueError, match="E0s must be given for Si, got none for Si"):
        fit(model, frames(), E0s={"Ge": 1.0})
