"""Coupling against golden A2B, the textbook construction, character theory and invariance of B on random points."""

import itertools
import json
import math
from collections import Counter, defaultdict
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from reference import naive
from reference.selections import GOLDEN

from acepair.basis.coupling import couple
from acepair.basis.invariants import _pivoted_rows, invariant_block
from acepair.basis.selection import TotalDegree, select_many_body

DATA = Path(__file__).parent / "data"

#: (l, multiplicity) of the distinct (n, l).
PATTERNS = [
    ((1, 2),),
    ((3, 1), (3, 1)),
    ((2, 3),),
    ((1, 1), (2, 1), (3, 1)),
    ((2, 2), (4, 1)),
    ((1, 4),),
    ((2, 4),),
    ((1, 3), (3, 1)),
    ((1, 1), (1, 1), (2, 2)),
    ((1, 1), (1, 1), (1, 1), (1, 1)),
    ((2, 2), (2, 2)),
    ((4, 4),),
    ((2, 5),),
    ((1, 2), (1, 2), (2, 1)),
    ((1, 4), (2, 1)),
    ((1, 6),),
    ((2, 6),),
    ((1, 3), (1, 3)),
    ((1, 2), (1, 2), (1, 2)),
    ((1, 5), (3, 1)),
    ((2, 2), (1, 4)),
]


def entry_of(pattern):
    """A multiset of the pattern: a new n for each of its runs."""
    return tuple((n, l) for n, (l, repeat) in enumerate(pattern, start=1) for _ in range(repeat))


@cache
def golden_coupling(case):
    """Products as sorted tuples of (n, l, m) and the dense A2B of a golden model."""
    with np.load(DATA / f"{case}.model.npz") as file:
        z = {key: file[key] for key in file.files}
    selection = GOLDEN[case]
    level, bound, maxl = selection["level"], np.max(selection["max_level"]), selection.get("maxl", 30)
    radial = [(n, l) for l in range(maxl + 1) for n in range(1, 60) if level.level(n, l) <= bound + 1e-9]
    n_rnl = json.loads(bytes(z["meta_json"])).get("n_rnl", z.get("rnl_spline_coefs", np.empty(0)).shape[-1])
    assert len(radial) == n_rnl
    A = []
    for r, y in zip(z["aspec_r"], z["aspec_y"], strict=True):
        l = math.isqrt(y)
        assert radial[r][1] == l
        A.append((*radial[r], int(y) - l * l - l))
    orders = range(1, 1 + sum(key.startswith("aa_spec_") for key in z))
    products = [tuple(sorted(A[a] for a in row)) for order in orders for row in z[f"aa_spec_{order}"]]
    A2B = np.zeros(z["A2B_shape"])
    A2B[z["A2B_rows"], z["A2B_cols"]] = z["A2B_vals"]
    return products, A2B


def product_tuples(coupling):
    """Products as sorted tuples of (n, l, m), in the order of the columns."""
    A = [tuple(row) for row in coupling.A_spec.tolist()]
    return [tuple(sorted(A[a] for a in row)) for rows in coupling.products for row in rows]


def gram_by_block(products, A2B):
    """A2Bᵀ A2B of each (n, l) multiset: {multiset: {(product, product): value}} with sorted products."""
    columns = defaultdict(list)
    for k, product in enumerate(products):
        columns[tuple((n, l) for n, l, _ in product)].append(k)
    blocks = {}
    for nl, ks in columns.items():
        ks = sorted(ks, key=products.__getitem__)
        rows = A2B[np.abs(A2B[:, ks]).max(axis=1) > 0][:, ks]
        blocks[nl] = ([products[k] for k in ks], rows.T @ rows)
    return blocks


