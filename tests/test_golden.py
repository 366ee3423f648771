"""Values of another implementation (tests/data): radial and angular functions, basis, energies, forces, stresses."""

from functools import cache

import numpy as np
import pytest
from numpy.testing import assert_allclose
from reference.cases import CASES, STRUCTURES, golden, golden_structure, model_path
from reference.naive import force_scale

import acepair
from acepair.io import read_acejax


@cache
def calculator(case):
    return read_acejax(model_path(case))


def energy_scale(case, k):
    """|E − ΣE0| + 1 eV."""
    one_body = calculator(case).components[0]
    return abs(golden(case)[f"{k}_energy"] - acepair.potential_energy(golden_structure(case, k), one_body)) + 1


@pytest.mark.parametrize("case", CASES)
def test_edge_functions(case):
    ref = golden(case)
    _, pair, many_body = calculator(case).components
    d = np.linalg.norm(ref["edge_rij"], axis=1)
    zi, zj = ref["edge_zi"], ref["edge_zj"]
    for values, key in (
        (many_body.layer.rembed.evaluate(d, zi, zj), "edge_R"),
        (pair.layer.rembed.evaluate(d, zi, zj), "edge_Rpair"),
        (many_body.layer.yembed.evaluate(ref["edge_rij"]), "edge_Y"),
    ):
        assert_allclose(values, ref[key], rtol=0, atol=1e-12 * np.abs(ref[key]).max(), err_msg=key)


@pytest.mark.parametrize(("case", "k"), STRUCTURES)
def test_energies_and_forces(case, k):
    ref, atoms, calc = golden(case), golden_structure(case, k), calculator(case)
    result = acepair.energy_forces_virial(atoms, calc)
    tolerance = 1e-10 * energy_scale(case, k)
    assert abs(result.energy - ref[f"{k}_energy"]) < tolerance
    assert_allclose(acepair.site_energies(atoms, calc), ref[f"{k}_site_energy"], rtol=0, atol=tolerance)
    assert_allclose(result.forces, ref[f"{k}_forces"], rtol=0, atol=1e-9 * force_scale(ref[f"{k}_forces"]))
    if f"{k}_stress" in ref:
        stress = (-result.virial / atoms.get_volume())[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]]
        expected = ref[f"{k}_stress"]
        assert_allclose(stress, expected, rtol=0, atol=1e-10 * max(1, np.abs(expected).max()))


@pytest.mark.parametrize(("case", "k"), [(case, k) for case, k in STRUCTURES if k < 2])
def test_functions_agree_with_one_another(case, k):
    atoms, calc = golden_structure(case, k), calculator(case)
    result = acepair.energy_forces_virial(atoms, calc)
    scale = force_scale(result.forces)
    assert acepair.potential_energy(atoms, calc) == pytest.approx(result.energy, rel=1e-14)
    assert_allclose(acepair.forces(atoms, calc), result.forces, rtol=0, atol=1e-13 * scale)
    assert_allclose(
        acepair.virial(atoms, calc), result.virial, rtol=0, atol=1e-13 * max(scale, np.abs(result.virial).max())
    )
    assert acepair.site_energies(atoms, calc).sum() == pytest.approx(result.energy, rel=1e-13)


@pytest.mark.parametrize(("case", "k"), [(case, k) for case, k in STRUCTURES if k < 2])
def test_ase_calculator(case, k):
    ref, atoms = golden(case), golden_structure(case, k)
    atoms.calc = acepair.ACECalculator(calculator(case))
    assert abs(atoms.get_potential_energy() - ref[f"{k}_energy"]) < 1e-10 * energy_scale(case, k)
    assert_allclose(atoms.get_forces(), ref[f"{k}_forces"], rtol=0, atol=1e-9 * force_scale(ref[f"{k}_forces"]))
    assert_allclose(atoms.get_potential_energies(), ref[f"{k}_site_energy"], rtol=0, atol=1e-10 * energy_scale(case, k))
    if f"{k}_stress" in ref:
        expected = ref[f"{k}_stress"]
        tolerance = 1e-10 * max(1, np.abs(expected).max())
        assert_allclose(atoms.get_stress(), expected, rtol=0, atol=tolerance)
        assert_allclose(atoms.get_stresses().sum(axis=0), expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize(("case", "k"), STRUCTURES)
def test_site_basis(case, k):
    ref, atoms = golden(case), golden_structure(case, k)
    _, pair, many_body = calculator(case).components
    for part, key in ((many_body, f"{k}_B"), (pair, f"{k}_Bpair")):
        values = acepair.site_basis(atoms, part)
        assert_allclose(values, ref[key], rtol=0, atol=1e-11 * np.abs(ref[key]).max(), err_msg=key)


@pytest.mark.parametrize("case", CASES)
def test_basis_times_parameters_is_the_model(case):
    ref, atoms, calc = golden(case), golden_structure(case, 0), calculator(case)
    theta = acepair.get_linear_parameters(calc)
    one_body = acepair.potential_energy(atoms, calc.components[0])
    basis = acepair.energy_forces_virial_basis(atoms, calc)
    assert basis.energy.shape == theta.shape == (acepair.length_basis(calc),)
    assert abs(basis.energy @ theta + one_body - ref["0_energy"]) < 1e-10 * energy_scale(case, 0)
    assert_allclose(basis.forces @ theta, ref["0_forces"], rtol=0, atol=1e-9 * force_scale(ref["0_forces"]))
    virial = acepair.virial(atoms, calc)
    assert_allclose(basis.virial @ theta, virial, rtol=0, atol=1e-9 * max(1, np.abs(virial).max()))
    energies = acepair.potential_energy_basis(atoms, calc)
    assert_allclose(energies, basis.energy, rtol=0, atol=1e-12 * np.abs(basis.energy).max())
