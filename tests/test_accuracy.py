"""How exact energies and forces are: against extended precision, not against another double-precision code."""

from functools import cache

import numpy as np
import pytest
from numpy.testing import assert_allclose
from reference import naive, structures
from reference.cases import CASES, STRUCTURES, golden_structure, model_path, naive_model

import acepair
from acepair.io import read_acejax

pytestmark = pytest.mark.skipif(
    np.finfo(np.longdouble).eps > 1e-18, reason="long double is no more than double on this machine"
)
TOLERANCE = 1e-12  #: of max|F|, Σ|E_i| and the largest edge's virial; the files' own tables are exact, too


@cache
def interacting(case):
    """The model without its one-body part, whose large constants would hide digits of the rest."""
    return acepair.StackedCalculator(read_acejax(model_path(case)).components[1:])


def check(case, atoms):
    model = naive_model(case, np.longdouble)
    exact = naive.evaluate(model, atoms)
    result = acepair.energy_forces_virial(atoms, interacting(case))
    forces = exact.forces.astype(float)
    assert_allclose(result.forces, forces, rtol=0, atol=TOLERANCE * np.abs(forces).max())
    energies = (exact.site_energies - exact.E0).astype(float)
    assert abs(result.energy - energies.sum()) < TOLERANCE * np.abs(energies).sum()
    virial_scale = (np.linalg.norm(exact.D, axis=1) * np.linalg.norm(exact.site_grads, axis=1)).astype(float)
    assert_allclose(result.virial, exact.virial.astype(float), rtol=0, atol=TOLERANCE * virial_scale.max())


@pytest.mark.parametrize(("case", "k"), [(case, k) for case, k in STRUCTURES if len(golden_structure(case, k)) < 20])
def test_golden_structures(case, k):
    check(case, golden_structure(case, k))


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("build", [structures.triclinic, structures.axes, structures.disordered])
def test_special_structures(case, build):
    check(case, build(naive_model(case).elements))