@pytest.mark.parametrize("case", sorted(GOLDEN))
def test_golden_coupling(case):
    coupling = couple(select_many_body(**GOLDEN[case]))
    products, A2B = golden_coupling(case)
    # A few Clebsch-Gordan coefficients vanish by accident; the golden files keep such products with 1e-17.
    used = np.abs(A2B).max(axis=0) > 1e-12
    products, A2B = [p for p, u in zip(products, used, strict=True) if u], A2B[:, used]
    assert set(product_tuples(coupling)) == set(products)
    assert len(products) == coupling.n_AA
    assert coupling.n_B == len(A2B)

    ours = gram_by_block(product_tuples(coupling), coupling.A2B.to_dense(coupling.n_AA))
    theirs = gram_by_block(products, A2B)
    assert ours.keys() == theirs.keys()
    for nl, (block_products, gram) in ours.items():
        assert block_products == theirs[nl][0]
        assert_allclose(gram, theirs[nl][1], rtol=0, atol=1e-12)


def test_counts_of_the_tutorial():
    coupling = couple(select_many_body(**GOLDEN["sio_tutorial"]))
    assert (coupling.n_B, len(coupling.A_spec), coupling.n_AA) == (110, 43, 230)
    assert [rows.shape for rows in coupling.products] == [(10, 1), (81, 2), (139, 3)]
    assert 2 * coupling.n_B + 2 * 10 == 240  # two species, ten pair functions


# The textbook construction -------------------------------------------------------------------------------------


def clebsch_gordan(j1, m1, j2, m2, J, M):
    """<j1 m1 j2 m2 | J M> by Racah's formula."""
    if m1 + m2 != M or not abs(j1 - j2) <= J <= j1 + j2 or abs(M) > J:
        return 0.0
    f = math.factorial
    norm = (2 * J + 1) * f(J + j1 - j2) * f(J - j1 + j2) * f(j1 + j2 - J) / f(j1 + j2 + J + 1)
    norm *= f(J + M) * f(J - M) * f(j1 - m1) * f(j1 + m1) * f(j2 - m2) * f(j2 + m2)
    total = 0.0
    for k in range(j1 + j2 - J + 1):
        arguments = (k, j1 + j2 - J - k, j1 - m1 - k, j2 + m2 - k, J - j2 + m1 + k, J - j1 - m2 + k)
        if min(arguments) >= 0:
            total += (-1) ** k / math.prod(f(a) for a in arguments)
    return math.sqrt(norm) * total


def coupling_paths(ll):
    """Tensors (m1 ... mν) that couple ll to L = 0, one per path of intermediate L's."""
    states = {(ll[0],): {((m,), m): 1.0 for m in range(-ll[0], ll[0] + 1)}}
    for l in ll[1:]:
        new = {}
        for path, tensor in states.items():
            for L in range(abs(path[-1] - l), path[-1] + l + 1):
                coupled = defaultdict(float)
                for ((mm, M), value), m in itertools.product(tensor.items(), range(-l, l + 1)):
                    c = clebsch_gordan(path[-1], M, l, m, L, M + m)
                    if c:
                        coupled[(*mm, m), M + m] += c * value
                new[*path, L] = coupled
        states = new
    return [{mm: v for (mm, _), v in tensor.items()} for path, tensor in states.items() if path[-1] == 0]


def sort_runs(mm, pattern):
    """Sort m inside runs of equal (n, l)."""
    it, result = iter(mm), ()
    for _, repeat in pattern:
        result += tuple(sorted(itertools.islice(it, repeat)))
    return result


