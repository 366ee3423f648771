"""The oracle of tests/reference against golden values of another implementation and against central differences."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from reference import naive, structures
from reference.cases import CASES, STRUCTURES, golden, golden_structure, naive_model
from reference.numerical import numerical_forces, numerical_virial
from reference.random_model import random_model


def test_golden_files_are_there():
    assert len(CASES) >= 7


@pytest.mark.parametrize("case", CASES)
def test_edge_functions_match_golden(case):
    ref, m = golden(case), naive_model(case)
    d = np.linalg.norm(ref["edge_rij"], axis=1)
    R, _ = naive.radial(m, "rnl", d, ref["edge_zi"], ref["edge_zj"])
    Rpair, _ = naive.radial(m, "pair", d, ref["edge_zi"], ref["edge_zj"])
    Y, _ = naive.angular(m.meta["lmax"], ref["edge_rij"], m.meta["ybasis_kind"] == "real_solidharmonics")
    for values, key in ((R, "edge_R"), (Rpair, "edge_Rpair"), (Y, "edge_Y")):
        assert_allclose(values, ref[key], rtol=0, atol=1e-12 * np.abs(ref[key]).max())


@pytest.mark.parametrize(("case", "k"), STRUCTURES)
def test_structures_match_golden(case, k):
    ref, atoms = golden(case), golden_structure(case, k)
    result = naive.evaluate(naive_model(case), atoms)
    scale = naive.energy_scale(result)
    assert abs(result.energy - ref[f"{k}_energy"]) < 1e-10 * scale
    assert_allclose(result.site_energies, ref[f"{k}_site_energy"], rtol=0, atol=1e-10 * scale)
    assert_allclose(result.forces, ref[f"{k}_forces"], rtol=0, atol=1e-9 * naive.force_scale(ref[f"{k}_forces"]))
    assert_allclose(result.B, ref[f"{k}_B"], rtol=0, atol=1e-11 * np.abs(ref[f"{k}_B"]).max())
    assert_allclose(result.Bpair, ref[f"{k}_Bpair"], rtol=0, atol=1e-11 * np.abs(ref[f"{k}_Bpair"]).max())
    if f"{k}_stress" in ref:
        stress = ref[f"{k}_stress"]
        assert_allclose(result.stress(atoms.get_volume()), stress, rtol=0, atol=1e-10 * max(1, np.abs(stress).max()))


@pytest.mark.parametrize("case", ["sio_tutorial", "tial_ace1", "tial_embedding", "si_order4"])
def test_long_double_agrees_with_double(case):
    exact = naive.evaluate(naive_model(case, np.longdouble), golden_structure(case, 0))
    result = naive.evaluate(naive_model(case), golden_structure(case, 0))
    assert exact.site_grads.dtype == np.longdouble
    assert_allclose(result.forces, exact.forces.astype(float), rtol=0, atol=1e-12 * naive.force_scale(result.forces))
    assert abs(float(result.energy - exact.energy)) < 1e-12 * abs(result.energy)


@pytest.mark.parametrize("case", ["sio_tutorial", "tial_ace1", "tial_embedding", "si_order4"])
@pytest.mark.parametrize("build", [structures.triclinic, structures.tiny, structures.axes])
def test_derivatives_match_central_differences(case, build):
    m = naive_model(case)
    atoms = build(m.elements)
    result = naive.evaluate(m, atoms)

    def energy(a):
        r = naive.evaluate(m, a)
        return float((r.site_energies - r.E0).sum())

    # a cubic spline's third derivative jumps at nodes: the difference formula loses an order there
    tolerance = (1e-8 if m.meta["radial_kind"] == "analytic" else 1e-6) * naive.force_scale(result.forces)
    assert_allclose(numerical_forces(energy, atoms, which=range(2)), result.forces[:2], rtol=0, atol=tolerance)
    virial_scale = max(1.0, np.abs(result.virial).max())
    assert_allclose(numerical_virial(energy, atoms), result.virial, rtol=0, atol=tolerance * virial_scale)


@pytest.mark.parametrize("radial", ["analytic", "spline", "spline_factorised"])
@pytest.mark.parametrize("pair_envelope", ["poly1sr", "ace1_poly1sr"])
def test_three_species_with_pair_cutoffs_match_central_differences(radial, pair_envelope):
    arrays = random_model([14, 8, 1], radial=radial, pair_envelope=pair_envelope, rin=0.4, order=4)
    m = naive.NaiveModel.from_arrays(arrays)
    atoms = structures.molecule(m.elements)
    forces = naive.evaluate(m, atoms).forces
    numerical = numerical_forces(lambda a: float(naive.evaluate(m, a).energy), atoms, which=[0, 4])
    assert_allclose(numerical, forces[[0, 4]], rtol=0, atol=1e-6 * naive.force_scale(forces))


@pytest.mark.parametrize("name", sorted(structures.ALL))
def test_neighbors_match_a_plain_count_of_images(name):
    atoms = structures.ALL[name]([14, 8])
    rcut = 5.0
    i, j, S, D = naive.edges(atoms.positions, atoms.cell[:], atoms.pbc, rcut)
    assert np.all(np.linalg.norm(D, axis=1) < rcut)
    if len(atoms):
        assert_allclose(D, atoms.positions[j] + S @ atoms.cell[:] - atoms.positions[i], atol=1e-12)
        assert len({(*row,) for row in np.column_stack([i, j, S]).tolist()}) == len(i)
    # a block of copies cut out of the crystal: the central copy of each atom sees all its neighbours
    if atoms.pbc.all() and name not in ("skewed", "triclinic"):
        n = 2 * np.ceil(rcut * np.linalg.norm(np.linalg.inv(atoms.cell[:]), axis=0)).astype(int) + 3
        block = (atoms * tuple(n)).positions + 0.0
        center = atoms.positions + (n // 2) @ atoms.cell[:]
        counts = [(np.linalg.norm(block - x, axis=1) < rcut).sum() - 1 for x in center]
        assert counts == np.bincount(i, minlength=len(atoms)).tolist()


def test_structures_are_what_they_say():
    rcut = 5.5
    i, *_ = naive.edges(*(lambda a: (a.positions, a.cell[:], a.pbc))(structures.crowded([14])), rcut)
    assert np.bincount(i).min() > 1000
    dense = structures.disordered([14, 8, 1])
    *_, D = naive.edges(dense.positions, dense.cell[:], dense.pbc, rcut)
    assert 1.44 < np.linalg.norm(D, axis=1).min() < 1.55
    assert set(dense.numbers) == {14, 8, 1}
    assert len(structures.empty([14])) == 0
