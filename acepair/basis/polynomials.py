"""Polynomials of the transformed distance by three-term recurrences, and cubic splines of them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from .._types import Dict, FloatArray
from .registry import register


class _Arrays:
    """Frozen dataclass with array fields: compared by value, written with the arrays as they are."""

    kind: ClassVar[str]
    __dataclass_fields__: ClassVar[dict[str, object]]

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return all(np.array_equal(getattr(self, name), getattr(other, name)) for name in self.__dataclass_fields__)

    def __hash__(self) -> int:
        return hash(tuple(np.asarray(getattr(self, name)).tobytes() for name in self.__dataclass_fields__))

    def to_dict(self) -> Dict:
        """Return the fields and the registered kind, see `acepair.basis.registry`."""
        return {"kind": self.kind, **{name: getattr(self, name) for name in self.__dataclass_fields__}}


@register("polynomials")
@dataclass(frozen=True, eq=False)
class Polynomials(_Arrays):
    """P0 = A0, P1 = A1 y + B1, Pk = (Ak y + Bk) P(k−1) + Ck P(k−2).

    Parameters
    ----------
    A, B, C : array_like (n,)
        Recurrence coefficients; B0, C0 and C1 are not used.
    """

    A: FloatArray
    B: FloatArray
    C: FloatArray

    def __post_init__(self) -> None:
        for name in ("A", "B", "C"):
            object.__setattr__(self, name, read_only(getattr(self, name)))
        shapes = [array.shape for array in (self.A, self.B, self.C)]
        if len(set(shapes)) > 1 or self.A.ndim != 1 or not len(self.A):
            raise ValueError(f"A, B, C must be vectors of one length, got shapes {shapes}")

    def __len__(self) -> int:
        """Return the number of polynomials, degrees 0 to n − 1."""
        return len(self.A)

    def __repr__(self) -> str:
        return f"Polynomials(n={len(self)})"

    def __call__(self, y: npt.ArrayLike) -> FloatArray:
        """Return the values (..., n) at points y of any shape (...)."""
        y = np.asarray(y, dtype=np.float64)
        P = np.empty((len(self), *y.shape))
        P[0] = self.A[0]
        if len(self) > 1:
            P[1] = self.A[1] * y + self.B[1]
        for k in range(2, len(self)):
            P[k] = (self.A[k] * y + self.B[k]) * P[k - 1] + self.C[k] * P[k - 2]
        return np.ascontiguousarray(np.moveaxis(P, 0, -1))

    def derivative(self, y: npt.ArrayLike) -> FloatArray:
        """Return dP/dy (..., n) at points y of any shape (...)."""
        y = np.asarray(y, dtype=np.float64)
        P = np.moveaxis(self(y), -1, 0)
        dP = np.zeros_like(P)
        if len(self) > 1:
            dP[1] = self.A[1]
        for k in range(2, len(self)):
            dP[k] = self.A[k] * P[k - 1] + (self.A[k] * y + self.B[k]) * dP[k - 1] + self.C[k] * dP[k - 2]
        return np.ascontiguousarray(np.moveaxis(dP, 0, -1))


def legendre(n: int) -> Polynomials:
    """Return the first n Legendre polynomials, orthonormal on [−1, 1]."""
    return jacobi(n, 0.0, 0.0)


def jacobi(n: int, alpha: float, beta: float) -> Polynomials:
    """Return the first n Jacobi polynomials, orthonormal on [−1, 1] under (1 − y)^alpha (1 + y)^beta.

    References
    ----------
    W. Gautschi, Orthogonal Polynomials (2004), table 1.1: the recurrence coefficients of the monic polynomials.
    """
    if not (alpha > -1 and beta > -1):
        raise ValueError(f"alpha and beta must exceed -1, got {alpha}, {beta}")
    k = np.arange(_count(n), dtype=np.float64)
    total = alpha + beta
    # y p(k) = b(k+1) p(k+1) + a(k) p(k) + b(k) p(k−1) for the orthonormal p
    with np.errstate(invalid="ignore", divide="ignore"):
        a = (beta**2 - alpha**2) / ((2 * k + total) * (2 * k + total + 2))
        b_squared = 4 * k * (k + alpha) * (k + beta) * (k + total)
        b_squared /= (2 * k + total) ** 2 * (2 * k + total + 1) * (2 * k + total - 1)
    a[0] = (beta - alpha) / (total + 2)  # 0/0 in the general expressions where total is 0 or −1
    if n > 1:
        b_squared[1] = 4 * (1 + alpha) * (1 + beta) / ((2 + total) ** 2 * (3 + total))
    b = np.sqrt(b_squared[1:])
    A, B, C = np.zeros((3, n))
    A[0] = 1 / math.sqrt(2 ** (total + 1) * math.gamma(alpha + 1) * math.gamma(beta + 1) / math.gamma(total + 2))
    A[1:], B[1:] = 1 / b, -a[:-1] / b
    C[2:] = -b[:-1] / b[1:]
    if n > 1:
        A[1], B[1] = A[1] * A[0], B[1] * A[0]  # P1 is written without P0
    return Polynomials(A, B, C)


def chebyshev(n: int) -> Polynomials:
    """Return the first n Chebyshev polynomials of the first kind, T0 = 1, T1 = y, not normalised."""
    A, B, C = np.zeros((3, _count(n)))
    A[:2] = 1
    A[2:], C[2:] = 2, -1
    return Polynomials(A, B, C)


@register("spline_table")
@dataclass(frozen=True, eq=False)
class SplineTable(_Arrays):
    """Cubic splines on a uniform grid, one vector of functions per species pair, as B-spline coefficients.

    On the interval [x0 + i h, x0 + (i + 1) h] the functions depend on coefficients i to i + 3. Outside the grid the
    first and last intervals' polynomials continue.

    Parameters
    ----------
    x0, h : float
        First node and spacing.
    coefficients : array_like (NZ, NZ, n_nodes + 2, n_functions)
        Species of the centre first, of the neighbor second.
    """

    x0: float
    h: float
    coefficients: FloatArray

    def __post_init__(self) -> None:
        object.__setattr__(self, "x0", float(self.x0))
        object.__setattr__(self, "h", float(self.h))
        object.__setattr__(self, "coefficients", read_only(self.coefficients))
        shape = self.coefficients.shape
        if len(shape) != 4 or shape[0] != shape[1] or shape[2] < 4:
            raise ValueError(f"coefficients must be (NZ, NZ, n_nodes + 2, n_functions) with n_nodes >= 2, got {shape}")
        if not self.h > 0:
            raise ValueError(f"h must be positive, got {self.h}")

    def __len__(self) -> int:
        """Return the number of functions."""
        return int(self.coefficients.shape[3])

    def __repr__(self) -> str:
        return f"SplineTable(x0={self.x0}, h={self.h}, n_nodes={self.n_nodes}, n_functions={len(self)})"

    @property
    def n_nodes(self) -> int:
        """Number of nodes."""
        return int(self.coefficients.shape[2]) - 2

    def __call__(self, y: npt.ArrayLike, zi: npt.ArrayLike, zj: npt.ArrayLike) -> FloatArray:
        """Return the values (..., n_functions) at points y (...) for species indices zi, zj (broadcast against y)."""
        i, u = self._locate(y)
        v = 1 - u
        weights = (v**3, 3 * u**3 - 6 * u**2 + 4, 3 * v**3 - 6 * v**2 + 4, u**3)
        return self._combine(i, weights, zi, zj) / 6

    def derivative(self, y: npt.ArrayLike, zi: npt.ArrayLike, zj: npt.ArrayLike) -> FloatArray:
        """Return the derivatives with respect to y, shaped as the values."""
        i, u = self._locate(y)
        v = 1 - u
        weights = (-(v**2), 3 * u**2 - 4 * u, 4 * v - 3 * v**2, u**2)
        return self._combine(i, weights, zi, zj) / (2 * self.h)

    def _locate(self, y: npt.ArrayLike) -> tuple[npt.NDArray[np.intp], FloatArray]:
        """Interval and position in it, in units of h."""
        t = (np.asarray(y, dtype=np.float64) - self.x0) / self.h
        i = np.clip(np.floor(t).astype(np.intp), 0, self.n_nodes - 2)
        return i, t - i

    def _combine(
        self, i: npt.NDArray[np.intp], weights: tuple[FloatArray, ...], zi: npt.ArrayLike, zj: npt.ArrayLike
    ) -> FloatArray:
        zi, zj = np.asarray(zi), np.asarray(zj)
        total = np.zeros((1, len(self)))
        for k, weight in enumerate(weights):
            total = total + weight[..., None] * self.coefficients[zi, zj, i + k]
        return total.reshape(*np.broadcast_shapes(i.shape, zi.shape, zj.shape), len(self))


def natural_spline_coefficients(values: npt.ArrayLike) -> FloatArray:
    """Return B-spline coefficients (n_nodes + 2, ...) of the cubic through values (n_nodes, ...) at uniform nodes.

    The second derivative vanishes at both ends (natural spline). Node i has (c[i] + 4 c[i+1] + c[i+2])/6.
    """
    f = np.asarray(values, dtype=np.float64)
    if len(f) < 2:
        raise ValueError(f"a spline needs at least 2 nodes, got {len(f)}")
    c = np.empty((len(f) + 2, *f.shape[1:]))
    # y'' = 0 at the ends makes their coefficients equal the values there, which leaves a tridiagonal
    # system of 1, 4, 1 for the inner nodes: forward elimination, back substitution
    c[1], c[-2] = f[0], f[-1]
    pivot = np.empty(len(f))
    pivot[0] = np.inf
    for i in range(1, len(f) - 1):
        pivot[i] = 4 - 1 / pivot[i - 1]
        c[i + 1] = (6 * f[i] - c[i]) / pivot[i]
    for i in range(len(f) - 2, 0, -1):
        c[i + 1] -= c[i + 2] / pivot[i]
    c[0] = 2 * c[1] - c[2]
    c[-1] = 2 * c[-2] - c[-3]
    return c


def read_only(array: npt.ArrayLike) -> FloatArray:
    """Make a contiguous float64 copy that cannot be written to."""
    copy = np.array(array, dtype=np.float64, order="C")
    copy.setflags(write=False)
    return copy


def _count(n: int) -> int:
    if n < 1:
        raise ValueError(f"n, the number of polynomials, must be at least 1, got {n}")
    return n