def textbook_gram(pattern):
    """A2Bᵀ A2B over real products, as {(product, product): value}, by symmetrised generalised Clebsch-Gordan."""
    ll = [l for l, repeat in pattern for _ in range(repeat)]
    rows = []
    for tensor in coupling_paths(ll):
        row = defaultdict(float)
        for mm, value in tensor.items():  # every ordering of a sorted m-tuple adds to its coefficient
            row[sort_runs(mm, pattern)] += value
        rows.append(row)
    complex_products = sorted({mm for row in rows for mm in row})
    C = np.array([[row[mm] for mm in complex_products] for row in rows])
    _, s, Vt = np.linalg.svd(C, full_matrices=False)
    C = Vt[s > 1e-10 * s.max()]

    expansions = []
    for mm in complex_products:
        expansion = defaultdict(complex)
        for chosen in itertools.product(*(real_parts(m) for m in mm)):
            expansion[sort_runs([m for m, _ in chosen], pattern)] += math.prod(c for _, c in chosen)
        expansions.append(expansion)
    products = sorted({mm for expansion in expansions for mm in expansion})
    to_real = np.array([[expansion[mm] for mm in products] for expansion in expansions])
    real = C @ to_real
    assert np.abs(real.imag).max() < 1e-12
    used = np.abs(real).max(axis=0) > 1e-12
    return [mm for mm, u in zip(products, used, strict=True) if u], real.real[:, used].T @ real.real[:, used]


def real_parts(m):
    """Y_m as [(order of R, coefficient)]."""
    if m == 0:
        return [(0, 1)]
    if m > 0:
        return [(m, (-1) ** m / math.sqrt(2)), (-m, 1j * (-1) ** m / math.sqrt(2))]
    return [(-m, 1 / math.sqrt(2)), (m, -1j / math.sqrt(2))]


@pytest.mark.parametrize("pattern", [p for p in PATTERNS if math.prod((2 * l + 1) ** k for l, k in p) <= 3200])
def test_textbook_construction(pattern):
    expected_products, expected = textbook_gram(pattern)
    block = invariant_block(pattern)
    order = sorted(range(len(block.m)), key=lambda k: tuple(block.m[k]))
    assert [tuple(block.m[k]) for k in order] == expected_products
    assert_allclose((block.rows.T @ block.rows)[np.ix_(order, order)], expected, rtol=0, atol=1e-12)


# Counting ------------------------------------------------------------------------------------------------------


def n_invariants(pattern):
    """Multiplicity of L = 0 in the product of symmetric powers: ∫ χ(θ) (1 − cos θ) dθ/2π, exact on an even grid."""
    total = sum(l * repeat for l, repeat in pattern)
    theta = 2 * np.pi * np.arange(2 * total + 4) / (2 * total + 4)
    character = np.ones_like(theta)
    for l, repeat in pattern:
        power_sums = [np.cos(np.outer(np.arange(-l, l + 1) * k, theta)).sum(axis=0) for k in range(1, repeat + 1)]
        h = [np.ones_like(theta)]  # complete homogeneous polynomials, by Newton's identities
        for k in range(1, repeat + 1):
            h.append(sum(power_sums[i - 1] * h[k - i] for i in range(1, k + 1)) / k)
        character *= h[repeat]
    return round(float(np.mean(character * (1 - np.cos(theta)))))


def even_patterns(order, lmax):
    """All patterns of an order: a multiset of (l, multiplicity) with an even sum."""

    def patterns(remaining, start):
        if remaining == 0:
            yield ()
        for run in itertools.product(range(1, lmax + 1), range(1, remaining + 1)):
            if run >= start:
                yield from ((run, *rest) for rest in patterns(remaining - run[1], run))

    return [p for p in patterns(order, (0, 0)) if sum(l * k for l, k in p) % 2 == 0]


@pytest.mark.parametrize(("order", "lmax"), [(1, 6), (2, 6), (3, 6), (4, 3), (5, 2), (6, 1), (7, 1), (8, 1)])
def test_number_of_functions_from_characters(order, lmax):
    for pattern in even_patterns(order, lmax):
        block = invariant_block(pattern)
        assert len(block.rows) == n_invariants(pattern), pattern
        if len(block.rows):
            s = np.linalg.svd(block.rows, compute_uv=False)
            assert s[-1] > 1e-3 * s[0], pattern  # independent


@pytest.mark.parametrize("ll", [(1,), (3,), (1, 2), (1, 1, 1), (2, 2, 1), (1, 1, 4), (1, 1, 1, 2), (1, 1, 1, 1, 1)])
def test_multisets_without_invariant_functions(ll):
    coupling = couple([[(n, l) for n, l in enumerate(ll, start=1)]])
    assert coupling.n_B == coupling.n_AA == len(coupling.A_spec) == len(coupling.mb_spec_of_B) == 0
    assert [rows.shape for rows in coupling.products] == [(0, order) for order in range(1, len(ll) + 1)]


