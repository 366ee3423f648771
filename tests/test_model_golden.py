"""Models beside published counts and golden files: the same functions."""

import numpy as np
import pytest
from ase.neighborlist import neighbor_list
from numpy.testing import assert_allclose
from reference.cases import golden, golden_structure, model_path
from reference.tutorials import E0, scratch, ti_al, tutorial

from acepair import (
    ETACEPotential,
    ETOneBodyPotential,
    ETPairPotential,
    StackedCalculator,
    ace1_model,
    ace_model,
    convert2et,
    convert2et_full,
    convertpair,
    length_basis,
    one_body,
    splinify,
)

# ------------------------------------------------------------------------------------------- what the tutorial prints


def test_counts_of_the_tutorial():
    model = tutorial()
    calc = convert2et_full(model)
    assert length_basis(model) == length_basis(calc) == 240
    assert length_basis(ETACEPotential(convert2et(model), 5.5)) == length_basis(convert2et(model)) == 220
    assert length_basis(ETPairPotential(convertpair(model), 5.5)) == length_basis(convertpair(model)) == 20
    kinds = [type(part) for part in calc.components]
    assert kinds == [ETOneBodyPotential, ETPairPotential, ETACEPotential]
    assert (len(model.basis.A_radial), model.basis.coupling.n_AA) == (43, 230)


def test_counts_of_the_model_from_scratch():
    layer = scratch()
    assert (len(layer.rembed), layer.rembed.n_parameters) == (30, 720)
    assert len(layer.yembed) == 25
    assert (len(layer.basis), layer.readout.n_parameters) == (6, 12)
    onebody = ETOneBodyPotential(one_body(E0))
    assert length_basis(onebody) == 0
    assert length_basis(StackedCalculator((onebody, ETACEPotential(layer, 5.5)))) == 12


def test_counts_of_the_ace1_tutorial():
    model = ti_al()
    assert length_basis(model) == 270
    assert (len(model.rembed), len(model.basis), len(model.pair_rembed)) == (30, 123, 12)
    assert length_basis(ace1_model(elements="Si", order=3, totaldegree=[20, 16, 12])) == 299 + 20


# ----------------------------------------------------------------------------------------- same functions as golden


def tutorial_with_golden_weights():
    """The tutorial's model with the random radial weights of the golden file, which lists (n, l) in the same order."""
    with np.load(model_path("sio_tutorial")) as file:
        weights = file["rnl_Wnlq"]
    assert tutorial().rembed.weights.shape == weights.shape
    return tutorial(init_Wradial=weights)


@pytest.mark.parametrize(
    ("case", "make"), [("tial_ace1", lambda: splinify(ti_al())), ("sio_tutorial", tutorial_with_golden_weights)]
)
def test_radial_functions_match_golden(case, make):
    model, ref = make(), golden(case)
    r = np.linalg.norm(ref["edge_rij"], axis=1)
    for embedding, key in ((model.rembed, "edge_R"), (model.pair_rembed, "edge_Rpair")):
        R = embedding.evaluate(r, ref["edge_zi"], ref["edge_zj"])
        assert_allclose(R, ref[key], rtol=0, atol=1e-12 * np.abs(ref[key]).max())


def site_basis(model, atoms):
    """Many-body and pair basis values (n_atoms, n_functions), straight from the definition."""
    species = np.array([model.elements.index(s) for s in atoms.symbols])
    i, j, D = neighbor_list("ijD", atoms, model.rcut)
    edges = (np.linalg.norm(D, axis=1), species[i], species[j])
    coupling = model.basis.coupling
    A = np.zeros((len(atoms), len(coupling.A_spec)))
    R, Y = model.rembed.evaluate(*edges), model.yembed.evaluate(D)
    np.add.at(A, i, R[:, model.basis.A_radial] * Y[:, model.basis.A_angular])
    AA = np.concatenate([A[:, rows].prod(axis=2) for rows in coupling.products], axis=1)
    pair = np.zeros((len(atoms), len(model.pair_rembed)))
    np.add.at(pair, i, model.pair_rembed.evaluate(*edges))
    return AA @ coupling.A2B.to_dense(coupling.n_AA).T, pair


def golden_factors(case, radial_spec):
    """Sorted (n, l) of each golden function, from its first product."""
    with np.load(model_path(case)) as m:
        orders = [key for key in m.files if key.startswith("aa_spec_")]
        products = [m["aspec_r"][row] for key in sorted(orders) for row in m[key]]
        first = {int(row): int(col) for row, col in zip(m["A2B_rows"][::-1], m["A2B_cols"][::-1], strict=True)}
    return [tuple(sorted(radial_spec[r] for r in products[first[k]])) for k in range(len(first))]


def squares_by_factors(B, factors):
    """Σ B² over the functions with the same factors: these are defined up to a rotation."""
    total = {}
    for column, key in zip(B.T, factors, strict=True):
        total[key] = total.get(key, 0) + column**2
    return total


def si(**changes):
    """Legendre onehot radials of `ace_model` with ace1_model's choice of functions."""
    return ace_model(**{"elements": "Si", "rcut": 5.5, "init_Wradial": "onehot"} | changes)


@pytest.mark.parametrize(
    ("case", "make"),
    [
        ("tial_ace1", lambda: splinify(ti_al())),
        ("sio_tutorial", tutorial_with_golden_weights),
        ("si_order4", lambda: si(order=4, max_level=12)),
        ("si_zuo_small", lambda: si(order=3, max_level=[20, 16, 12], pair_maxn=25)),
    ],
)
def test_basis_matches_golden(case, make):
    model, ref = make(), golden(case)
    B, pair = site_basis(model, golden_structure(case, 0))
    ours = squares_by_factors(B, [tuple(sorted(nl)) for nl in model.basis.coupling.mb_spec_of_B])
    theirs = squares_by_factors(ref["0_B"], golden_factors(case, model.rembed.spec))
    assert ours.keys() == theirs.keys()
    assert B.shape == ref["0_B"].shape
    scale = max(value.max() for value in theirs.values())
    for key, value in theirs.items():
        assert_allclose(ours[key], value, rtol=1e-9, atol=1e-12 * scale)
    assert_allclose(pair, ref["0_Bpair"], rtol=0, atol=1e-11 * np.abs(ref["0_Bpair"]).max())
