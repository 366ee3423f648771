"""Keywords of `ace_model` and `ace1_model`: defaults, effects, and what is rejected."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from reference.tutorials import ti_al, tutorial

from acepair import (
    ACE1PolyEnvelope1sR,
    AgnesiTransform,
    EuclideanDegree,
    PolyEnvelope1sR,
    PolyEnvelope2sX,
    RadialEmbedding,
    ace1_model,
    ace_model,
    convert2et_full,
    convertpair,
    default_rin0cuts,
    get_linear_parameters,
    jacobi,
    legendre,
    length_basis,
)
from acepair.models.distances import bond_lengths

# ------------------------------------------------------------------------------------------------- ace_model's keywords


def test_defaults_of_ace_model():
    model = ace_model(elements=("Si", "O"), order=2, max_level=6)
    r0 = np.array([[2.4, 2.05], [2.05, 1.7]])
    assert_allclose(model.rcuts, 2.5 * r0)
    assert_allclose(model.pair_rcuts, 2.5 * r0)
    assert model.rembed.transform_of(0, 1) == AgnesiTransform(2, 2, 0, 2.05, 5.125)
    assert model.pair_rembed.transform_of(1, 1) == AgnesiTransform(1, 4, 0, 1.7, 4.25)
    assert model.rembed.envelope_of(0, 1) == PolyEnvelope2sX(2, 2)
    assert model.pair_rembed.envelope_of(0, 1) == PolyEnvelope1sR(5.125, 1)
    assert model.rembed.polynomials == legendre(9)
    assert model.pair_rembed.polynomials == legendre(9)
    assert model.pair_rembed.spec == tuple((n, 0) for n in range(1, 7))
    assert model.rembed.spec == tuple((n, l) for l in range(4) for n in range(1, 7) if n + 1.5 * l <= 6)
    assert model.yembed.kind == "solid"
    assert model.E0s == {"Si": 0, "O": 0}
    assert not get_linear_parameters(model).any()


def test_ace_model_is_reproducible():
    assert tutorial(seed=3).rembed == tutorial(seed=3).rembed != tutorial(seed=4).rembed
    assert tutorial().rembed == tutorial(seed=0).rembed
    theta = get_linear_parameters(tutorial(init_WB="glorot_normal", seed=5))
    assert len(np.unique(theta)) == 240
    assert_allclose(theta, get_linear_parameters(tutorial(init_WB="glorot_normal", seed=5)), rtol=0, atol=0)


def test_radii_of_ace_model():
    radii = [[x._replace(rcut=5.0 + x.r0) for x in row] for row in default_rin0cuts(("Si", "O"))]
    expected = [[7.4, 7.05], [7.05, 6.7]]
    assert_allclose(tutorial(rin0cuts=radii, rcut=None).rcuts, expected)
    by_pair = {("Si", "Si"): (0, 2.4, 7.4), ("O", "Si"): (0.1, 2.05, 7.05), (8, 8): {"rin": 0, "r0": 1.7, "rcut": 6.7}}
    model = tutorial(rin0cuts=by_pair, rcut=None)
    assert_allclose(model.rcuts, expected)
    assert model.rembed.transform_of(0, 1) == model.rembed.transform_of(1, 0) == AgnesiTransform(2, 2, 0.1, 2.05, 7.05)
    assert_allclose(tutorial(rcut={("Si", "Si"): 5, ("Si", "O"): 4, ("O", "O"): 3}).rcuts, [[5, 4], [4, 3]])
    assert ace_model(elements="Ar", order=2, max_level=4, rin0cuts=[[(0, 3.8, 8)]]).rcut == 8
    with pytest.raises(ValueError, match=r"bond length of Ar .* give r0"):
        ace_model(elements="Ar", order=2, max_level=4)


def test_sizes_of_ace_model():
    assert len(tutorial(maxq=12).rembed.polynomials) == 12
    assert len(tutorial(maxq_fact=2).rembed.polynomials) == 20
    assert max(n for n, _ in tutorial(maxn=4).rembed.spec) == 4
    assert max(l for _, l in tutorial(maxl=2).rembed.spec) == 2
    assert len(tutorial(max_level=[10, 8, 6]).basis) < 110
    assert len(tutorial(level=EuclideanDegree()).basis) > 110
    assert len(tutorial(pair_maxn=None).pair_rembed) == 10
    none = tutorial(pair_maxn=0)
    assert (none.pair_rembed, length_basis(none), len(convert2et_full(none).components)) == (None, 220, 2)
    with pytest.raises(ValueError, match="must have a pair part"):
        convertpair(none)
    onehot = tutorial(init_Wradial="onehot", init_Wpair="glorot_normal")
    assert set(np.unique(onehot.rembed.weights)) == {0.0, 1.0}
    assert len(np.unique(onehot.pair_rembed.weights)) == 2 * 2 * 10 * 15


# ------------------------------------------------------------------------------------------------ ace1_model's keywords


def test_defaults_of_ace1_model():
    model = ace1_model(elements=["Ti", "O"], order=2, totaldegree=5)
    r0 = np.array([[2.9, 2.3], [2.3, 1.7]])
    assert_allclose(model.rcuts, 7.25)
    for i, j in np.ndindex(2, 2):
        assert model.rembed.transform_of(i, j) == AgnesiTransform(2, 4, 0, r0[i, j], 7.25)
        assert model.pair_rembed.transform_of(i, j) == AgnesiTransform(1, 3, 0, r0[i, j], 7.25)
        assert model.pair_rembed.envelope_of(i, j) == ACE1PolyEnvelope1sR(7.25, r0[i, j], 2)
    assert model.rembed.envelope_of(0, 0) == PolyEnvelope2sX(2, 2)
    assert model.rembed.polynomials == jacobi(5, 4, 4)
    assert model.pair_rembed.polynomials == legendre(5)
    assert len(model.pair_rembed) == 10
    expected = {(n, l) for n in range(1, 11) for l in range(4) if n / 2 + 1.5 * l <= 5}
    assert set(model.rembed.spec) == expected
    assert model.yembed.kind == "spherical"
    assert model.zbl is None


def test_aliases_of_ace1_model():
    model = ace1_model(species=[22, 13], N=3, totaldegree=6, rcut=5.5, trans=("agnesi", 2, 3))
    assert model.elements == ("Ti", "Al")
    assert model.rembed.transform_of(0, 0) == AgnesiTransform(2, 3, 0, 2.9, 5.5)
    assert len(ti_al(order=None, bodyorder=4).basis) == 123
    assert (
        ti_al(Eref=None, E0s={"Ti": 1.0, "Al": 2.0}).E0s
        == tutorial(elements=("Ti", "Al"), E0s=None, Eref={"Ti": 1.0, "Al": 2.0}).E0s
    )
    with pytest.raises(TypeError, match="'N' is another name of 'order'"):
        ti_al(N=3)
    with pytest.raises(TypeError, match="contradict"):
        ti_al(bodyorder=3)


def test_distances_of_ace1_model():
    keywords = {"elements": ["Ti", "O"], "order": 2, "totaldegree": 4}
    own = ace1_model(**keywords, variable_cutoffs=True)
    assert_allclose(own.rcuts, [[7.25, 5.75], [5.75, 4.25]])
    assert_allclose(own.pair_rcuts, own.rcuts)
    assert_allclose(ace1_model(**keywords, rcut=("bondlen", 2.0)).rcuts, 5.8)
    lengths = {("Ti", "Ti"): 3.0, ("Ti", "O"): 2.0, ("O", "O"): 1.5}
    model = ace1_model(**keywords, r0=lengths, variable_cutoffs=True, pair_rcut=6.0, pair_rin=0.2, rin=0.1)
    assert_allclose(model.rcuts, [[7.5, 5.0], [5.0, 3.75]])
    assert_allclose(model.pair_rcuts, 6.0)
    assert model.rembed.transform_of(1, 0) == AgnesiTransform(2, 4, 0.1, 2.0, 5.0)
    assert model.pair_rembed.transform_of(1, 0) == AgnesiTransform(1, 3, 0.2, 2.0, 6.0)
    assert ace1_model(elements="Ar", order=2, totaldegree=4, r0=3.8).rcut == 9.5
    with pytest.raises(ValueError, match="bond length of Ar"):
        ace1_model(elements="Ar", order=2, totaldegree=4, rcut=5.0)
    with pytest.raises(ValueError, match="none for Ti-O"):
        ace1_model(**keywords, r0={("Ti", "Ti"): 3.0, ("O", "O"): 1.5})


def test_envelopes_of_ace1_model():
    assert ti_al(pair_envelope=("x", 1, 3)).pair_rembed.envelope_of(0, 0) == PolyEnvelope2sX(1, 3)
    assert ti_al(envelope=("x", 1, 3)).rembed.polynomials == jacobi(6, 6, 2)
    zbl = ti_al(ZBL=True)
    assert zbl.pair_rembed.envelope_of(0, 0) == PolyEnvelope2sX(0, 2)
    with pytest.warns(UserWarning, match="two repulsions"):
        ti_al(ZBL=True, pair_envelope=("r", 2))
    own = EnvelopeR = PolyEnvelope1sR(5.5, 3)
    assert ti_al(pair_envelope=own).pair_rembed.envelope_of(1, 0) is EnvelopeR


def test_many_body_polynomials_are_orthonormal_under_the_envelope():
    y, weights = np.polynomial.legendre.leggauss(40)
    for p1, p2 in ((2, 2), (1, 3)):
        rembed = ti_al(envelope=("x", p1, p2)).rembed
        values = rembed.polynomials(y) * rembed.envelope_of(0, 0)(y)[:, None]
        assert_allclose(values.T @ (weights[:, None] * values), np.eye(6), atol=1e-12)


def test_pair_degree_of_ace1_model():
    assert len(ti_al(pair_degree=9).pair_rembed) == 18
    assert len(ti_al(totaldegree=[8, 6.5, 4]).pair_rembed) == 16
    pair = RadialEmbedding(
        AgnesiTransform(1, 3, 0, 2.9, 5.5), PolyEnvelope1sR(5.5, 1), legendre(4), [(1, 0)], ("Ti", "Al")
    )
    assert ti_al(pair_basis=pair).pair_rembed is pair


@pytest.mark.parametrize("make", [tutorial, ti_al])
def test_unknown_keywords_name_the_nearest(make):
    with pytest.raises(TypeError, match=r"no keyword 'oder'; the nearest is 'order'"):
        make(oder=3)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ace1_model(elements="Si", order=2), "missing keyword 'totaldegree'"),
        (lambda: ace1_model(order=2, totaldegree=3), "missing keyword 'elements'"),
        (lambda: ace1_model(elements="Si", totaldegree=3), r"missing keyword 'order' \(or 'bodyorder'\)"),
        (lambda: ti_al(Totaldegree=3), "nearest is 'totaldegree'"),
        (lambda: ti_al(specie="Si"), "nearest is 'species'"),
        (lambda: ace_model(elements="Si", order=2), "max_level"),
    ],
)
def test_missing_and_unknown_keywords(make, message):
    with pytest.raises(TypeError, match=message):
        make()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: tutorial(E0s={"Si": 1.0}), "E0s must be given for Si, O, got Si"),
        (lambda: tutorial(E0s={"Si": 1.0, "O": 1.0, "H": 0.0}), "got Si, O, H"),
        (lambda: tutorial(E0s={"Si": 1.0, "O": np.nan}), "E0 of O must be finite"),
        (lambda: tutorial(elements=("Si", "Q")), "got 'Q'"),
        (lambda: tutorial(elements=()), "at least one"),
        (lambda: tutorial(elements=(14, 200)), "got 200"),
        (lambda: tutorial(rin0cuts="tight"), "got 'tight'"),
        (lambda: tutorial(rin0cuts=[[(0, 2, 5)]]), "must be 2 x 2"),
        (lambda: tutorial(rin0cuts=[[(0, 2)] * 2] * 2), r"\(rin, r0, rcut\)"),
        (lambda: tutorial(rcut=-5), "rcut=-5"),
        (lambda: tutorial(rcut=[5, 5, 5]), r"got shape \(3,\)"),
        (lambda: tutorial(rcut="far"), "got 'far'"),
        (lambda: tutorial(init_WB="ones"), "got 'ones'"),
        (lambda: tutorial(init_Wradial="ones"), "got 'ones'"),
        (lambda: tutorial(Ytype="cubic"), "got 'cubic'"),
        (lambda: tutorial(max_level=0.5), "got 0.5"),
        (lambda: tutorial(pair_transform=("agnesi", 1)), "transform must be"),
        (lambda: ti_al(rcut=("angstrom", 2)), "rcut must be"),
        (lambda: ti_al(pair_basis="chebyshev"), "got 'chebyshev'"),
        (lambda: ti_al(envelope=("z", 1, 1)), "envelope must be"),
        (lambda: ti_al(r0={"Ti": 3}), "keyed by pairs"),
        (lambda: ti_al(rcut=3, rin=3.1), "r0 must exceed rin"),
        (lambda: ti_al(Eref={"Ti": 0}), "got Ti"),
    ],
)
def test_bad_values_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("elements", ["Si", 14, ["Si"], (14,), np.array([14])])
def test_how_elements_may_be_written(elements):
    model = ace1_model(elements=elements, order=2, totaldegree=4)
    assert model.elements == ("Si",)
    assert model.numbers.tolist() == [14]


def test_bond_lengths():
    assert_allclose(bond_lengths(("Ti", "Al", "O")), [[2.9, 2.9, 2.3], [2.9, 2.9, 2.3], [2.3, 2.3, 1.7]])