# Invariance ----------------------------------------------------------------------------------------------------


def random_rotation(rng):
    Q, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    return Q * np.linalg.det(Q)


def evaluate(coupling, points, radial):
    """B of a cloud of points, A_{nlm} = Σ_j radial[n, l][j] Y_lm(points[j])."""
    l_max = int(coupling.A_spec[:, 1].max(initial=0))
    Y = naive.angular_values(l_max, points.astype(complex), solid=False).real
    A = np.array([radial[n, l] @ Y[:, l * l + l + m] for n, l, m in coupling.A_spec.tolist()])
    AA = np.concatenate([A[rows].prod(axis=1) for rows in coupling.products])
    return coupling.A2B.to_dense(coupling.n_AA) @ AA


def check_invariance(mb_spec):
    coupling = couple(mb_spec)
    rng = np.random.default_rng(1)
    points = rng.normal(size=(11, 3))
    radial = {nl: rng.normal(size=len(points)) for entry in coupling.mb_spec_of_B for nl in entry}
    B = evaluate(coupling, points, radial)
    assert (np.abs(B) > 1e-6 * np.abs(B).max()).mean() > 0.9
    for moved in (points @ random_rotation(rng).T, points @ random_rotation(rng).T, -points):
        assert_allclose(evaluate(coupling, moved, radial), B, rtol=0, atol=1e-11 * np.abs(B).max())


@pytest.mark.parametrize("pattern", PATTERNS)
def test_invariant_under_rotation_and_inversion(pattern):
    check_invariance([entry_of(pattern)])


@pytest.mark.parametrize(("order", "max_level"), [(3, 10), (4, 11), (5, 11), (6, 12)])
def test_selected_basis_is_invariant(order, max_level):
    check_invariance(select_many_body(order, TotalDegree(), max_level))


# Layout --------------------------------------------------------------------------------------------------------


def test_one_particle_functions_sorted_and_complete():
    coupling = couple(select_many_body(4, TotalDegree(), 11))
    nlm = coupling.A_spec.tolist()
    assert nlm == sorted(nlm, key=lambda row: (row[1], row[0], row[2]))
    m_of = defaultdict(list)
    for n, l, m in nlm:
        m_of[n, l].append(m)
    assert all(m == list(range(-l, l + 1)) for (_, l), m in m_of.items())
    assert set(m_of) == {nl for entry in coupling.mb_spec_of_B for nl in entry}


def test_products_sorted_unique_and_used():
    coupling = couple(select_many_body(4, TotalDegree(), 11))
    for rows in coupling.products:
        assert (np.diff(rows, axis=1) >= 0).all()
        as_tuples = list(map(tuple, rows.tolist()))
        assert as_tuples == sorted(set(as_tuples))
    dense = coupling.A2B.to_dense(coupling.n_AA)
    assert np.abs(dense).max(axis=0).min() > 1e-6
    assert np.abs(coupling.A2B.data).min() > 1e-6
    indptr, indices, _ = coupling.A2B
    assert all((np.diff(indices[a:b]) > 0).all() for a, b in itertools.pairwise(indptr))


def test_largest_entry_of_each_row_is_positive():
    coupling = couple(select_many_body(4, TotalDegree(), 11))
    dense = coupling.A2B.to_dense(coupling.n_AA)
    assert_allclose(dense.max(axis=1), np.abs(dense).max(axis=1), rtol=1e-7)


