"""The many-body basis of a model: functions found in its embeddings, and bases made from arrays."""

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from acepair.basis.coupling import CSR
from acepair.basis.many_body import SparseACEBasis
from acepair.basis.selection import TotalDegree, select_many_body

RADIAL_SPEC = [(n, l) for n in range(1, 7) for l in range(5)]


def test_basis_of_single_factors():
    """Part 4 of ACEpotentials' tutorial on building a model from scratch: 30 single factors, 6 functions."""
    basis = SparseACEBasis([[nl] for nl in RADIAL_SPEC], RADIAL_SPEC, lmax=4)
    assert len(basis) == 6
    assert basis.lmax == 0
    assert_array_equal(basis.A_radial, [0, 5, 10, 15, 20, 25])
    assert_array_equal(basis.A_angular, [0] * 6)
    assert_allclose(basis.coupling.A2B.to_dense(6), np.eye(6))


def test_basis_looks_up_both_embeddings():
    mb_spec = [entry for entry in select_many_body(3, TotalDegree(), 8) if all(nl in RADIAL_SPEC for nl in entry)]
    radial_spec = RADIAL_SPEC[::-1]
    basis = SparseACEBasis(mb_spec, radial_spec, lmax=4)
    A_spec = [(*radial_spec[r], y) for r, y in zip(basis.A_radial, basis.A_angular, strict=True)]
    assert A_spec == [(n, l, l * l + l + m) for n, l, m in basis.coupling.A_spec.tolist()]
    assert basis.lmax == 2
    assert basis.radial_spec == tuple(radial_spec)
    assert len(basis) == len(mb_spec) == basis.coupling.n_B
    assert repr(basis) == f"SparseACEBasis(51 functions, {basis.coupling.n_AA} products up to order 3, lmax=2)"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([[(7, 0)]], RADIAL_SPEC, 4), r"radial_spec must contain every \(n, l\) of mb_spec, got none for \(7, 0\)"),
        (([[(1, 4)]], RADIAL_SPEC, 3), r"lmax must be at least the largest l of mb_spec, got 3 and \(1, 4\)"),
        (([[(1, 0)]], [(1, 0), (1, 0)], 3), r"radial_spec must name each \(n, l\) once, got \(1, 0\) more often"),
    ],
)
def test_basis_that_fits_no_embedding(arguments, message):
    with pytest.raises(ValueError, match=message):
        SparseACEBasis(*arguments)


def arrays_of(basis):
    c = basis.coupling
    return {
        "A_radial": basis.A_radial,
        "A_angular": basis.A_angular,
        "products": c.products,
        "A2B": c.A2B,
        "radial_spec": basis.radial_spec,
    }


def test_basis_from_its_own_arrays():
    basis = SparseACEBasis([((1, 0),), ((1, 1), (2, 1)), ((1, 1), (1, 1), (2, 2))], RADIAL_SPEC, lmax=4)
    read = SparseACEBasis.from_arrays(**arrays_of(basis))
    assert_array_equal(read.coupling.A_spec, basis.coupling.A_spec)
    for mine, other in zip(read.coupling.products, basis.coupling.products, strict=True):
        assert_array_equal(mine, other)
    for mine, other in zip(read.coupling.A2B, basis.coupling.A2B, strict=True):
        assert_array_equal(mine, other)
    assert (len(read), read.lmax, read.radial_spec) == (len(basis), basis.lmax, basis.radial_spec)
    assert read.coupling.mb_spec_of_B == basis.coupling.mb_spec_of_B


def test_basis_from_arrays_in_another_order():
    """Shuffled one-particle functions, an unused one and an incomplete set of m become the canonical list."""
    radial_spec = [(1, 1), (1, 0), (2, 1)]
    A_radial, A_angular = [2, 0, 1, 2, 0], [3, 1, 0, 1, 3]  # (2,1,1) (1,1,-1) (1,0,0) (2,1,-1) (1,1,1)
    products = [np.array([[2]]), np.array([[1, 3], [0, 4]])]
    A2B = (np.array([0, 1, 3]), np.array([0, 2, 1]), np.array([1.0, 0.5, 0.25]))
    basis = SparseACEBasis.from_arrays(A_radial, A_angular, products, A2B, radial_spec)
    complete = [(1, 0, 0), (1, 1, -1), (1, 1, 0), (1, 1, 1), (2, 1, -1), (2, 1, 0), (2, 1, 1)]
    assert list(map(tuple, basis.coupling.A_spec.tolist())) == complete
    assert_array_equal(basis.A_radial, [1, 0, 0, 0, 2, 2, 2])
    assert_array_equal(basis.A_angular, [0, 1, 2, 3, 1, 2, 3])
    assert_array_equal(basis.coupling.products[1], [[1, 4], [3, 6]])
    assert_allclose(basis.coupling.A2B.to_dense(3), [[1, 0, 0], [0, 0.25, 0.5]])
    assert basis.coupling.mb_spec_of_B == [((1, 0),), ((1, 1), (2, 1))]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"A_radial": [1, 0]}, "A_radial and A_angular must be equally long, got 2 and 3"),
        ({"A_radial": [0.0, 1.0, 1.0]}, "A_radial must be an integer array of 1 axes, got float64"),
        ({"A_radial": [0, 1, 2]}, r"A_radial must lie in 0 \.\.\. 1, got 0 \.\.\. 2"),
        ({"A_angular": [0, 1, 4]}, r"A_angular must have the l of A_radial, got l = 2 with radial .* \(1, 1\) at 2"),
        ({"products": [[[0]], [[1, 3]]]}, r"products\[1\] must lie in 0 \.\.\. 2, got 1 \.\.\. 3"),
        ({"products": [[[0]], [[1, 1, 1]]]}, r"products\[1\] must have shape \(n, 2\), got \(1, 3\)"),
        ({"A2B": ([0, 1, 1], [0, 1], [1.0, 1.0])}, "A2B indptr must ascend from 0 to the number of indices, 2, got"),
        ({"A2B": ([0, 1, 2], [0, 2], [1.0, 1.0])}, r"A2B indices must lie in 0 \.\.\. 1, got 0 \.\.\. 2"),
        ({"A2B": ([0, 1, 2], [0, 1], [1.0])}, r"A2B data must have one value per index \(2\), got shape \(1,\)"),
        ({"A2B": ([0, 1, 2], [0, 1], [1.0, math.nan])}, "A2B data must be finite, got nan"),
        ({"mb_spec_of_B": [[(1, 0)]]}, r"mb_spec_of_B must have one entry per row of A2B \(2\), got 1"),
    ],
)
def test_arrays_that_do_not_fit_together(change, message):
    arrays = {
        "A_radial": [0, 1, 1],
        "A_angular": [0, 1, 2],
        "products": [[[0]], [[1, 1]]],
        "A2B": ([0, 1, 2], [0, 1], [1.0, 1.0]),
        "radial_spec": [(1, 0), (1, 1)],
    }
    assert len(SparseACEBasis.from_arrays(**arrays)) == 2
    with pytest.raises(ValueError, match=message):
        SparseACEBasis.from_arrays(**(arrays | change))


def test_sparse_matrix_from_triples():
    matrix = CSR.from_triples(np.array([2, 0, 2]), np.array([3, 1, 0]), np.array([1.0, 2.0, 3.0]), n_rows=4)
    assert_array_equal(matrix.indptr, [0, 1, 1, 3, 3])
    assert_array_equal(matrix.to_dense(4), [[0, 2, 0, 0], [0] * 4, [3, 0, 0, 1], [0] * 4])
