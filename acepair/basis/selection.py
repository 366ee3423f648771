"""Which many-body functions a model has: levels of (n, l) factors and the enumeration under a bound."""

from __future__ import annotations

import math
import numbers
import operator
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from .._types import FloatArray, IntArray

NL = tuple[int, int]  #: radial index n (from 1) and angular momentum l of one factor

#: Levels are sums of rounded quotients such as l / (2/3); a bound met up to this counts as met.
LEVEL_TOLERANCE = 1e-9


def as_nl(factor: object, name: str = "factor") -> NL:
    """Read one (n, l) factor, given as a pair or as a mapping with keys n and l.

    Parameters
    ----------
    factor : pair of int, or mapping
        Radial index n (from 1) and angular momentum l (from 0).
    name : str
        What an error message calls it.

    Raises
    ------
    TypeError
        If n or l is missing or not an integer.
    ValueError
        If n < 1 or l < 0.
    """
    try:
        pair: Any = (factor["n"], factor["l"]) if isinstance(factor, Mapping) else factor
        n, l = (operator.index(value) for value in pair)
    except (TypeError, ValueError, KeyError):
        raise TypeError(f"{name} must be a pair of integers (n, l), got {factor!r}") from None
    if n < 1 or l < 0:
        raise ValueError(f"{name} must have n at least 1 and l at least 0, got {(n, l)}")
    return n, l


@dataclass(frozen=True)
class _Degree:
    """Level of a function as the `_power`-norm of its factors' levels."""

    wn: float = 1.0
    wl: float = 2 / 3

    _power: ClassVar[int]

    def __post_init__(self) -> None:
        for name, value in (("wn", self.wn), ("wl", self.wl)):
            if not (isinstance(value, numbers.Real) and 0 < value < math.inf):
                raise ValueError(f"{name} must be positive and finite, got {value!r}")

    def total(self, nl: Iterable[tuple[float, int]]) -> float:
        """Level of a function with the (n, l) factors `nl`."""
        return self._norm(sum(self._cost(n, l) for n, l in nl))

    def level(self, n: float, l: int) -> float:
        """Level of the single factor (n, l)."""
        return self._norm(self._cost(n, l))

    def _cost(self, n: float, l: int) -> float:
        """Contribution of one factor to the additive quantity that a bound on the level limits."""
        raise NotImplementedError

    def _norm(self, cost: float) -> float:
        return float(cost ** (1 / self._power))


class TotalDegree(_Degree):
    """Level Σ (n/wn + l/wl) over the factors of a function.

    Parameters
    ----------
    wn, wl : float
        Weights. The defaults, 1 and 2/3, give n + 1.5 l, the level of `ace_model`; wn = number of elements gives
        that of `ace1_model`, where n counts the radial functions of all elements in turn.
    """

    _power = 1

    def _cost(self, n: float, l: int) -> float:
        return n / self.wn + l / self.wl


class EuclideanDegree(_Degree):
    """Level √Σ ((n/wn)² + (l/wl)²) over the factors of a function.

    Parameters
    ----------
    wn, wl : float
        Weights, 1 and 2/3 unless given.
    """

    _power = 2

    def _cost(self, n: float, l: int) -> float:
        return (n / self.wn) ** 2 + (l / self.wl) ** 2


Degree = TotalDegree | EuclideanDegree


def select_many_body(
    order: int,
    level: Degree,
    max_level: float | Sequence[float],
    *,
    maxl: int | None = None,
    maxn: int | None = None,
    n_species_level: int = 1,
) -> list[tuple[NL, ...]]:
    """List the (n, l) multisets of all many-body functions up to a level.

    A multiset is kept if its level does not exceed the bound of its order, its angular momenta couple to L = 0 and
    their sum is even. It may still carry no function when permutation symmetry forbids all of them.

    Parameters
    ----------
    order : int
        Largest number of factors, the correlation order.
    level : TotalDegree or EuclideanDegree
        How the level of a function is measured.
    max_level : float or sequence of float
        Bound on the level, one for all orders or one per order. May be infinite if `maxl` and `maxn` are given.
    maxl, maxn : int, optional
        Largest l and n of any factor.
    n_species_level : int
        The level is measured with n / n_species_level: the number of elements where n runs over the radial
        functions of all elements in turn.

    Returns
    -------
    list of tuple of (n, l)
        Grouped by order; within one, lexicographic after sorting the (n, l) by (level, l, n), as in ACEpotentials.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind or out of range.
    """
    order, n_species_level = _at_least(1, order, "order"), _at_least(1, n_species_level, "n_species_level")
    maxl = None if maxl is None else _at_least(0, maxl, "maxl")
    maxn = None if maxn is None else _at_least(1, maxn, "maxn")
    if not isinstance(level, TotalDegree | EuclideanDegree):
        raise TypeError(f"level must be a TotalDegree or EuclideanDegree, got {level!r}")
    bounds = _bounds(max_level, order)
    if math.inf in bounds and (maxl is None or maxn is None):
        raise ValueError(f"max_level must be finite unless maxl and maxn are given, got {max_level!r}")

    selected: list[tuple[NL, ...]] = []
    for factors, bound in enumerate(bounds, start=1):
        limit = bound**level._power + LEVEL_TOLERANCE
        nl, cost = _channels(level, limit, maxl, maxn, n_species_level)
        chosen = _bounded_multisets(cost, factors, limit)
        chosen = chosen[_couples_to_scalar(nl[chosen, 1])]
        pairs: list[NL] = [(int(n), int(l)) for n, l in nl]
        selected += [tuple(pairs[k] for k in row) for row in chosen.tolist()]
    return selected


