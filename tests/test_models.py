"""Model components, parameters, the models' declarations: published counts, golden files, and what is rejected."""

import copy
import pickle
import subprocess
import sys

import numpy as np
import pytest
from ase.calculators.lj import LennardJones
from ase.neighborlist import neighbor_list
from numpy.testing import assert_allclose
from reference.cases import golden, golden_structure, model_path

import acepair
from acepair import (
    ETACE,
    ACE1PolyEnvelope1sR,
    ACEModel,
    AgnesiTransform,
    AngularEmbedding,
    ETACEPotential,
    ETOneBody,
    ETOneBodyPotential,
    ETPairModel,
    ETPairPotential,
    EuclideanDegree,
    PolyEnvelope1sR,
    PolyEnvelope2sX,
    RadialEmbedding,
    SelectLinear,
    SparseACEBasis,
    SplineTable,
    StackedCalculator,
    TotalDegree,
    ZBLPotential,
    ace1_model,
    ace_model,
    chebyshev,
    convert2et,
    convert2et_full,
    convertpair,
    default_rin0cuts,
    get_linear_parameters,
    jacobi,
    legendre,
    length_basis,
    one_body,
    set_linear_parameters,
    splinify,
)
from acepair.models.distances import bond_lengths
from acepair.models.zbl import AMPLITUDES, COULOMB

E0 = {"Si": -0.846, "O": -1.023}


def tutorial(**changes):
    keywords = {"elements": ("Si", "O"), "order": 3, "Ytype": "solid", "level": TotalDegree(), "max_level": 10}
    keywords |= {"maxl": 6, "pair_maxn": 10, "rcut": 5.5, "E0s": E0, "pair_learnable": True}
    return ace_model(**keywords | changes)


def ti_al(**changes):
    keywords = {"elements": ("Ti", "Al"), "order": 3, "totaldegree": 6, "rcut": 5.5}
    return ace1_model(**keywords | {"Eref": {"Ti": -1586.0195, "Al": -105.5954}} | changes)


def scratch():
    """Layers of the tutorial's model from scratch."""
    spec = [(n, l) for n in range(1, 7) for l in range(5)]
    rembed = RadialEmbedding(lambda r: 1 - 2 * r / 5.5, lambda y: (1 - y**2) ** 2, chebyshev(6), spec, ("Si", "O"))
    basis = SparseACEBasis([[nl] for nl in spec], spec, 4)
    return ETACE(rembed, AngularEmbedding(4, "spherical"), basis, SelectLinear(len(basis), ("Si", "O")))


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


def with_golden_weights(model):
    """The tutorial's model with the random radial weights of the golden file, which lists (n, l) in the same order."""
    with np.load(model_path("sio_tutorial")) as file:
        weights = file["rnl_Wnlq"]
    assert model.rembed.weights.shape == weights.shape
    return tutorial(init_Wradial=weights)


@pytest.mark.parametrize(("case", "make"), [("tial_ace1", lambda: splinify(ti_al())), ("sio_tutorial", tutorial)])
def test_radial_functions_match_golden(case, make):
    model, ref = make(), golden(case)
    r = np.linalg.norm(ref["edge_rij"], axis=1)
    model = with_golden_weights(model) if case == "sio_tutorial" else model
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
        ("sio_tutorial", tutorial),
        ("si_order4", lambda: si(order=4, max_level=12)),
        ("si_zuo_small", lambda: si(order=3, max_level=[20, 16, 12], pair_maxn=25)),
    ],
)
def test_basis_matches_golden(case, make):
    model, ref = make(), golden(case)
    if case == "sio_tutorial":
        model = with_golden_weights(model)
    B, pair = site_basis(model, golden_structure(case, 0))
    ours = squares_by_factors(B, [tuple(sorted(nl)) for nl in model.basis.coupling.mb_spec_of_B])
    theirs = squares_by_factors(ref["0_B"], golden_factors(case, model.rembed.spec))
    assert ours.keys() == theirs.keys()
    assert B.shape == ref["0_B"].shape
    scale = max(value.max() for value in theirs.values())
    for key, value in theirs.items():
        assert_allclose(ours[key], value, rtol=1e-9, atol=1e-12 * scale)
    assert_allclose(pair, ref["0_Bpair"], rtol=0, atol=1e-11 * np.abs(ref["0_Bpair"]).max())


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


# ------------------------------------------------------------------------------------------------------ parameters


def test_order_of_parameters():
    model = tutorial()
    theta = np.arange(240.0)
    assert set_linear_parameters(model, theta) is model
    assert_allclose(get_linear_parameters(model), theta)
    assert model.readout.weights[3, 1] == 110 + 3  # many-body of all species first
    assert model.pair_readout.weights[3, 1] == 220 + 10 + 3
    calc = convert2et_full(model)
    assert_allclose(get_linear_parameters(calc), np.concatenate([theta[220:], theta[:220]]))
    assert_allclose(get_linear_parameters(convert2et(model)), theta[:220])
    assert_allclose(get_linear_parameters(calc.components[1]), theta[220:])


