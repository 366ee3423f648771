"""Envelopes and transforms at their edges: what Python says of radial functions is what the kernels evaluate."""

import numpy as np
import pytest
from ase import Atoms
from scipy.special import eval_legendre

from acepair import (
    ETACE,
    AgnesiTransform,
    AngularEmbedding,
    ETACEPotential,
    ETPairModel,
    ETPairPotential,
    PolyEnvelope1sR,
    PolyEnvelope2sX,
    RadialEmbedding,
    SelectLinear,
    SparseACEBasis,
    ace1_model,
    convert2et_full,
    energy_forces_virial,
    energy_forces_virial_basis,
    legendre,
    length_basis,
    load_model,
    potential_energy,
    save_model,
    set_linear_parameters,
    site_basis,
)
from acepair.evaluate import Evaluator

RCUT = 5.0


def pair_energy(rembed, r):
    """Energy of a dimer from NumPy's values of the functions, all weights one."""
    return 2 * rembed.evaluate(r, 0, 0).sum()


@pytest.mark.parametrize("r", [0.7, 1.2, 1.499999, 1.5, 1.500001, 2.0, 4.9])
def test_envelope_without_zero_at_rin(r):
    model = ace1_model(elements=["Si"], order=2, totaldegree=4, rcut=RCUT, rin=1.5, pair_envelope=("x", 0, 2))
    stack = convert2et_full(model)
    set_linear_parameters(stack, np.append(np.ones(4), np.zeros(length_basis(stack) - 4)))
    dimer = Atoms("Si2", positions=[[0, 0, 0], [0, 0, r]])
    assert potential_energy(dimer, stack) == pytest.approx(pair_energy(model.pair_rembed, r), rel=1e-12)


def test_subclass_of_a_built_in_envelope_is_evaluated_as_it_is():
    class Squared(PolyEnvelope2sX):
        def __call__(self, y):
            return super().__call__(y) ** 2

    rembed = RadialEmbedding(lambda r: 2 * r / RCUT - 1, Squared(), legendre(3), [(1, 0), (2, 0), (3, 0)], ["Si"])
    potential = ETPairPotential(ETPairModel(rembed, SelectLinear(3, ["Si"], np.ones((3, 1)))), RCUT)
    dimer = Atoms("Si2", positions=[[0, 0, 0], [0, 0, 2.3]])
    assert potential_energy(dimer, potential) == pytest.approx(pair_energy(rembed, 2.3), rel=1e-11)


def test_potential_as_ase_calculator_says_what_to_do():
    dimer = Atoms("Si2", positions=[[0, 0, 0], [0, 0, 2.3]])
    dimer.calc = convert2et_full(ace1_model(elements=["Si"], order=2, totaldegree=4))
    with pytest.raises(AttributeError, match=r"StackedCalculator is no ASE calculator; wrap it: atoms.calc = ACECalc"):
        dimer.get_potential_energy()


def test_radial_weights_of_zero(tmp_path):
    rembed = RadialEmbedding(
        AgnesiTransform(2, 2, 0, 2.4, RCUT), PolyEnvelope2sX(), legendre(3), [(1, 0), (2, 0)], ["Si"],
        weights=np.zeros((1, 1, 2, 3)),
    )  # fmt: skip
    basis = SparseACEBasis([[(1, 0)], [(1, 0), (2, 0)]], rembed.spec, 0)
    pair = ETPairPotential(ETPairModel(rembed, SelectLinear(2, ["Si"])), RCUT)
    ace = ETACEPotential(ETACE(rembed, AngularEmbedding(0, "solid"), basis, SelectLinear(2, ["Si"])), RCUT)
    dimer = Atoms("Si2", positions=[[0, 0, 0], [0, 0, 2.3]])
    for potential in (pair, ace):
        save_model(potential, tmp_path / "zero.acepair")
        for model in (potential, load_model(tmp_path / "zero.acepair")):
            assert potential_energy(dimer, model) == 0
            assert not energy_forces_virial(dimer, model).forces.any()
            assert not energy_forces_virial_basis(dimer, model).forces.any()


