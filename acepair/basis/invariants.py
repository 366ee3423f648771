"""Rotation-invariant polynomials in harmonics: the blocks that `acepair.basis.coupling` puts together.

A function of angular momenta l₁ … l_ν is a homogeneous polynomial in variables Y_{l m}, one set per distinct (n, l).
Rotations act on polynomials as derivations, so invariant ones are those of M = Σ m = 0 that L₊ annihilates:

    L₊ Y_{l m} = √((l − m)(l + m + 1)) Y_{l, m+1},     L₊ (f g) = (L₊ f) g + f (L₊ g).

Factors of equal (n, l) commute by construction, so nothing needs to be symmetrised and no Clebsch–Gordan coefficient
appears. In coordinates where monomials have their invariant norm L₊ᵀL₊ at M = 0 has the eigenvalues L(L + 1), which
keeps the null space well apart; L₊ maps M = 0 onto M = 1, so its dimension is a difference of two counts and no rank
is guessed.
"""

from __future__ import annotations

import itertools
import math
from functools import cache
from typing import NamedTuple

import numpy as np

from .._types import FloatArray, IntArray

#: (l, multiplicity) of each distinct (n, l) of a function, l > 0.
Pattern = tuple[tuple[int, int], ...]

NEGLIGIBLE = 1e-12  #: coefficients that vanish come out near 1e-16, others at 6e-10 (order 4, l = 6) or above
TIE = 1e-8  #: relative difference below which two entries count as equally large


class Block(NamedTuple):
    """Invariant functions of one pattern over products of real harmonics.

    Attributes
    ----------
    rows : (n_functions, n_products) float
        Coefficients of each function.
    m : (n_products, n_factors) int
        Orders of each product's factors, ascending among factors of equal (n, l).
    """

    rows: FloatArray
    m: IntArray


@cache
def invariant_block(pattern: Pattern) -> Block:
    """Find all functions of a pattern that rotation and inversion leave unchanged.

    Rows are orthonormal over products of complex harmonics, do not depend on the linear algebra library beyond rounding
    and have a positive largest entry. Products that no function contains are left out.
    """
    ll = [l for l, repeat in pattern for _ in range(repeat)]
    if sum(ll) % 2 or 2 * max(ll, default=0) > sum(ll):
        return Block(np.zeros((0, 0)), np.zeros((0, len(ll)), dtype=np.int64))
    if not ll:
        return Block(np.ones((1, 1)), np.zeros((1, 0), dtype=np.int64))
    monomials = _Monomials(pattern)
    pairs = monomials.mirror_pairs()
    products, to_real = monomials.real_parts(pairs)
    rows = _pivoted_rows(monomials.null_space(pairs)) @ to_real
    rows[np.abs(rows) < NEGLIGIBLE] = 0
    used = rows.any(axis=0)
    return Block(_with_positive_peak(rows[:, used]), products[used])


class _MirrorPairs(NamedTuple):
    """Monomials paired with their mirror image m → −m.

    A half turn about y takes one into the other, with sign (−1)^Σ l = 1 at M = 0: invariant functions have equal
    coefficients on both. Coordinates are along (monomial + image)/√2, or the monomial itself where it is its own image.
    """

    first: IntArray
    second: IntArray
    norm: FloatArray  # √2, or 1 where both are the same


