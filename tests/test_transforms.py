"""Transforms and envelopes against the formulas of the design, at their ends and by central differences."""

import copy
import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose

from acepair.basis.registry import from_dict, to_dict
from acepair.basis.transforms import (
    ACE1PolyEnvelope1sR,
    AgnesiTransform,
    EnvelopeOfR,
    PolyEnvelope1sR,
    PolyEnvelope2sX,
    envelope_argument,
)

EXPONENTS = [(1, 2), (1, 3), (1, 4), (2, 2), (2, 4), (3, 5)]
ENVELOPES = [
    PolyEnvelope2sX(),
    PolyEnvelope2sX(0, 2),
    PolyEnvelope2sX(3, 1, scale=0.5),
    PolyEnvelope1sR(5.5, 1),
    PolyEnvelope1sR(6.0, 3),
    ACE1PolyEnvelope1sR(5.5, 2.9, 2),
]


def slope(f, x, h=1e-6):
    return (f(x + h) - f(x - h)) / (2 * h)


@pytest.mark.parametrize(("p", "q"), EXPONENTS)
@pytest.mark.parametrize("rin", [0.0, 0.7])
def test_agnesi_follows_its_formula(p, q, rin):
    transform = AgnesiTransform(p, q, rin, 2.4, 5.5)
    a = (-2 * q + p * (4 * q - 2)) / (p + p**2 + q + q**2)

    def x(r):
        s = (r - rin) / (2.4 - rin)
        return 1 / (1 + a * s**q / (1 + s ** (q - p)))

    for r in np.linspace(rin + 0.05, 5.49, 12):
        assert transform(r) == pytest.approx(-1 + 2 * (x(r) - 1) / (x(5.5) - 1), abs=1e-14)
    assert transform.a == pytest.approx(a, rel=1e-15)
    assert (transform.x_rin, transform.x_rcut) == (1.0, pytest.approx(x(5.5), rel=1e-15))


@pytest.mark.parametrize(("p", "q"), EXPONENTS)
def test_agnesi_is_clamped_and_increasing(p, q):
    transform = AgnesiTransform(p, q, 0.5, 2.4, 5.5)
    assert_allclose(transform([0, 0.3, 0.5, 5.5, 6, 100]), [-1, -1, -1, 1, 1, 1], rtol=0, atol=1e-15)
    assert (np.diff(transform(np.linspace(0.5, 5.5, 200))) > 0).all()
    assert_allclose(transform.derivative([0.2, 0.5, 5.5, 7.0]), 0)


@pytest.mark.parametrize(("p", "q"), EXPONENTS)
def test_agnesi_is_steepest_at_r0(p, q):
    transform = AgnesiTransform(p, q, 0.0, 2.4, 8.0)
    r = np.linspace(0.01, 7.9, 100000)
    assert r[np.argmax(transform.derivative(r))] == pytest.approx(2.4, abs=1e-3)


@pytest.mark.parametrize(("p", "q"), EXPONENTS)
def test_agnesi_derivative(p, q):
    transform = AgnesiTransform(p, q, 0.5, 2.4, 5.5)
    r = np.linspace(0.6, 5.4, 40).reshape(8, 5)
    assert_allclose(transform.derivative(r), slope(transform, r), rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("envelope", ENVELOPES, ids=str)
def test_envelope_derivative(envelope):
    points = np.linspace(-0.95, 0.95, 21) if envelope.argument == "y" else np.linspace(0.5, 5.4, 21)
    assert_allclose(envelope.derivative(points), slope(envelope, points), rtol=1e-6, atol=1e-8)


def test_envelopes_follow_their_formulas():
    y, r = np.linspace(-0.9, 0.9, 7), np.linspace(0.3, 5.4, 7)
    assert_allclose(PolyEnvelope2sX()(y), (1 - y**2) ** 2, rtol=1e-14)
    assert_allclose(PolyEnvelope2sX(3, 1, 0.5)(y), 0.5 * (1 + y) ** 3 * (1 - y), rtol=1e-14)
    assert_allclose(PolyEnvelope1sR(5.5, 2)(r), ((r / 5.5) ** -2 - 1) * (1 - r / 5.5), rtol=1e-14)
    s, sc = r / 2.9, 5.5 / 2.9
    expected = s**-2 - sc**-2 + 2 * sc**-3 * (s - sc)
    assert_allclose(ACE1PolyEnvelope1sR(5.5, 2.9, 2)(r), expected, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("envelope", ENVELOPES, ids=str)
def test_envelopes_vanish_outside(envelope):
    outside = [-1.000001, -1.5, 1, 2] if envelope.argument == "y" else [envelope.rcut, envelope.rcut + 1e-9, 10, 1e3]
    assert_allclose(envelope(outside), 0, atol=1e-15)
    assert_allclose(envelope.derivative(outside), 0, atol=1e-15)


def test_what_an_envelope_depends_on():
    assert envelope_argument(PolyEnvelope2sX()) == "y"
    assert envelope_argument(PolyEnvelope1sR(5, 1)) == "r"
    assert envelope_argument(np.cos) == "y"
    assert envelope_argument(EnvelopeOfR(np.cos)) == "r"
    assert_allclose(EnvelopeOfR(np.cos)([0.0, 1.0]), np.cos([0.0, 1.0]))


@pytest.mark.parametrize("spec", [AgnesiTransform(2, 4, 0, 2.4, 5.5), *ENVELOPES], ids=str)
def test_specs_are_values(spec):
    assert from_dict(to_dict(spec)) == spec == copy.deepcopy(spec) == pickle.loads(pickle.dumps(spec))
    assert hash(from_dict(to_dict(spec))) == hash(spec)
    assert eval(repr(spec)) == spec
    with pytest.raises(AttributeError):
        spec.rcut = 1.0


def test_callables_cannot_be_written():
    for function in (np.cos, lambda r: r, EnvelopeOfR(np.cos)):
        with pytest.raises(TypeError, match="cannot be written"):
            to_dict(function)
    with pytest.raises(ValueError, match=r"agnesi.*got 'fourier'"):
        from_dict({"kind": "fourier"})
    with pytest.raises(TypeError, match="mapping"):
        from_dict([1])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: AgnesiTransform(2, 1, 0, 2, 5), "1 <= p <= q"),
        (lambda: AgnesiTransform(1, 1, 0, 2, 5), "1 <= p <= q"),
        (lambda: AgnesiTransform(1.5, 2, 0, 2, 5), "p must be an integer of at least 1, got 1.5"),
        (lambda: AgnesiTransform(2, 2, 2, 2, 5), "r0 must exceed rin"),
        (lambda: AgnesiTransform(2, 2, -1, 2, 5), "rin=-1"),
        (lambda: AgnesiTransform(2, 2, 1, 2, 0.5), "rcut must exceed rin"),
        (lambda: AgnesiTransform(2, 2, 0, np.nan, 5), "r0 must be a finite number, got nan"),
        (lambda: PolyEnvelope2sX(-1, 2), "p1 must be an integer of at least 0, got -1"),
        (lambda: PolyEnvelope1sR(0, 2), "rcut must be a positive number, got 0"),
        (lambda: PolyEnvelope1sR(5, 0), "p must be"),
        (lambda: ACE1PolyEnvelope1sR(5, -1, 2), "r0 must be a positive number, got -1"),
    ],
)
def test_bad_values_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_envelope_of_r_wants_a_callable():
    with pytest.raises(TypeError, match="callable, got float"):
        EnvelopeOfR(1.0)
