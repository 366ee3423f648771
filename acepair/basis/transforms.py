"""Distance transforms r ↦ y and envelopes, the factors of a radial function around its polynomials.

Any Python callable that works on arrays may stand where a transform or an envelope is expected: a transform is then a
function of r, an envelope a function of y, and `EnvelopeOfR` marks an envelope of r.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt

from .._types import ArrayFunction, Dict, FloatArray
from .registry import register


class _Plain:
    """Frozen dataclass of plain values, written field by field."""

    kind: ClassVar[str]

    def to_dict(self) -> Dict:
        """Return the fields and the registered kind, see `acepair.basis.registry`."""
        return {"kind": self.kind, **asdict(self)}  # type: ignore[call-overload]


@register("agnesi")
@dataclass(frozen=True)
class AgnesiTransform(_Plain):
    """Generalised Agnesi transform, normalised: y = −1 at and below rin, +1 at and beyond rcut.

    With s = (r − rin)/(r0 − rin), x(r) = 1/(1 + a s^q/(1 + s^(q−p))), and y is affine in x. The value of `a` puts the
    steepest slope of x at r0.

    Parameters
    ----------
    p, q : int
        x − 1 ~ −a s^q for s → 0 and x ~ s^−p/a for s → ∞; 1 ≤ p ≤ q.
    rin, r0, rcut : float
        Inner radius, radius of the steepest slope, cutoff (Å); 0 ≤ rin < r0, rin < rcut.

    References
    ----------
    W. C. Witt et al., J. Chem. Phys. 159, 164101 (2023), doi:10.1063/5.0158783.
    """

    p: int
    q: int
    rin: float
    r0: float
    rcut: float

    def __post_init__(self) -> None:
        for name in ("p", "q"):
            _store_integer(self, name, minimum=1)
        for name in ("rin", "r0", "rcut"):
            _store_float(self, name)
        if self.q < self.p or self.a <= 0:
            raise ValueError(f"Agnesi exponents must satisfy 1 <= p <= q, not both 1, got p={self.p}, q={self.q}")
        if not 0 <= self.rin < self.r0:
            raise ValueError(f"r0 must exceed rin >= 0 (Å), got rin={self.rin}, r0={self.r0}")
        if not self.rin < self.rcut:
            raise ValueError(f"rcut must exceed rin (Å), got rin={self.rin}, rcut={self.rcut}")

    @property
    def a(self) -> float:
        """Factor in front of s^q."""
        p, q = self.p, self.q
        return (-2 * q + p * (4 * q - 2)) / (p + p * p + q + q * q)

    @property
    def x_rin(self) -> float:
        """The value of x at rin: 1."""
        return 1.0

    @property
    def x_rcut(self) -> float:
        """The value of x at rcut."""
        return float(self._x(np.array((self.rcut - self.rin) / (self.r0 - self.rin))))

    def _x(self, s: FloatArray) -> FloatArray:
        x: FloatArray = 1 / (1 + self.a * s**self.q / (1 + s ** (self.q - self.p)))
        return x

    def __call__(self, r: npt.ArrayLike) -> FloatArray:
        """Return y in [−1, 1] for distances r (Å) of any shape."""
        s = np.maximum(np.asarray(r, dtype=np.float64) - self.rin, 0) / (self.r0 - self.rin)
        y: FloatArray = np.clip(-1 + 2 * (self._x(s) - self.x_rin) / (self.x_rcut - self.x_rin), -1, 1)
        return y

    def derivative(self, r: npt.ArrayLike) -> FloatArray:
        """Return dy/dr (1/Å); 0 where y is clamped."""
        r = np.asarray(r, dtype=np.float64)
        p, q, a = self.p, self.q, self.a
        s = np.maximum(r - self.rin, 0) / (self.r0 - self.rin)
        t = s ** (q - p)
        # g = s^q/(1 + s^(q−p)) and x = 1/(1 + a g)
        dg = s ** (q - 1) * (q + p * t) / (1 + t) ** 2
        dx_dr = -a * dg * self._x(s) ** 2 / (self.r0 - self.rin)
        inside = (r > self.rin) & (r < self.rcut)
        dy: FloatArray = np.where(inside, 2 * dx_dr / (self.x_rcut - self.x_rin), 0)
        return dy


@register("poly2sx")
@dataclass(frozen=True)
class PolyEnvelope2sX(_Plain):
    """Two-sided envelope scale · (1 + y)^p1 (1 − y)^p2 for −1 ≤ y < 1, zero outside.

    Parameters
    ----------
    p1, p2 : int
        Orders of the zeros at y = −1 and y = 1. With p1 = 0 there is none at y = −1, which a transform keeps up to rin.
    scale : float
        Factor.
    """

    p1: int = 2
    p2: int = 2
    scale: float = 1.0

    argument: ClassVar[Literal["r", "y"]] = "y"

    def __post_init__(self) -> None:
        for name in ("p1", "p2"):
            _store_integer(self, name, minimum=0)
        _store_float(self, "scale")

    def __call__(self, y: npt.ArrayLike) -> FloatArray:
        """Return the envelope at transformed distances y of any shape."""
        y = np.asarray(y, dtype=np.float64)
        value: FloatArray = np.where((y >= -1) & (y < 1), self.scale * (1 + y) ** self.p1 * (1 - y) ** self.p2, 0)
        return value

    def derivative(self, y: npt.ArrayLike) -> FloatArray:
        """Return the derivative with respect to y."""
        y = np.asarray(y, dtype=np.float64)
        p1, p2 = self.p1, self.p2
        left = p1 * (1 + y) ** max(p1 - 1, 0) * (1 - y) ** p2
        right = p2 * (1 + y) ** p1 * (1 - y) ** max(p2 - 1, 0)
        slope: FloatArray = np.where((y >= -1) & (y < 1), self.scale * (left - right), 0)
        return slope


@register("poly1sr")
@dataclass(frozen=True)
class PolyEnvelope1sR(_Plain):
    """One-sided, repulsive envelope ((r/rcut)^−p − 1)(1 − r/rcut), zero from rcut on.

    Parameters
    ----------
    rcut : float
        Cutoff (Å).
    p : int
        Power of the divergence at r = 0.
    """

    rcut: float
    p: int

    argument: ClassVar[Literal["r", "y"]] = "r"

    def __post_init__(self) -> None:
        _store_float(self, "rcut", positive=True)
        _store_integer(self, "p", minimum=1)

    def __call__(self, r: npt.ArrayLike) -> FloatArray:
        """Return the envelope at distances r > 0 (Å) of any shape."""
        s = np.minimum(np.asarray(r, dtype=np.float64) / self.rcut, 1)
        value: FloatArray = (s**-self.p - 1) * (1 - s)
        return value

    def derivative(self, r: npt.ArrayLike) -> FloatArray:
        """Return the derivative with respect to r (1/Å)."""
        s = np.minimum(np.asarray(r, dtype=np.float64) / self.rcut, 1)
        slope: FloatArray = (-self.p * s ** -(self.p + 1) * (1 - s) - (s**-self.p - 1)) / self.rcut
        return slope


@register("ace1_poly1sr")
@dataclass(frozen=True)
class ACE1PolyEnvelope1sR(_Plain):
    """One-sided, repulsive pair envelope of ACE1: s^−p − sc^−p + p sc^(−p−1) (s − sc), zero beyond rcut.

    Here s = r/r0 and sc = rcut/r0: the power law s^−p less its tangent at the cutoff.

    Parameters
    ----------
    rcut, r0 : float
        Cutoff and length scale (Å).
    p : int
        Power of the divergence at r = 0.
    """

    rcut: float
    r0: float
    p: int

    argument: ClassVar[Literal["r", "y"]] = "r"

    def __post_init__(self) -> None:
        _store_float(self, "rcut", positive=True)
        _store_float(self, "r0", positive=True)
        _store_integer(self, "p", minimum=1)

    def __call__(self, r: npt.ArrayLike) -> FloatArray:
        """Return the envelope at distances r > 0 (Å) of any shape."""
        p, sc = self.p, self.rcut / self.r0
        s = np.minimum(np.asarray(r, dtype=np.float64) / self.r0, sc)
        value: FloatArray = s**-p - sc**-p + p * sc ** (-p - 1) * (s - sc)
        return value

    def derivative(self, r: npt.ArrayLike) -> FloatArray:
        """Return the derivative with respect to r (1/Å)."""
        p, sc = self.p, self.rcut / self.r0
        s = np.minimum(np.asarray(r, dtype=np.float64) / self.r0, sc)
        slope: FloatArray = p * (sc ** (-p - 1) - s ** (-p - 1)) / self.r0
        return slope


@dataclass(frozen=True)
class EnvelopeOfR:
    """Marks a Python callable as an envelope of the distance r instead of y.

    Parameters
    ----------
    function : callable
        Works on arrays of r (Å).
    """

    function: ArrayFunction

    argument: ClassVar[Literal["r", "y"]] = "r"

    def __post_init__(self) -> None:
        if not callable(self.function):
            raise TypeError(f"function must be callable, got {type(self.function).__name__}")

    def __call__(self, r: npt.ArrayLike) -> FloatArray:
        """Return the envelope at distances r (Å)."""
        return np.asarray(self.function(np.asarray(r, dtype=np.float64)), dtype=np.float64)


Transform = AgnesiTransform | ArrayFunction
Envelope = PolyEnvelope2sX | PolyEnvelope1sR | ACE1PolyEnvelope1sR | EnvelopeOfR | ArrayFunction


def envelope_argument(envelope: Envelope) -> Literal["r", "y"]:
    """Tell whether an envelope is a function of the distance "r" or of the transformed distance "y"."""
    return "r" if getattr(envelope, "argument", "y") == "r" else "y"


def _store_integer(spec: object, name: str, *, minimum: int) -> None:
    value = getattr(spec, name)
    if isinstance(value, bool) or not float(value).is_integer() or value < minimum:
        raise ValueError(f"{name} must be an integer of at least {minimum}, got {value!r}")
    object.__setattr__(spec, name, int(value))


def _store_float(spec: object, name: str, *, positive: bool = False) -> None:
    value = float(getattr(spec, name))
    if not np.isfinite(value) or (positive and value <= 0):
        raise ValueError(f"{name} must be a {'positive' if positive else 'finite'} number, got {value!r}")
    object.__setattr__(spec, name, value)