class _Monomials:
    """Products ∏ Y_{l m} with M = 0, m ascending within factors of equal (n, l), in lexicographic order of m."""

    def __init__(self, pattern: Pattern) -> None:
        self.l = np.array([l for l, repeat in pattern for _ in range(repeat)], dtype=np.int64)
        stops = np.cumsum([repeat for _, repeat in pattern]).tolist()
        self.runs = [slice(stop - repeat, stop) for stop, (_, repeat) in zip(stops, pattern, strict=True)]
        radix = 2 * self.l + 1
        self._place = np.append(np.cumprod(radix[:0:-1])[::-1], 1)
        self.m = self._enumerate()
        self._keys = self.keys(self.m)

    def _enumerate(self) -> IntArray:
        starts = {run.start for run in self.runs}
        rows = np.zeros((1, 0), dtype=np.int64)
        for t, l in enumerate(self.l):
            total, reach = rows.sum(axis=1), self.l[t + 1 :].sum()
            low = np.full(len(rows), -l) if t in starts else rows[:, -1]
            low = np.maximum(low, -reach - total)  # the factors to come must be able to bring M back to 0
            high = np.minimum(l, reach - total)
            count = np.maximum(high - low + 1, 0)
            parent = np.repeat(np.arange(len(rows)), count)
            rank = np.arange(len(parent)) - (np.cumsum(count) - count)[parent]
            rows = np.column_stack([rows[parent], low[parent] + rank])
        return rows

    def sort_runs(self, m: IntArray) -> IntArray:
        """Sort factors of equal (n, l), in place."""
        for run in self.runs:
            m[:, run].sort(axis=1)
        return m

    def keys(self, m: IntArray) -> IntArray:
        """Give each row of m a number; numbers ascend as rows do."""
        key: IntArray = (m + self.l) @ self._place
        return key

    def orbits(self, m: IntArray) -> FloatArray:
        """How many different orderings within factors of equal (n, l) each monomial stands for."""
        count = np.ones(len(m))
        for run in self.runs:
            equal = np.ones(len(m))
            for position, t in enumerate(range(run.start + 1, run.stop), start=2):
                equal = np.where(m[:, t] == m[:, t - 1], equal + 1, 1)
                count *= position / equal
        return count

    def mirror_pairs(self) -> _MirrorPairs:
        image = np.searchsorted(self._keys, self.keys(self.sort_runs(-self.m)))
        first = np.flatnonzero(np.arange(len(image)) <= image)
        second = image[first]
        return _MirrorPairs(first, second, np.where(first == second, 1.0, math.sqrt(2.0)))

    def null_space(self, pairs: _MirrorPairs) -> FloatArray:
        """Orthonormal rows over `pairs`: the coefficients of all invariant functions."""
        raising = self._raising()
        n_invariant = raising.shape[1] - raising.shape[0]
        folded = (raising[:, pairs.first] + raising[:, pairs.second]) * (pairs.norm / 2)
        vectors = np.linalg.eigh(folded.T @ folded)[1][:, :n_invariant]
        # Back from monomials of invariant norm to plain ones, on which the rows shall be orthonormal.
        scaled = vectors * np.sqrt(self.orbits(self.m[pairs.first]))[:, None]
        rows: FloatArray = np.linalg.qr(scaled)[0].T
        return rows

    def _raising(self) -> FloatArray:
        """Matrix of L₊ from M = 0 onto M = 1, between monomials scaled to their invariant norm."""
        targets, sources, values = [], [], []
        for t, l in enumerate(self.l):
            source = np.flatnonzero(self.m[:, t] < l)
            target = self.m[source]
            values.append(np.sqrt((l - target[:, t]) * (l + target[:, t] + 1)))
            target[:, t] += 1
            targets.append(self.sort_runs(target))
            sources.append(source)
        target = np.concatenate(targets)
        _, first, row = np.unique(self.keys(target), return_index=True, return_inverse=True)
        matrix = _dense(row, np.concatenate(sources), np.concatenate(values), (len(first), len(self.m)))
        scaled: FloatArray = matrix * np.sqrt(self.orbits(self.m) / self.orbits(target[first])[:, None])
        return scaled

    def real_parts(self, pairs: _MirrorPairs) -> tuple[IntArray, FloatArray]:
        """Products of real harmonics and the matrix (n_pairs, n_products) that writes each pair in them.

        With Y_m = (−1)^m (R_m + i R_−m)/√2 and Y_−m = (R_m − i R_−m)/√2 for m > 0 an image is the complex conjugate of
        its monomial, so only the real part remains: terms with an even number of R_−m.
        """
        m = self.m[pairs.first]
        sine = np.array([s for s in itertools.product((0, 1), repeat=m.shape[1]) if sum(s) % 2 == 0])
        source, term = np.nonzero(~(sine[None] * (m == 0)[:, None]).any(axis=2))
        m, sine = m[source], sine[term]
        real = self.sort_runs(np.where(sine == 1, -np.abs(m), np.abs(m)))
        powers_of_i = (sine * np.sign(m)).sum(axis=1)
        sign = (-1.0) ** (powers_of_i // 2 + np.maximum(m, 0).sum(axis=1))
        values = sign * pairs.norm[source] / np.sqrt(2.0) ** np.count_nonzero(m, axis=1)
        _, first, column = np.unique(self.keys(real), return_index=True, return_inverse=True)
        return real[first], _dense(source, column, values, (len(pairs.first), len(first)))


def _dense(row: IntArray, column: IntArray, values: FloatArray, shape: tuple[int, int]) -> FloatArray:
    """Matrix from triples; values at the same place add up."""
    flat = np.bincount(row * shape[1] + column, weights=values, minlength=shape[0] * shape[1])
    return flat.astype(np.float64, copy=False).reshape(shape)


def _pivoted_rows(rows: FloatArray) -> FloatArray:
    """Rotate orthonormal rows into a form that depends on their span alone.

    An eigensolver returns some orthonormal basis of a degenerate space; models must not depend on which. Here each row
    is what the span has along the coordinate where most of it is left.
    """
    rest, result = rows.copy(), np.empty_like(rows)
    for k in range(len(rows)):
        weight = (rest**2).sum(axis=0)
        pivot = np.argmax(weight > (1 - TIE) * weight.max())
        result[k] = rest[:, pivot] @ rest / math.sqrt(weight[pivot])
        rest -= np.outer(rest[:, pivot] / math.sqrt(weight[pivot]), result[k])
    return result


def _with_positive_peak(rows: FloatArray) -> FloatArray:
    """Choose signs: positive at the first of each row's largest entries."""
    size = np.abs(rows)
    peak = np.argmax(size > (1 - TIE) * size.max(axis=1, keepdims=True, initial=0), axis=1)
    signed: FloatArray = rows * np.sign(rows[np.arange(len(rows)), peak])[:, None]
    return signed