def test_parameters_are_copied_by_conversion():
    model = set_linear_parameters(tutorial(), np.arange(240.0))
    calc, layer, pair, splined = convert2et_full(model), convert2et(model), convertpair(model), splinify(model)
    set_linear_parameters(model, np.zeros(240))
    assert get_linear_parameters(calc).sum() == get_linear_parameters(splined).sum() == 239 * 120
    assert get_linear_parameters(layer).any()
    assert get_linear_parameters(pair).any()
    set_linear_parameters(calc, np.ones(240))
    assert not get_linear_parameters(model).any()


def test_wrong_parameters_are_rejected():
    model = tutorial()
    for bad in (np.zeros(239), np.zeros((240, 1)), 1.0):
        with pytest.raises(ValueError, match=r"length 240, got shape"):
            set_linear_parameters(model, bad)
    theta = np.ones(240)
    theta[230] = np.nan
    with pytest.raises(ValueError, match="got nan at index 230"):
        set_linear_parameters(model, theta)
    assert not get_linear_parameters(model).any()
    with pytest.raises(TypeError, match="LennardJones has no linear parameters"):
        length_basis(LennardJones())


def test_readout():
    readout = SelectLinear(400, ("Si", "O"), seed=3)
    assert readout.weights.std() == pytest.approx(np.sqrt(2 / 401), rel=0.1)
    assert_allclose(readout.weights, SelectLinear(400, ["Si", 8], seed=3).weights)
    version, before = readout.version, readout.weights
    readout.set_weights(np.zeros((400, 2)))
    assert readout.version == version + 1
    assert before.any()
    assert not readout.weights.any()
    with pytest.raises(ValueError, match="read-only"):
        readout.weights[0, 0] = 1
    with pytest.raises(ValueError, match=r"\(400, 2\), got \(2, 400\)"):
        readout.set_weights(np.zeros((2, 400)))
    with pytest.raises(ValueError, match="finite, got inf"):
        readout.set_weights(np.full((400, 2), np.inf))
    with pytest.raises(ValueError, match="at least 1, got 0"):
        SelectLinear(0, "Si")


# ------------------------------------------------------------------------------------------------------ components


def test_one_body():
    layer = ETOneBody({14: -0.846, "O": -1.023})
    assert (layer.elements, layer.E0) == (("Si", "O"), E0)
    assert_allclose(layer.energies, [-0.846, -1.023])
    assert layer == one_body(E0)
    potential = ETOneBodyPotential(layer)
    assert potential.rcut == 0
    assert potential.rcuts.shape == (2, 2)
    with pytest.raises(ValueError, match="Si twice"):
        ETOneBody({14: 0.0, "Si": 1.0})
    with pytest.raises(ValueError, match="at least one element"):
        ETOneBody({})
    with pytest.raises(TypeError, match="ETOneBody, got dict"):
        ETOneBodyPotential(E0)


def test_cutoffs_of_potentials():
    layer = convertpair(tutorial())
    assert ETPairPotential(layer, 5.5).rcuts.tolist() == [[5.5, 5.5], [5.5, 5.5]]
    potential = ETPairPotential(layer, [[5, 4], [4, 6]])
    assert potential.rcut == 6
    assert potential.elements == ("Si", "O")
    assert potential.numbers.tolist() == [14, 8]
    for bad in (0, np.inf, [[1, 2, 3]], [5, 6]):
        with pytest.raises(ValueError, match="rcut must be"):
            ETPairPotential(layer, bad)
    with pytest.raises(TypeError, match="ETPairModel, got ETACE"):
        ETPairPotential(scratch(), 5.5)
    with pytest.raises(TypeError, match="ETACE, got ETPairModel"):
        ETACEPotential(layer, 5.5)


def test_layers_check_their_parts():
    layer = scratch()
    parts = (layer.rembed, layer.yembed, layer.basis)
    with pytest.raises(ValueError, match="same elements in the same order, got rembed: Si, O; readout: O, Si"):
        ETACE(*parts, SelectLinear(6, ("O", "Si")))
    with pytest.raises(ValueError, match="6 functions as the basis, got 7"):
        ETACE(*parts, SelectLinear(7, ("Si", "O")))
    with pytest.raises(ValueError, match=r"\(n, l\) list of rembed"):
        ETACE(convert2et(tutorial()).rembed, *parts[1:], layer.readout)
    model = tutorial()
    with pytest.raises(ValueError, match="at least the basis' 2, got 1"):
        ETACE(model.rembed, AngularEmbedding(1, "solid"), model.basis, model.readout)
    with pytest.raises(ValueError, match="30 functions as the basis, got 6"):
        ETPairModel(layer.rembed, layer.readout)


