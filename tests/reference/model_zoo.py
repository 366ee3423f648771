"""Models of every kind that can be saved, with random parameters."""

from __future__ import annotations

import hashlib
from functools import cache

import numpy as np

import acepair
from acepair.io import read_acejax

from .cases import CASES, model_path
from .random_model import random_model


def trained(model, seed=5):
    """Set random linear parameters: zero ones would hide everything."""
    theta = np.random.default_rng(seed).normal(size=acepair.length_basis(model))
    return acepair.set_linear_parameters(model, theta)


def tutorial(**changes):
    options = {"elements": ("Si", "O"), "order": 3, "max_level": 9, "maxl": 6, "E0s": {"Si": -1.5, "O": -2.25}}
    return trained(acepair.ace_model(**{**options, **changes}))


def ace1(**changes):
    options = {"elements": ("Si", "O"), "order": 3, "totaldegree": 7, "rcut": 5.5}
    return trained(acepair.ace1_model(**{**options, **changes}))


def from_acejax(tmp, **options):
    numbers = options.pop("elements", [14, 8, 1])
    np.savez(tmp / "random.npz", **random_model(numbers, **options))
    return read_acejax(tmp / "random.npz")


def with_callables():
    """Transforms and envelopes that no file can hold, in both parts, and an envelope of r."""
    numbers, spec = ("Si", "O"), [(n, l) for l in range(3) for n in range(1, 4)]
    transform = (
        (lambda r: 1 - 2 * np.exp(-r / 2), acepair.AgnesiTransform(2, 4, 0.0, 2.0, 5.0)),
        (lambda r: np.tanh(r - 2), lambda r: 1 - r / 2.75),
    )
    radial = acepair.RadialEmbedding(transform, lambda y: np.cos(y) ** 2, acepair.legendre(5), spec, numbers, seed=3)
    basis = acepair.SparseACEBasis(acepair.select_many_body(3, acepair.TotalDegree(), 7.0, maxl=2, maxn=3), spec, 2)
    envelope = acepair.EnvelopeOfR(lambda r: np.exp(-r) / r)
    pair = acepair.RadialEmbedding(
        lambda r: r / 4 - 1, envelope, acepair.chebyshev(4), [(n, 0) for n in (1, 2)], numbers
    )
    return trained(
        acepair.ACEModel(
            radial,
            acepair.AngularEmbedding(2, "spherical"),
            basis,
            acepair.SelectLinear(len(basis), numbers),
            rcuts=[[4.5, 5.0], [4.8, 5.5]],
            pair_rembed=pair,
            pair_readout=acepair.SelectLinear(2, numbers),
            pair_rcuts=4.0,
        )
    )


def of_unequal_elements():
    """A stack whose components know different elements, in different orders, at different cutoffs."""
    one = acepair.ETOneBodyPotential(acepair.one_body({"H": -13.6, "O": -2.0, "Si": -1.0}))
    zbl = acepair.ZBLPotential(("O", "Si", "Ti"), 2.5)
    parts = tutorial().to_calculator().components
    return acepair.StackedCalculator([zbl, *parts, one, ace1().to_calculator().components[1]])


def with_exponents_per_pair():
    """What engines know when they are compiled, as long as all species pairs have it in common."""
    A, B = acepair.AgnesiTransform(2, 4, 0.0, 2.3, 5.5), acepair.AgnesiTransform(1, 3, 0.5, 2.0, 5.5)
    near, far = acepair.PolyEnvelope2sX(2, 3), acepair.PolyEnvelope2sX(1, 2)
    return ace1(
        transform=((A, B), (B, A)), envelope=((near, far), (far, far)), pair_envelope=((near, near), (near, far))
    )


MODELS = {
    "dense radial weights": lambda tmp: tutorial(),
    "one element, order 4": lambda tmp: tutorial(elements="Si", order=4, maxl=3, E0s=None, max_level=8),
    "spherical harmonics": lambda tmp: tutorial(Ytype="spherical", max_level=7),
    "onehot radial weights": lambda tmp: ace1(),
    "cutoffs per pair": lambda tmp: ace1(rcut=("bondlen", 2.5), variable_cutoffs=True, Eref={"Si": -1, "O": 3}),
    "splines": lambda tmp: acepair.splinify(ace1(), 20),
    "ZBL": lambda tmp: tutorial(elements="Si", E0s=None, ZBL=True, max_level=7),
    "callables": lambda tmp: with_callables(),
    "exponents per pair": lambda tmp: with_exponents_per_pair(),
    "order 5, rin > 0, three elements": lambda tmp: from_acejax(tmp, order=5, rin=0.4),
    "splines per pair": lambda tmp: from_acejax(tmp, radial="spline", pair_envelope="ace1_poly1sr"),
    "layers' potentials": lambda tmp: acepair.splinify(tutorial().to_calculator(), 12),
    "unequal elements": lambda tmp: of_unequal_elements(),
    "only one-body": lambda tmp: acepair.ETOneBodyPotential(acepair.one_body({14: -1.25, 8: 0.1})),
    "only pairs": lambda tmp: tutorial().to_calculator().components[1],
    "only many-body": lambda tmp: tutorial().to_calculator().components[2],
    "only ZBL": lambda tmp: acepair.ZBLPotential(("Si", "O"), [[2.0, 2.1], [2.2, 2.3]]),
    **{case: lambda tmp, case=case: read_acejax(model_path(case)) for case in CASES if "large" not in case},
}


@cache
def small():
    """A short file with every kind of content, for tests that load it thousands of times."""
    basis = acepair.SparseACEBasis([[(1, 0)], [(1, 1), (1, 1)]], [(1, 0), (1, 1)], 1)
    transform, envelope = acepair.AgnesiTransform(2, 2, 0.0, 2.0, 4.0), acepair.PolyEnvelope2sX()
    radial = acepair.RadialEmbedding(transform, envelope, acepair.legendre(2), [(1, 0), (1, 1)], "Si")
    readout = acepair.SelectLinear(len(basis), "Si", [[0.3], [-0.7]])
    return acepair.ETACEPotential(acepair.ETACE(radial, acepair.AngularEmbedding(1, "solid"), basis, readout), 4.0)


DIGEST = slice(75, 139)  # bytes of the checksum, as docs/model_file.md says


def sealed(content):
    """Put the right checksum into a file, as its description says."""
    blank = content[: DIGEST.start] + b"0" * 64 + content[DIGEST.stop :]
    return content[: DIGEST.start] + hashlib.sha256(blank).hexdigest().encode() + content[DIGEST.stop :]
