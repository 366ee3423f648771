"""Real harmonics against SciPy, golden values, central differences and the addition theorem, on every axis too."""

import copy
import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose
from reference.cases import CASES, golden
from scipy import special

from acepair.basis.angular import AngularEmbedding
from acepair.basis.registry import from_dict, to_dict

LMAX = 8
AXES = np.concatenate([np.eye(3), -np.eye(3), [[1, 1, 0], [1, 0, -1], [0, -2, 1e-9], [1e-12, 0, 3], [0, 1e-300, -1]]])


def vectors():
    return np.concatenate([np.random.default_rng(0).normal(size=(20, 3)) * 2, AXES, 1.7 * AXES])


def scipy_harmonics(D, lmax):
    """From complex harmonics, whose Condon–Shortley phase (−1)^m is taken out."""
    theta, phi = np.arctan2(np.hypot(D[:, 0], D[:, 1]), D[:, 2]), np.arctan2(D[:, 1], D[:, 0])
    Y = np.empty((len(D), (lmax + 1) ** 2))
    for l in range(lmax + 1):
        for m in range(-l, l + 1):
            value = special.sph_harm_y(l, abs(m), theta, phi) * (-1) ** m * (np.sqrt(2) if m else 1)
            Y[:, l * l + l + m] = value.imag if m < 0 else value.real
    return Y


def test_spherical_harmonics_match_scipy():
    D = vectors()
    assert_allclose(AngularEmbedding(LMAX, "spherical").evaluate(D), scipy_harmonics(D, LMAX), atol=2e-14 * LMAX)


def test_solid_harmonics_match_scipy():
    D = vectors()
    l = np.repeat(np.arange(LMAX + 1), 2 * np.arange(LMAX + 1) + 1)
    scale = np.linalg.norm(D, axis=1)[:, None] ** l
    values = AngularEmbedding(LMAX, "solid").evaluate(D)
    assert_allclose(values / scale, scipy_harmonics(D, LMAX), atol=2e-14 * LMAX)


@pytest.mark.parametrize("case", CASES)
def test_golden(case):
    ref = golden(case)
    lmax = int(np.sqrt(ref["edge_Y"].shape[1])) - 1
    kind = "spherical" if case.startswith("tial") else "solid"
    values = AngularEmbedding(lmax, kind).evaluate(ref["edge_rij"])
    assert_allclose(values, ref["edge_Y"], rtol=0, atol=1e-12 * np.abs(ref["edge_Y"]).max())


@pytest.mark.parametrize("kind", ["solid", "spherical"])
def test_gradient(kind):
    embedding, D, h = AngularEmbedding(5, kind), vectors(), 1e-6
    gradient = embedding.gradient(D)
    for c, e in enumerate(h * np.eye(3)):
        numerical = (embedding.evaluate(D + e) - embedding.evaluate(D - e)) / (2 * h)
        assert_allclose(gradient[:, :, c], numerical, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("kind", ["solid", "spherical"])
def test_addition_theorem(kind):
    rng = np.random.default_rng(2)
    a, b = rng.normal(size=(2, 30, 3))
    ra, rb = np.linalg.norm(a, axis=1), np.linalg.norm(b, axis=1)
    cosine = (a * b).sum(axis=1) / ra / rb
    embedding = AngularEmbedding(10, kind)
    product = embedding.evaluate(a) * embedding.evaluate(b)
    for l in range(11):
        expected = (2 * l + 1) / (4 * np.pi) * special.eval_legendre(l, cosine)
        expected = expected * (ra * rb) ** l if kind == "solid" else expected
        assert_allclose(product[:, l * l : (l + 1) ** 2].sum(axis=1), expected, rtol=1e-10, atol=1e-12)


def test_solid_harmonics_at_the_origin():
    embedding = AngularEmbedding(3, "solid")
    assert_allclose(embedding.evaluate(np.zeros((1, 3)))[0], [np.sqrt(1 / (4 * np.pi))] + [0] * 15)
    assert np.isfinite(embedding.gradient(np.zeros((1, 3)))).all()


def test_shapes_and_values():
    embedding = AngularEmbedding(4, "solid")
    assert len(embedding) == 25
    assert embedding.evaluate(np.zeros((0, 3))).shape == (0, 25)
    assert embedding.gradient(np.zeros((0, 3))).shape == (0, 25, 3)
    for other in (from_dict(to_dict(embedding)), copy.deepcopy(embedding), pickle.loads(pickle.dumps(embedding))):
        assert other == embedding
    assert embedding != AngularEmbedding(4, "spherical")


@pytest.mark.parametrize(
    ("lmax", "kind", "message"),
    [
        (-1, "solid", "at least 0, got -1"),
        (1.5, "solid", "got 1.5"),
        (2, "cubic", "'solid' or 'spherical', got 'cubic'"),
    ],
)
def test_bad_values_are_named(lmax, kind, message):
    with pytest.raises(ValueError, match=message):
        AngularEmbedding(lmax, kind)


def test_bad_vectors_are_named():
    with pytest.raises(ValueError, match=r"\(n_edges, 3\), got \(3,\)"):
        AngularEmbedding(2, "solid").evaluate(np.zeros(3))