def test_functions_follow_the_specification():
    quadruple = ((1, 2), (2, 2), (3, 2), (4, 2))
    coupling = couple([[(2, 1), (1, 1)], [(1, 0)], [(1, 1)], [{"n": 3, "l": 0}, {"n": 1, "l": 0}], quadruple])
    assert coupling.mb_spec_of_B == [((2, 1), (1, 1)), ((1, 0),), ((3, 0), (1, 0)), *[quadruple] * 5]
    products = product_tuples(coupling)
    dense = coupling.A2B.to_dense(coupling.n_AA)
    rows = [{tuple((n, l) for n, l, _ in products[k]) for k in np.flatnonzero(row)} for row in dense]
    assert rows == [{tuple(sorted(entry))} for entry in coupling.mb_spec_of_B]


def test_order_of_factors_and_entries_changes_no_function():
    mb_spec = select_many_body(4, TotalDegree(), 9)
    rng = np.random.default_rng(3)
    shuffled = [tuple(mb_spec[k][t] for t in rng.permutation(len(mb_spec[k]))) for k in rng.permutation(len(mb_spec))]
    a, b = couple(mb_spec), couple(shuffled)
    assert_array_equal(a.A_spec, b.A_spec)
    for mine, other in zip(a.products, b.products, strict=True):
        assert_array_equal(mine, other)
    rows_of = defaultdict(list)
    for entry, row in zip(b.mb_spec_of_B, b.A2B.to_dense(b.n_AA), strict=True):
        rows_of[tuple(sorted(entry))].append(row)
    for entry, row in zip(a.mb_spec_of_B, a.A2B.to_dense(a.n_AA), strict=True):
        assert_array_equal(row, rows_of[tuple(sorted(entry))].pop(0))


@pytest.mark.parametrize("n_rows", [1, 2, 7])
def test_rows_depend_on_their_span_alone(n_rows):
    rng = np.random.default_rng(n_rows)
    rows = np.linalg.qr(rng.normal(size=(20, n_rows)))[0].T
    rotation = np.linalg.qr(rng.normal(size=(n_rows, n_rows)))[0]
    pivoted = _pivoted_rows(rows)
    assert_allclose(pivoted @ pivoted.T, np.eye(n_rows), atol=1e-14)
    assert_allclose(pivoted.T @ pivoted, rows.T @ rows, atol=1e-14)
    assert_allclose(_pivoted_rows(rotation @ rows), pivoted, atol=1e-13)


def test_arrays_cannot_be_changed():
    coupling = couple([[(1, 0)], [(1, 1), (2, 1)]])
    for array in (coupling.A_spec, *coupling.products, *coupling.A2B):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


def test_empty_specification():
    coupling = couple([])
    assert coupling.n_B == coupling.n_AA == 0
    assert coupling.A_spec.shape == (0, 3)
    assert coupling.products == ()
    assert_array_equal(coupling.A2B.indptr, [0])


def test_coefficients_of_a_pair_of_factors():
    # Norm 1 over complex products: three of them, Y_m Y_−m, and with equal factors two, of which one counts twice.
    coupling = couple([[(1, 1), (2, 1)]])
    assert_allclose(coupling.A2B.data, [1 / math.sqrt(3)] * 3)
    coupling = couple([[(1, 1), (1, 1)]])
    assert Counter(map(tuple, coupling.products[1].tolist())) == Counter([(0, 0), (1, 1), (2, 2)])
    assert_allclose(coupling.A2B.data, [1 / math.sqrt(5)] * 3)


@pytest.mark.parametrize(
    ("mb_spec", "error", "message"),
    [
        ([[(1, 0)], []], ValueError, r"mb_spec\[1\] must have at least one factor, got none"),
        ([[(1, 1), (2, 1)], [(2, 1), (1, 1)]], ValueError, "mb_spec must name each multiset once, got"),
        ([[(0, 1)]], ValueError, r"mb_spec\[0\] must have n at least 1 and l at least 0, got \(0, 1\)"),
        ([[(1, 0)], [(1,)]], TypeError, r"mb_spec\[1\] must be a pair of integers \(n, l\), got \(1,\)"),
    ],
)
def test_bad_specification(mb_spec, error, message):
    with pytest.raises(error, match=message):
        couple(mb_spec)