def test_site_virials_alone():
    model = ace1_model(elements=["Si"], order=2, totaldegree=4)
    set_linear_parameters(model, np.ones(length_basis(model)))
    dimer = Atoms("Si2", positions=[[0, 0, 0], [0, 0, 2.3]])
    alone = Evaluator(model).evaluate(dimer, gradients=False, site_virials=True)
    assert alone.forces is None
    np.testing.assert_array_equal(alone.site_virials, Evaluator(model).evaluate(dimer, site_virials=True).site_virials)
    assert alone.site_virials.any()


@pytest.mark.parametrize("l", [7, 30, 95])
def test_large_angular_momentum(l):
    rembed = RadialEmbedding(
        AgnesiTransform(2, 2, 0, 2.4, RCUT), PolyEnvelope2sX(), legendre(2), [(1, l)], ["Si"],
    )  # fmt: skip
    basis = SparseACEBasis([[(1, l), (1, l)]], rembed.spec, l)
    readout = SelectLinear(1, ["Si"], np.ones((1, 1)))
    layer = ETACE(rembed, AngularEmbedding(l, "spherical"), basis, readout)
    trimer = Atoms("Si3", positions=[[0, 0, 0], [0.3, 0.5, 2.3], [2.1, 0.2, -0.7]])
    D, z = trimer.positions[[1, 2]], [0, 0]
    R = rembed.evaluate(np.linalg.norm(D, axis=1), z, z)[:, 0]
    # B = c Σ_m A_lm² = c (2l + 1)/4π Σ_jk R_j R_k P_l(cos θ_jk)
    c = basis.coupling.A2B.data
    np.testing.assert_allclose(c, c[0], rtol=1e-12)
    cosine = D @ D.T / np.linalg.norm(D, axis=1)[:, None] / np.linalg.norm(D, axis=1)
    expected = (2 * l + 1) / (4 * np.pi) * (R @ eval_legendre(l, cosine) @ R)
    assert site_basis(trimer, ETACEPotential(layer, RCUT))[0, 0] == pytest.approx(c[0] * expected, rel=1e-10)


@pytest.mark.parametrize("r", [3.9, 3.999999, 4.0, 4.000001, 4.5, 4.99, 5.01])
def test_transform_that_ends_before_the_envelope(r):
    rembed = RadialEmbedding(
        AgnesiTransform(1, 3, 0, 2.2, 4.0), PolyEnvelope1sR(RCUT, 2), legendre(3), [(1, 0), (2, 0), (3, 0)], ["Si"],
    )  # fmt: skip
    assert rembed.rcut[0, 0] == RCUT
    potential = ETPairPotential(ETPairModel(rembed, SelectLinear(3, ["Si"], np.ones((3, 1)))), RCUT)
    dimer = Atoms("Si2", positions=[[0, 0, 0], [0, 0, r]])
    result = energy_forces_virial(dimer, potential)
    assert result.energy == pytest.approx(pair_energy(rembed, r), rel=1e-12, abs=1e-15)
    assert result.forces[1, 2] == pytest.approx(-2 * rembed.derivative(r, 0, 0).sum(), rel=1e-12, abs=1e-15)


def test_virial_rows_of_functions_that_rotation_changes():
    rng = np.random.default_rng(2)
    spec = [(1, 1), (2, 1)]
    rembed = RadialEmbedding(AgnesiTransform(2, 2, 0, 2.4, RCUT), PolyEnvelope2sX(), legendre(3), spec, ["Si"])
    products = [np.zeros((0, 1), int), np.array([[0, 4], [1, 3], [2, 5]])]
    A2B = (np.array([0, 3]), np.arange(3), rng.normal(size=3))
    basis = SparseACEBasis.from_arrays([0, 0, 0, 1, 1, 1], [1, 2, 3, 1, 2, 3], products, A2B, spec)
    layer = ETACE(rembed, AngularEmbedding(1, "solid"), basis, SelectLinear(1, ["Si"], np.ones((1, 1))))
    potential = ETACEPotential(layer, RCUT)
    cluster = Atoms("Si4", positions=rng.normal(size=(4, 3)) * 1.5)
    virial = energy_forces_virial(cluster, potential).virial
    assert abs(virial - virial.T).max() > 1e-3 * abs(virial).max()
    rows = energy_forces_virial_basis(cluster, potential).virial[:, :, 0]
    np.testing.assert_allclose(rows, virial, rtol=0, atol=1e-13 * abs(virial).max())
