"""Radial embedding against golden values, loops written from the formula, and central differences."""

import copy
import json
import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose
from reference.cases import CASES, golden, model_path
from scipy import interpolate, special

from acepair.basis.polynomials import Polynomials, SplineTable, chebyshev, jacobi, legendre
from acepair.basis.radial import RadialEmbedding
from acepair.basis.registry import from_dict, to_dict
from acepair.basis.transforms import (
    ACE1PolyEnvelope1sR,
    AgnesiTransform,
    EnvelopeOfR,
    PolyEnvelope1sR,
    PolyEnvelope2sX,
)

SPEC = [(n, l) for l in range(3) for n in range(1, 5)]


def golden_embedding(case, key):
    """Embedding "rnl" or "pair" of a golden file, made from its arrays."""
    with np.load(model_path(case)) as file:
        m = {name: file[name] for name in file.files}
    meta = json.loads(bytes(m["meta_json"]))
    elements, pairs = [int(z) for z in m["elements"]], range(len(m["elements"]))
    table = m[f"{key}_transform"]
    transform = [
        [AgnesiTransform(*table[i, j, [0, 1, 3, 4]].tolist(), rcut=meta["rcut"]) for j in pairs] for i in pairs
    ]
    kind = {1: None, 2: PolyEnvelope1sR, 3: ACE1PolyEnvelope1sR, 5: None}[m[f"{key}_envelope"].shape[2]]
    envelope = [[kind(*m[f"{key}_envelope"][i, j]) if kind else PolyEnvelope2sX() for j in pairs] for i in pairs]
    if "rnl_spline_coefs_single" in m:
        single = m["rnl_spline_coefs_single"][:, m["rnl_emb_nidx"]]
        m["rnl_spline_coefs"] = np.array([[single * w[m["rnl_emb_kidx"]] for w in m["rnl_embedding"]] for _ in pairs])
    weights = m.get(f"{key}_Wnlq")
    if weights is None:
        grid = meta[f"{key}_spline"]
        polynomials = SplineTable(grid["x0"], grid["h"], m[f"{key}_spline_coefs"])
    else:
        prefix = "pair_polys" if key == "pair" else "polys"
        polynomials = Polynomials(*(m[f"{prefix}_{name}"] for name in "ABC"))
    n = len(polynomials) if weights is None else weights.shape[2]
    return RadialEmbedding(transform, envelope, polynomials, [(k + 1, 0) for k in range(n)], elements, weights=weights)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(("key", "values"), [("rnl", "edge_R"), ("pair", "edge_Rpair")])
def test_golden(case, key, values):
    ref = golden(case)
    r = np.linalg.norm(ref["edge_rij"], axis=1)
    R = golden_embedding(case, key).evaluate(r, ref["edge_zi"], ref["edge_zj"])
    assert_allclose(R, ref[values], rtol=0, atol=1e-12 * np.abs(ref[values]).max())


def embedding(weights="glorot_normal", **kwargs):
    transform = [[AgnesiTransform(2, 4, 0, r0, 5.5) for r0 in row] for row in ([2.4, 2.0], [2.1, 1.7])]
    return RadialEmbedding(transform, PolyEnvelope2sX(), jacobi(6, 4, 4), SPEC, ("Si", "O"), weights=weights, **kwargs)


def repulsive():
    envelope = [[ACE1PolyEnvelope1sR(rc, 2.0, 2) for rc in row] for row in ([5.5, 5.0], [5.0, 4.5])]
    transform = AgnesiTransform(1, 3, 0, 2.0, 5.5)
    return RadialEmbedding(transform, envelope, legendre(6), SPEC, ("Si", "O"), seed=3)


def edges(n=60):
    rng = np.random.default_rng(5)
    return rng.uniform(0.8, 5.6, n), rng.integers(0, 2, n), rng.integers(0, 2, n)


def test_formula():
    R_nl, (r, zi, zj) = embedding(), edges()
    R = R_nl.evaluate(r, zi, zj)
    for e in range(len(r)):
        y = float(R_nl.transform[zi[e]][zj[e]](r[e]))
        nodes, quadrature = special.roots_jacobi(12, 4, 4)
        P = [special.eval_jacobi(q, 4, 4, y) for q in range(6)]
        P = [p / np.sqrt(quadrature @ special.eval_jacobi(q, 4, 4, nodes) ** 2) for q, p in enumerate(P)]
        expected = (1 - y**2) ** 2 * (R_nl.weights[zi[e], zj[e]] @ P)
        assert_allclose(R[e], expected, rtol=1e-11, atol=1e-13)


