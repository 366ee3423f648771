"""Piecewise polynomials for radial functions that the kernels cannot evaluate themselves: Python callables, splines."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from functools import cache

import numpy as np
from numpy.polynomial import chebyshev, polynomial

from .._types import FloatArray
from ..basis.polynomials import SplineTable

DEGREE = 7
MAX_INTERVALS = 16384
TOLERANCE = 1e-11  #: of the largest value, which every smooth function reaches
AIM = 1e-14  #: of the largest value: slopes lose as many digits as the intervals are short
CONTINUE_BELOW = 0.05  #: Å; a function that diverges at r = 0 continues as a straight line from here


def spline_table(splines: SplineTable) -> FloatArray:
    """Return the splines' polynomials (NZ, NZ, n_intervals, 4, n_functions) in t ∈ [0, 1) of each interval."""
    c = splines.coefficients
    c0, c1, c2, c3 = c[:, :, :-3], c[:, :, 1:-2], c[:, :, 2:-1], c[:, :, 3:]
    powers = (c0 + 4 * c1 + c2, 3 * (c2 - c0), 3 * (c0 - 2 * c1 + c2), c3 - c0 + 3 * (c1 - c2))
    return np.stack(powers, axis=3) / 6


def tabulate(function: Callable[[FloatArray], FloatArray], rcut: float, what: str) -> FloatArray:
    """Return polynomials (n_intervals, DEGREE + 1, n_functions) in t of uniform intervals of r ∈ [0, rcut].

    Intervals are halved until values between the nodes agree to 1e-11 of each function's largest value, and on as
    long as that still gains digits.

    Parameters
    ----------
    function : callable
        r (n,) in Å ↦ values (n, n_functions).
    rcut : float
        End of the table (Å).
    what : str
        Names the functions in errors and warnings.

    Warns
    -----
    UserWarning
        If a function is not smooth enough to be tabulated that well.
    """
    with np.errstate(all="ignore"):
        finite_at_zero = bool(np.isfinite(function(np.array([0.0, 1e-9 * rcut]))).all())
    start = 0.0 if finite_at_zero else CONTINUE_BELOW
    n_intervals, error = 32, np.inf
    while n_intervals < MAX_INTERVALS:
        n_intervals *= 2
        coarser, (table, error) = error, _interpolate(function, rcut, start, n_intervals, what)
        gained = error < coarser / 16
        if error < AIM or (error < TOLERANCE and not gained):
            break
    if error > TOLERANCE:
        message = f"{what} is not smooth: its table agrees to {error:.0e} of the largest value only"
        warnings.warn(message, UserWarning, stacklevel=2)
    return table


def tabulate_pairs(functions: Sequence[Callable[[FloatArray], FloatArray]], rcut: FloatArray, what: str) -> FloatArray:
    """Return tables (n_pairs, n_intervals, degree + 1, n_functions), as fine as the hardest pair needs.

    Parameters
    ----------
    functions : sequence of callables
        As `tabulate`, one for each species pair.
    rcut : (n_pairs,)
        End of each table (Å).
    what : str
        Names the functions in errors and warnings.
    """
    # a table is exact in r ≤ rcut only; the end belongs to it, though no edge sits there
    tables = [tabulate(f, cut * (1 - 1e-15), what) for f, cut in zip(functions, rcut, strict=True)]
    n = max(len(t) for t in tables)
    return np.stack([_subdivide(t, n // len(t)) for t in tables])


def _subdivide(table: FloatArray, k: int) -> FloatArray:
    """Return the same piecewise polynomials on k times as many intervals."""
    if k == 1:
        return table
    degree = table.shape[1] - 1
    parts = []
    for part in range(k):  # t = (part + u)/k
        shift = np.zeros((degree + 1, degree + 1))
        for d in range(degree + 1):
            for e in range(d + 1):
                shift[e, d] = _binomial(d, e) * part ** (d - e) / k**d
        parts.append(np.einsum("ed,ndf->nef", shift, table))
    return np.stack(parts, axis=1).reshape(-1, *table.shape[1:])


def _binomial(n: int, k: int) -> int:
    return 1 if k == 0 else _binomial(n - 1, k - 1) * n // k


def _interpolate(
    function: Callable[[FloatArray], FloatArray], rcut: float, start: float, n_intervals: int, what: str
) -> tuple[FloatArray, float]:
    """Interpolating polynomials and their largest error between the nodes, relative to each function's maximum."""
    h = rcut / n_intervals
    first = int(np.ceil(start / h))
    nodes = chebyshev.chebpts1(DEGREE + 1)
    between = np.cos(np.pi * np.arange(1, DEGREE + 1) / (DEGREE + 1))  # extrema of the node polynomial
    left = h * np.arange(first, n_intervals)[:, None]
    values = _values(function, left + h * (nodes + 1) / 2, what)
    coefficients = np.linalg.solve(chebyshev.chebvander(nodes, DEGREE), values)  # (interval, degree, function)
    exact = _values(function, left + h * (between + 1) / 2, what)
    error = np.abs(np.einsum("td,kdf->ktf", chebyshev.chebvander(between, DEGREE), coefficients) - exact)
    scale = np.maximum(np.abs(exact).max(axis=(0, 1)), np.finfo(float).tiny)
    powers = np.einsum("pd,kdf->kpf", _powers_of_t(), coefficients)
    table = np.concatenate([_straight_line(powers[0], first), powers])
    return table, float((error.max(axis=(0, 1)) / scale).max(initial=0.0))


def _values(function: Callable[[FloatArray], FloatArray], r: FloatArray, what: str) -> FloatArray:
    values = np.asarray(function(r.ravel()), dtype=np.float64)
    if not np.isfinite(values).all():
        bad = r.ravel()[~np.isfinite(values).all(axis=1)][0]
        raise ValueError(f"{what} must be finite inside the cutoff, got a value that is not at r = {bad:.6g} Å")
    return values.reshape(*r.shape, -1)


@cache
def _powers_of_t() -> FloatArray:
    """Matrix from Chebyshev coefficients in x ∈ [−1, 1] to powers of t = (x + 1)/2."""
    matrix = np.zeros((DEGREE + 1, DEGREE + 1))
    for d in range(DEGREE + 1):
        in_x = chebyshev.cheb2poly(np.eye(DEGREE + 1)[d])
        in_t = np.zeros(1)
        for coefficient in in_x[::-1]:  # Horner's rule with x = 2t − 1
            in_t = polynomial.polyadd(polynomial.polymul(in_t, [-1.0, 2.0]), [coefficient])
        matrix[: len(in_t), d] = in_t[: DEGREE + 1]
    return matrix


def _straight_line(polynomial_after: FloatArray, n_intervals: int) -> FloatArray:
    """Intervals that continue the next one as a straight line: value and slope go on without a jump."""
    line = np.zeros((n_intervals, *polynomial_after.shape))
    value, slope = polynomial_after[0], polynomial_after[1]
    line[:, 0] = value + slope * (np.arange(n_intervals) - n_intervals)[:, None]
    line[:, 1] = slope
    return line