def test_stack():
    onebody, pair, ace = convert2et_full(tutorial(rcut={("Si", "Si"): 5, ("Si", "O"): 4, ("O", "O"): 3})).components
    stack = StackedCalculator([onebody, StackedCalculator([pair, ace])])
    assert stack.components == (onebody, pair, ace)
    assert_allclose(stack.rcuts, [[5, 4], [4, 3]])
    lj = LennardJones()
    mixed = StackedCalculator((lj, ace))
    assert (mixed.ase_calculators, mixed.potentials) == ((lj,), (ace,))
    assert (length_basis(mixed), mixed.rcut) == (220, 5)
    swapped = ETOneBodyPotential(ETOneBody({"O": 0.0, "H": 0.0, "Si": 1.0}))
    assert StackedCalculator([swapped, ace]).elements == ("O", "Si")
    assert_allclose(StackedCalculator([swapped, ace]).rcuts, [[3, 4], [4, 5]])
    for bad in (ace.layer, E0, None, "ace"):
        with pytest.raises(TypeError, match=f"ASE calculator, got {type(bad).__name__}"):
            StackedCalculator([ace, bad])
    with pytest.raises(TypeError, match="sequence of potentials, got one"):
        StackedCalculator(ace)
    with pytest.raises(ValueError, match="at least one potential"):
        StackedCalculator([lj])
    with pytest.raises(ValueError, match="element in common"):
        StackedCalculator([ace, ETOneBodyPotential(ETOneBody({"H": 0.0}))])


def test_model_checks_its_parts():
    model = tutorial()
    parts = (model.rembed, model.yembed, model.basis, model.readout)
    minimal = ACEModel(*parts, rcuts=5.5)
    assert (minimal.rcut, minimal.pair_rembed, length_basis(minimal)) == (5.5, None, 220)
    with pytest.raises(ValueError, match="given together"):
        ACEModel(*parts, rcuts=5.5, pair_rembed=model.pair_rembed)
    with pytest.raises(ValueError, match="zbl part must have the elements Si, O, got Si"):
        ACEModel(*parts, rcuts=5.5, zbl=ZBLPotential("Si", 5.0))
    assert "110 many-body and 10 pair functions per species" in repr(model)


# --------------------------------------------------------------------------------------------------------- splinify


def test_splinify():
    model = tutorial()
    for spline, n in ((splinify(convert2et(model)), 51), (splinify(convertpair(model)), 31)):
        assert isinstance(spline.rembed.polynomials, SplineTable)
        assert spline.rembed.polynomials.n_nodes == n
    both = splinify(model)
    assert both.rembed.polynomials.n_nodes == both.pair_rembed.polynomials.n_nodes == 100
    assert splinify(model, 20).rembed.polynomials.n_nodes == 21
    stack = splinify(convert2et_full(model))
    assert [type(part) for part in stack.components] == [ETOneBodyPotential, ETPairPotential, ETACEPotential]
    assert [part.layer.rembed.polynomials.n_nodes for part in stack.components[1:]] == [31, 51]
    assert_allclose(stack.rcuts, 5.5)
    with pytest.raises(TypeError, match="got dict"):
        splinify({})


# ---------------------------------------------------------------------------------------------------------------- ZBL


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


# ------------------------------------------------------------------------------------------------- copies and imports


@pytest.mark.parametrize(
    "make", [tutorial, lambda: ti_al(ZBL=True), lambda: splinify(ti_al()), lambda: convert2et_full(tutorial())]
)
@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_pickle_and_deepcopy(make, duplicate):
    model = make()
    n = length_basis(model)
    set_linear_parameters(model, np.arange(float(n)))
    other = duplicate(model)
    assert type(other) is type(model)
    assert repr(other) == repr(model)
    assert other.elements == model.elements
    assert_allclose(get_linear_parameters(other), np.arange(float(n)))
    set_linear_parameters(other, np.zeros(n))
    assert get_linear_parameters(model).any()
    with pytest.raises(ValueError, match="read-only"):
        other.readouts[0].weights[0, 0] = 1


def test_public_names_resolve():
    import importlib.util

    for name, module in acepair._MODULE_OF.items():
        if importlib.util.find_spec(f"acepair.{module}"):
            assert getattr(acepair, name).__name__ == name
    assert set(acepair.__all__) <= set(dir(acepair))
    with pytest.raises(AttributeError, match="no attribute 'ase_model'"):
        acepair.ase_model  # noqa: B018


def test_building_models_imports_nothing_heavy():
    code = (
        "import sys, acepair\n"
        "assert not [m for m in sys.modules if m.startswith('acepair.')], 'import acepair must load no module'\n"
        "acepair.ace1_model(elements='Si', order=3, totaldegree=6).to_calculator()\n"
        "heavy = ('scipy', 'ase.build', 'ase.neighborlist', 'cupy', 'lammps', 'matplotlib')\n"
        "print([m for m in sys.modules if m.startswith(heavy)])\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
