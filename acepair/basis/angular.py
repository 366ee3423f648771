"""Angular embedding: real spherical and solid harmonics of edge vectors."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from .._types import Dict, FloatArray
from .registry import register


@register("angular_embedding")
@dataclass(frozen=True)
class AngularEmbedding:
    """Real harmonics Y_lm up to lmax, index l² + l + m with m = −l..l.

    L2-normalised on the sphere, without Condon–Shortley phase: Y_lm ∝ Re (x + iy)^m for m ≥ 0 and
    Im (x + iy)^|m| for m < 0. The recurrences are polynomials in x, y, z, so that no direction is special.

    Parameters
    ----------
    lmax : int
        Largest angular momentum.
    kind : "solid" or "spherical"
        "solid" multiplies by r^l.
    """

    lmax: int
    kind: Literal["solid", "spherical"]

    def __post_init__(self) -> None:
        if isinstance(self.lmax, bool) or self.lmax != int(self.lmax) or self.lmax < 0:
            raise ValueError(f"lmax must be an integer of at least 0, got {self.lmax!r}")
        object.__setattr__(self, "lmax", int(self.lmax))
        if self.kind not in ("solid", "spherical"):
            raise ValueError(f"kind must be 'solid' or 'spherical', got {self.kind!r}")

    def __len__(self) -> int:
        """Return the number of functions, (lmax + 1)²."""
        return (self.lmax + 1) ** 2

    def evaluate(self, D: npt.ArrayLike) -> FloatArray:
        """Return the values (n_edges, (lmax + 1)²) of vectors D (n_edges, 3), in Å^l for solid harmonics."""
        vectors = _vectors(D)
        if self.kind == "spherical":
            vectors = vectors / np.linalg.norm(vectors, axis=1)[:, None]
        return _solid_harmonics(vectors, self.lmax)[0]

    def gradient(self, D: npt.ArrayLike) -> FloatArray:
        """Return ∂Y/∂D (n_edges, (lmax + 1)², 3)."""
        vectors = _vectors(D)
        if self.kind == "solid":
            return _solid_harmonics(vectors, self.lmax)[1]
        # Y = solid(u) with u = D/r: the solid harmonics' gradient less its radial part, l Y/r
        r = np.linalg.norm(vectors, axis=1)[:, None]
        u = vectors / r
        values, gradients = _solid_harmonics(u, self.lmax)
        l = np.repeat(np.arange(self.lmax + 1), 2 * np.arange(self.lmax + 1) + 1)
        tangential: FloatArray = (gradients - (l * values)[:, :, None] * u[:, None, :]) / r[:, :, None]
        return tangential

    def to_dict(self) -> Dict:
        """Return the fields, see `acepair.basis.registry`."""
        return {"kind": "angular_embedding", "lmax": self.lmax, "harmonics": self.kind}

    @classmethod
    def from_values(cls, lmax: int, harmonics: Literal["solid", "spherical"]) -> AngularEmbedding:
        """Build from the output of `to_dict`, without its "kind"."""
        return cls(lmax, harmonics)


def _solid_harmonics(D: FloatArray, lmax: int) -> tuple[FloatArray, FloatArray]:
    """Real solid harmonics (n, (lmax + 1)²) and their gradients (n, (lmax + 1)², 3).

    r^l Y_lm = N_lm Q_lm(z, r²) · (Re or Im)(x + iy)^|m| where Q_lm = r^(l−m) d^m P_l(u)/du^m at u = z/r.
    """
    x, y, _ = D.T
    Q = _legendre_factors(D, lmax)
    power = np.ones((lmax + 2, len(D)), dtype=np.complex128)  # (x + iy)^m; the last stands for m = −1, unused
    for m in range(1, lmax + 1):
        power[m] = power[m - 1] * (x + 1j * y)
    Y = np.empty((len(D), (lmax + 1) ** 2))
    dY = np.empty((len(D), (lmax + 1) ** 2, 3))
    for l in range(lmax + 1):
        for m in range(l + 1):
            norm = math.sqrt((2 * l + 1) / (4 * math.pi) * math.factorial(l - m) / math.factorial(l + m))
            norm *= math.sqrt(2) if m else 1
            below = Q[l - 1, m + 1] if l else 0 * x  # ∂Q_lm/∂x = −x Q_(l−1)(m+1), and ∂Q_lm/∂z = (l + m) Q_(l−1)m
            slope = (l + m) * Q[l - 1, m] if l else 0 * x
            planar = norm * m * power[m - 1] * Q[l, m]
            value = norm * power[m] * Q[l, m]
            gradient = (planar - norm * x * below * power[m], 1j * planar - norm * y * below * power[m])
            for sign, part in ((1, np.real), (-1, np.imag)) if m else ((1, np.real),):
                k = l * l + l + sign * m
                Y[:, k] = part(value)
                dY[:, k, 0], dY[:, k, 1] = part(gradient[0]), part(gradient[1])
                dY[:, k, 2] = part(norm * slope * power[m])
    return Y, dY


def _legendre_factors(D: FloatArray, lmax: int) -> FloatArray:
    """Q_lm (lmax + 1, lmax + 2, n), zero for m > l."""
    z, r2 = D[:, 2], (D**2).sum(axis=1)
    Q = np.zeros((lmax + 1, lmax + 2, len(D)))
    for m in range(lmax + 1):
        Q[m, m] = math.prod(range(2 * m - 1, 1, -2))
        if m < lmax:
            Q[m + 1, m] = (2 * m + 1) * z * Q[m, m]
        for l in range(m + 2, lmax + 1):
            Q[l, m] = ((2 * l - 1) * z * Q[l - 1, m] - (l + m - 1) * r2 * Q[l - 2, m]) / (l - m)
    return Q


def _vectors(D: npt.ArrayLike) -> FloatArray:
    vectors = np.asarray(D, dtype=np.float64)
    if vectors.ndim != 2 or vectors.shape[1] != 3:
        raise ValueError(f"D must have shape (n_edges, 3), got {vectors.shape}")
    return vectors
