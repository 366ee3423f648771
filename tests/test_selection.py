"""Basis selection against brute force, golden lists and published counts."""

import itertools
import json
import math
from pathlib import Path

import numpy as np
import pytest
from reference.selections import GOLDEN

from acepair.basis.selection import EuclideanDegree, TotalDegree, as_nl, select_many_body

DATA = Path(__file__).parent / "data"


def couple_to_scalar(ll):
    """Whether L = 0 is among the L that l's couple to one after the other."""
    reached = {0}
    for l in ll:
        reached = {L for K in reached for L in range(abs(K - l), K + l + 1)}
    return 0 in reached and sum(ll) % 2 == 0


def brute_force(order, total, bounds, n_max, l_max):
    channels = list(itertools.product(range(1, n_max + 1), range(l_max + 1)))
    return {
        nl
        for size in range(1, order + 1)
        for nl in itertools.combinations_with_replacement(channels, size)
        if total(nl) <= bounds[size - 1] + 1e-9 and couple_to_scalar([l for _, l in nl])
    }


def as_multisets(mb_spec):
    multisets = [tuple(sorted(entry)) for entry in mb_spec]
    assert len(set(multisets)) == len(multisets)
    return set(multisets)


@pytest.mark.parametrize("case", sorted(GOLDEN.keys() - {"tial_ace1"}))  # its file has no list
def test_golden_list_in_golden_order(case):
    with np.load(DATA / f"{case}.model.npz") as file:
        nnll = json.loads(bytes(file["meta_json"]))["nnll"]
    # meta names a multiset once per function it has, and holds long lists as text.
    golden = [tuple(map(tuple, entry)) for entry in (json.loads(nnll) if isinstance(nnll, str) else nnll)]
    assert select_many_body(**GOLDEN[case]) == list(dict.fromkeys(golden))


@pytest.mark.parametrize(
    ("order", "bounds", "wn", "wl"),
    [
        (1, [7], 1, 2 / 3),
        (2, [9, 9], 1, 1),
        (3, [7, 7, 7], 1, 2 / 3),
        (4, [6, 5, 6, 5.5], 1, 1),
        (3, [4, 3.5, 3], 3, 0.7),
    ],
)
def test_total_degree_against_brute_force(order, bounds, wn, wl):
    def total(nl):
        return sum(n / wn + l / wl for n, l in nl)

    selected = select_many_body(order, TotalDegree(wn, wl), bounds)
    n_max, l_max = round(wn * max(bounds)), round(wl * max(bounds))
    assert as_multisets(selected) == brute_force(order, total, bounds, n_max, l_max)


@pytest.mark.parametrize(("order", "bound", "wn", "wl"), [(1, 5, 1, 2 / 3), (3, 4.2, 1, 1), (4, 4, 1.3, 2 / 3)])
def test_euclidean_degree_against_brute_force(order, bound, wn, wl):
    def total(nl):
        return math.sqrt(sum((n / wn) ** 2 + (l / wl) ** 2 for n, l in nl))

    selected = select_many_body(order, EuclideanDegree(wn, wl), bound)
    assert as_multisets(selected) == brute_force(order, total, [bound] * order, n_max=6, l_max=5)


def test_caps_alone_bound_the_basis():
    selected = select_many_body(3, TotalDegree(), math.inf, maxl=2, maxn=3)
    assert as_multisets(selected) == brute_force(3, lambda nl: 0, [0, 0, 0], n_max=3, l_max=2)


def test_caps_cut_a_bounded_basis():
    free = select_many_body(3, TotalDegree(), 9)
    capped = select_many_body(3, TotalDegree(), 9, maxl=2, maxn=4)
    assert capped == [entry for entry in free if all(n <= 4 and l <= 2 for n, l in entry)]


def test_species_channels_share_a_level():
    by_weight = select_many_body(3, TotalDegree(wn=2), 6)
    assert by_weight == select_many_body(3, TotalDegree(), 6, n_species_level=2)
    # ace1_model of two elements, order 3, total degree 6: every multiset carries one function.
    assert len(by_weight) == 123
    assert len(select_many_body(2, EuclideanDegree(), 4, n_species_level=3)) == len(
        select_many_body(2, EuclideanDegree(wn=3), 4)
    )


def test_grouped_by_order_and_sorted():
    level = TotalDegree()
    selected = select_many_body(4, level, 9)
    ranks = [(len(entry), [(round(level.level(n, l), 9), l, n) for n, l in entry]) for entry in selected]
    assert ranks == sorted(ranks)
    assert all(rank == sorted(rank) for _, rank in ranks)


def test_levels():
    assert TotalDegree().level(3, 2) == pytest.approx(6)
    assert TotalDegree(wn=2, wl=0.5).total([(1, 0), (3, 2)]) == pytest.approx(6)
    assert EuclideanDegree().level(4, 2) == pytest.approx(5)
    assert EuclideanDegree(wn=2, wl=1).total([(2, 1), (4, 2), (2, 1)]) == pytest.approx(math.sqrt(12))


def test_a_bound_below_every_level_selects_nothing():
    assert select_many_body(2, TotalDegree(), 0.5) == []
    assert {len(entry) for entry in select_many_body(3, TotalDegree(), [5, 0.5, 5])} == {1, 3}


def test_factors_as_pairs_and_mappings():
    assert as_nl((np.int64(2), 1)) == as_nl({"n": 2, "l": 1}) == as_nl([2, 1]) == (2, 1)


@pytest.mark.parametrize("factor", [3, (1,), (1, 2, 3), {"n": 1}, (1.5, 0), "ab", None])
def test_factor_of_the_wrong_kind(factor):
    with pytest.raises(TypeError, match=r"mb_spec\[3\] must be a pair of integers \(n, l\), got"):
        as_nl(factor, "mb_spec[3]")


@pytest.mark.parametrize("factor", [(0, 0), (1, -1)])
def test_factor_out_of_range(factor):
    with pytest.raises(ValueError, match="factor must have n at least 1 and l at least 0, got"):
        as_nl(factor)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"order": 0}, "order must be at least 1, got 0"),
        ({"max_level": -1}, "max_level must be positive, got -1"),
        ({"max_level": [5, math.nan, 5]}, "max_level must be positive, got"),
        ({"max_level": [5, 4]}, r"max_level must be one number or one per order \(3\), got \[5, 4\]"),
        ({"max_level": math.inf}, "max_level must be finite unless maxl and maxn are given, got inf"),
        ({"maxl": -1}, "maxl must be at least 0, got -1"),
        ({"maxn": 0}, "maxn must be at least 1, got 0"),
        ({"n_species_level": 0}, "n_species_level must be at least 1, got 0"),
    ],
)
def test_values_out_of_range(change, message):
    with pytest.raises(ValueError, match=message):
        select_many_body(**({"order": 3, "level": TotalDegree(), "max_level": 5} | change))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"order": 2.5}, "order must be an integer, got 2.5"),
        ({"level": 3}, "level must be a TotalDegree or EuclideanDegree, got 3"),
        ({"max_level": "high"}, "max_level must be a number or one per order, got 'high'"),
    ],
)
def test_values_of_the_wrong_kind(change, message):
    with pytest.raises(TypeError, match=message):
        select_many_body(**({"order": 3, "level": TotalDegree(), "max_level": 5} | change))


@pytest.mark.parametrize("weights", [{"wn": 0}, {"wl": -1}, {"wn": math.inf}, {"wl": math.nan}])
def test_weights_out_of_range(weights):
    with pytest.raises(ValueError, match="must be positive and finite, got"):
        TotalDegree(**weights)