def _at_least(minimum: int, value: Any, name: str) -> int:
    try:
        value = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be an integer, got {value!r}") from None
    if value < minimum:
        raise ValueError(f"{name} must be at least {minimum}, got {value}")
    return int(value)


def _bounds(max_level: float | Sequence[float], order: int) -> list[float]:
    """One positive bound per order."""
    try:
        values = np.array(max_level, dtype=np.float64)
    except (TypeError, ValueError):
        raise TypeError(f"max_level must be a number or one per order, got {max_level!r}") from None
    if values.ndim and values.shape != (order,):
        raise ValueError(f"max_level must be one number or one per order ({order}), got {max_level!r}")
    if not (values > 0).all():  # also catches NaN
        raise ValueError(f"max_level must be positive, got {max_level!r}")
    return [float(v) for v in np.broadcast_to(values, (order,))]


def _channels(
    level: Degree, limit: float, maxl: int | None, maxn: int | None, n_species_level: int
) -> tuple[IntArray, FloatArray]:
    """List the (n, l) whose cost alone is within the limit, and their costs, sorted by (cost, l, n)."""
    radius = level._norm(limit)
    top_n = _capped(radius * level.wn * n_species_level, maxn)
    top_l = _capped(radius * level.wl, maxl)
    rows = [(level._cost(n / n_species_level, l), l, n) for l in range(top_l + 1) for n in range(1, top_n + 1)]
    # Costs that differ by rounding only must tie, or the order of functions would depend on it.
    rows = sorted((round(cost, 10), l, n) for cost, l, n in rows if cost <= limit)
    nl = np.array([(n, l) for _, l, n in rows], dtype=np.int64).reshape(-1, 2)
    return nl, np.array([cost for cost, _, _ in rows])


def _capped(reach: float, cap: int | None) -> int:
    if math.isinf(reach):
        assert cap is not None  # checked with the bounds
        return cap
    reached = math.floor(reach + LEVEL_TOLERANCE)
    return reached if cap is None else min(reached, cap)


def _bounded_multisets(cost: FloatArray, size: int, limit: float) -> IntArray:
    """Non-decreasing index tuples of the given size with Σ cost within the limit, in lexicographic order.

    Later factors cost at least as much as the one being added, so a tuple is extended only if it can be completed:
    the work is proportional to the number of results.
    """
    rows = np.zeros((1, 0), dtype=np.int64)
    spent = np.zeros(1)
    for remaining in range(size, 0, -1):
        first = rows[:, -1] if rows.shape[1] else np.zeros(1, dtype=np.int64)
        stop = np.maximum(np.searchsorted(cost, (limit - spent) / remaining, side="right"), first)
        parent = np.repeat(np.arange(len(rows)), stop - first)
        begin = np.cumsum(stop - first) - (stop - first)
        added = np.arange(len(parent)) - begin[parent] + first[parent]
        rows = np.column_stack([rows[parent], added])
        spent = spent[parent] + cost[added]
    return rows


def _couples_to_scalar(ll: IntArray) -> npt.NDArray[np.bool_]:
    """Whether the angular momenta in each row have an even sum and can couple to L = 0."""
    total = ll.sum(axis=1)
    result: npt.NDArray[np.bool_] = (total % 2 == 0) & (2 * ll.max(axis=1, initial=0) <= total)
    return result