def test_onehot_lets_a_function_see_one_species():
    R_nl, (r, zi, zj) = embedding("onehot"), edges()
    R = R_nl.evaluate(r, zi, zj)
    for k, (n, _) in enumerate(SPEC):
        q, z = divmod(n - 1, 2)
        y = np.array([R_nl.transform[a][b](x) for x, a, b in zip(r, zi, zj, strict=True)])
        assert_allclose(R[:, k], np.where(zj == z, (1 - y**2) ** 2 * R_nl.polynomials(y)[:, q], 0), atol=1e-14)


def test_onehot_needs_enough_polynomials():
    with pytest.raises(ValueError, match="n = 7 need at least 4 polynomials, got 3"):
        RadialEmbedding(np.cos, np.cos, legendre(3), [(1, 0), (7, 0)], ("Si", "O"), weights="onehot")


def test_glorot_weights():
    spec = [(n, 0) for n in range(1, 61)]
    R_nl = RadialEmbedding(np.cos, np.cos, legendre(40), spec, ("Si", "O"), seed=7)
    assert R_nl.weights.shape == (2, 2, 60, 40)
    assert R_nl.weights.std() == pytest.approx(np.sqrt(2 / 100), rel=0.03)
    assert abs(R_nl.weights.mean()) < 0.01
    again = RadialEmbedding(np.cos, np.cos, legendre(40), spec, ("Si", "O"), seed=7)
    assert again == R_nl
    assert RadialEmbedding(np.cos, np.cos, legendre(40), spec, ("Si", "O"), seed=8) != R_nl
    assert embedding() == embedding(seed=0)


@pytest.mark.parametrize("make", [embedding, repulsive, lambda: embedding().splinify(30)])
def test_derivative(make):
    R_nl, (r, zi, zj) = make(), edges()
    r = r[(abs(r - 5.5) > 1e-3) & (abs(r - 5) > 1e-3) & (abs(r - 4.5) > 1e-3)]
    zi, zj, h = zi[: len(r)], zj[: len(r)], 1e-6
    numerical = (R_nl.evaluate(r + h, zi, zj) - R_nl.evaluate(r - h, zi, zj)) / (2 * h)
    assert_allclose(R_nl.derivative(r, zi, zj), numerical, rtol=1e-6, atol=1e-7 * np.abs(numerical).max())


def test_splinify_matches_scipy():
    R_nl, (r, zi, zj) = embedding(), edges()
    spline = R_nl.splinify(40)
    assert isinstance(spline.polynomials, SplineTable)
    assert (spline.polynomials.n_nodes, spline.n_parameters, spline.weights) == (41, 0, None)
    y_nodes = np.linspace(-1, 1, 41)
    for a, b in np.ndindex(2, 2):
        x = r[(zi == a) & (zj == b)]
        y = R_nl.transform[a][b](x)
        values = R_nl.polynomials(y_nodes) @ R_nl.weights[a, b].T
        expected = (1 - y**2)[:, None] ** 2 * interpolate.CubicSpline(y_nodes, values, bc_type="natural")(y)
        assert_allclose(spline.evaluate(x, a, b), expected, rtol=0, atol=1e-13)
    assert spline.splinify(10) is spline


def test_splines_converge():
    R_nl, (r, zi, zj) = embedding(), edges()
    exact = R_nl.evaluate(r, zi, zj)
    errors = [np.abs(R_nl.splinify(n).evaluate(r, zi, zj) - exact).max() for n in (50, 100, 800)]
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < 1e-6 * np.abs(exact).max()


def test_splinify_gives_golden_coefficients():
    spec = [(n, 0) for n in range(1, 13)]
    with np.load(model_path("tial_ace1")) as file:
        expected = file["rnl_spline_coefs"][..., :12]
    R_nl = RadialEmbedding(np.cos, PolyEnvelope2sX(), jacobi(6, 4, 4), spec, ("Ti", "Al"), weights="onehot")
    table = R_nl.splinify().polynomials
    assert (table.x0, table.h) == (-1, 2 / 99)
    assert_allclose(table.coefficients, expected, rtol=0, atol=1e-12)


def test_callables():
    r = np.linspace(0.5, 5.4, 20)
    R_nl = RadialEmbedding(lambda r: 1 - 2 * r / 5.5, lambda y: (1 - y**2) ** 2, chebyshev(6), SPEC, ("Si", "O"))
    y = 1 - 2 * r / 5.5
    expected = (1 - y**2)[:, None] ** 2 * (special.eval_chebyt(np.arange(6), y[:, None]) @ R_nl.weights[1, 0].T)
    assert_allclose(R_nl.evaluate(r, 1, 0), expected, rtol=0, atol=1e-13)
    of_r = RadialEmbedding(
        lambda r: 1 - 2 * r / 5.5, EnvelopeOfR(lambda r: np.exp(-r)), chebyshev(6), SPEC, ("Si", "O")
    )
    assert_allclose(of_r.evaluate(r, 1, 0) * np.exp(r)[:, None] * (1 - y**2)[:, None] ** 2, expected, atol=1e-12)
    constant = RadialEmbedding(lambda r: 1 - 2 * r / 5.5, lambda y: 1.0, chebyshev(6), SPEC, ("Si", "O"))
    assert constant.evaluate(r, 1, 0).shape == (20, 12)
    assert np.isinf(R_nl.rcut).all()
    with pytest.raises(TypeError, match="derivative"):
        R_nl.derivative(r, 0, 0)
    with pytest.raises(TypeError, match="cannot be written"):
        to_dict(R_nl)


