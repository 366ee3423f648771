"""ZBL: the universal potential at short range, and how it ends."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from reference.tutorials import ti_al, tutorial

from acepair import (
    ZBLPotential,
    ace_model,
    length_basis,
)
from acepair.models.zbl import AMPLITUDES, COULOMB


def universal(r, Zi, Zj):
    """Screened repulsion with the constants as published, written out anew."""
    a = 0.8854 * 0.52917721 / (Zi**0.23 + Zj**0.23)
    x = r / a
    phi = 0.1818 * np.exp(-3.2 * x) + 0.5099 * np.exp(-0.9423 * x) + 0.2802 * np.exp(-0.4028 * x)
    return 14.399645 * Zi * Zj / r * (phi + 0.02817 * np.exp(-0.2016 * x))


def test_zbl_is_the_universal_potential_at_short_range():
    zbl = ZBLPotential(("Si", "O"), 15.0)
    r = np.array([0.05, 0.1, 0.3, 0.8, 1.5, 2.5])
    for i, j in np.ndindex(2, 2):
        assert_allclose(2 * zbl.evaluate(r, i, j), universal(r, *zbl.numbers[[i, j]]), rtol=2e-3)
    assert AMPLITUDES.sum() == pytest.approx(1, abs=1e-12)
    assert 2 * 1e-6 * zbl.evaluate(1e-6, 0, 1) == pytest.approx(COULOMB * 14 * 8, rel=1e-4)


def test_zbl_differs_from_the_universal_potential_by_a_parabola():
    r = np.linspace(0.5, 3.9, 30)
    difference = 2 * (ZBLPotential("Si", 15.0).evaluate(r, 0, 0) - ZBLPotential("Si", 4.0).evaluate(r, 0, 0))
    parabola = np.polynomial.Polynomial.fit(r, difference, 2)
    assert_allclose(parabola(r), difference, rtol=0, atol=1e-10)
    slopes = [universal(4.0 + h, 14, 14) for h in (-0.01, 0.0, 0.01)]
    assert parabola(4.0) == pytest.approx(slopes[1], rel=5e-3)
    assert parabola.deriv(1)(4.0) == pytest.approx((slopes[2] - slopes[0]) / 0.02, rel=5e-3)
    assert parabola.deriv(2)(4.0) == pytest.approx((slopes[2] - 2 * slopes[1] + slopes[0]) / 1e-4, rel=5e-3)


@pytest.mark.parametrize("rcut", [1.0, 3.0, 6.0])
def test_zbl_ends_smoothly_and_repels(rcut):
    zbl = ZBLPotential(("W", "H"), rcut)
    r = np.linspace(0.05, rcut - 1e-3, 500)
    for i, j in np.ndindex(2, 2):
        V, dV = zbl.evaluate(r, i, j), zbl.derivative(r, i, j)
        assert (V > 0).all()
        assert (dV < 0).all()
        assert (np.diff(dV) > 0).all()
        near = rcut - np.array([1e-3, 2e-3])
        values = zbl.evaluate(near, i, j)
        assert values[1] / values[0] == pytest.approx(8, rel=0.05)  # third order in the distance from the cutoff
        outside = np.array([rcut, rcut + 1e-9, 10 * rcut])
        assert not zbl.evaluate(outside, i, j).any()
        assert not zbl.derivative(outside, i, j).any()
        assert_allclose(zbl.evaluate(r, i, j), zbl.evaluate(r, j, i), rtol=1e-13)


def test_zbl_derivative():
    rcuts = [[5.0, 4.0], [4.0, 3.0]]
    zbl, rng = ZBLPotential(("Si", "O"), rcuts), np.random.default_rng(0)
    r, zi, zj = rng.uniform(0.3, 5.5, 100), rng.integers(0, 2, 100), rng.integers(0, 2, 100)
    h = 1e-6
    numerical = (zbl.evaluate(r + h, zi, zj) - zbl.evaluate(r - h, zi, zj)) / (2 * h)
    assert_allclose(zbl.derivative(r, zi, zj), numerical, rtol=1e-6, atol=1e-7)


def test_zbl_joins_the_stack():
    for model in (tutorial(ZBL=True), ti_al(ZBL=True)):
        calc = model.to_calculator()
        assert isinstance(calc.components[-1], ZBLPotential)
        assert calc.components[-1].rcut == 5.5
        assert length_basis(calc) == length_basis(model)
    own = ace_model(elements=("Si", "O"), order=2, max_level=4, ZBL=True)
    assert own.zbl.rcut == own.rcut == 6.0