def test_rcut_is_the_smaller_of_both_parts():
    assert_allclose(embedding().rcut, 5.5)
    assert_allclose(repulsive().rcut, [[5.5, 5.0], [5.0, 4.5]])


def test_counts_of_the_tutorial():
    spec = [(n, l) for n in range(1, 7) for l in range(5)]
    R_nl = RadialEmbedding(np.cos, np.cos, chebyshev(6), spec, ("Si", "O"))
    assert (len(R_nl), R_nl.n_parameters) == (30, 720)


def test_no_edges():
    assert embedding().evaluate(np.zeros(0), np.zeros(0, int), np.zeros(0, int)).shape == (0, 12)
    assert embedding().derivative(np.zeros(0), 0, 0).shape == (0, 12)


@pytest.mark.parametrize("make", [embedding, repulsive, lambda: embedding().splinify(10)])
def test_embeddings_are_values(make):
    R_nl = make()
    for other in (from_dict(to_dict(R_nl)), copy.deepcopy(R_nl), pickle.loads(pickle.dumps(R_nl)), make()):
        assert other == R_nl
        assert hash(other) == hash(R_nl)
    assert R_nl != embedding(seed=99)
    assert "Si-O: 12 functions" in repr(R_nl)
    with pytest.raises(AttributeError):
        R_nl.weights = None


def test_spec_may_name_its_entries():
    named = RadialEmbedding(np.cos, np.cos, legendre(3), [{"n": 1, "l": 0}, {"n": 2, "l": 1}], "Si")
    assert named.spec == ((1, 0), (2, 1))
    assert named.elements == ("Si",)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"spec": []}, ValueError, "at least one"),
        ({"spec": [(0, 0)]}, ValueError, "n at least 1"),
        ({"spec": [(1, 0), (1, 0)]}, ValueError, "not repeat"),
        ({"transform": 3.0}, TypeError, "transform must be callable"),
        ({"transform": [[np.cos]]}, ValueError, "transform must be 2 x 2"),
        ({"envelope": [[np.cos, 1], [np.cos, np.cos]]}, TypeError, "every pair, got 1"),
        ({"polynomials": np.cos}, TypeError, "Polynomials or a SplineTable"),
        ({"weights": np.zeros((2, 2, 3, 4))}, ValueError, r"= \(2, 2, 2, 3\), got \(2, 2, 3, 4\)"),
        ({"weights": "ones"}, ValueError, "got 'ones'"),
        ({"weights": None}, ValueError, "weights must be given"),
        ({"elements": ("Si", "Xx")}, ValueError, "got 'Xx'"),
        ({"elements": ("Si", "Si")}, ValueError, "differ"),
        ({"polynomials": SplineTable(-1, 1, np.zeros((2, 2, 5, 9)))}, ValueError, "spline coefficients must be"),
        (
            {"polynomials": SplineTable(-1, 1, np.zeros((2, 2, 5, 2))), "weights": np.zeros((2, 2, 2, 3))},
            ValueError,
            "not be given with a SplineTable",
        ),
    ],
)
def test_bad_values_are_named(changes, error, message):
    values = {"transform": np.cos, "envelope": np.cos, "polynomials": legendre(3), "spec": [(1, 0), (2, 0)]}
    values |= {"elements": ("Si", "O")} | changes
    weights = {"weights": values.pop("weights")} if "weights" in values else {}
    with pytest.raises(error, match=message):
        RadialEmbedding(*values.values(), **weights)


def test_weights_must_be_finite():
    weights = np.full((1, 1, 1, 2), np.nan)
    with pytest.raises(ValueError, match="weights must be finite, got nan"):
        RadialEmbedding(AgnesiTransform(2, 2, 0, 2, 4), PolyEnvelope2sX(), legendre(2), [(1, 0)], "Si", weights=weights)


def test_callables_cannot_change_their_argument():
    def shifted(r):
        r -= 1
        return r

    rembed = RadialEmbedding(shifted, PolyEnvelope2sX(), legendre(2), [(1, 0)], "Si")
    with pytest.raises(ValueError, match="read-only"):
        rembed.evaluate(np.array([1.0, 2.0]), 0, 0)
