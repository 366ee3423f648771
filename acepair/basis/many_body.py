"""The many-body basis of a model: a coupling whose one-particle functions are found in the model's embeddings."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .._types import FloatArray, IntArray
from .coupling import CSR, Coupling, as_mb_spec, couple
from .selection import NL, as_nl


@dataclass(frozen=True, init=False, eq=False, repr=False)
class SparseACEBasis:
    """Invariant many-body functions B = A2B · AA over A_{n l m} = Σ_j R_{n l} Y_{l m}.

    Parameters
    ----------
    mb_spec : iterable of iterable of (n, l)
        Factors of each function, pairs or mappings with keys n and l; see `couple`.
    radial_spec : iterable of (n, l)
        What the columns of the radial embedding are.
    lmax : int
        Largest l of the angular embedding.

    Attributes
    ----------
    coupling : Coupling
        One-particle functions, products and A2B.
    radial_spec : tuple of (n, l)
        As given.
    lmax : int
        Largest l that a function uses.
    A_radial : (n_A,) int
        Column of the radial embedding of each one-particle function.
    A_angular : (n_A,) int
        Its column of the angular embedding, l² + l + m.

    Raises
    ------
    TypeError, ValueError
        If an entry is malformed or given twice, or a factor is not covered by `radial_spec` or `lmax`.
    """

    coupling: Coupling
    radial_spec: tuple[NL, ...]
    lmax: int
    A_radial: IntArray
    A_angular: IntArray

    def __init__(self, mb_spec: Iterable[Iterable[object]], radial_spec: Iterable[object], lmax: int) -> None:
        entries, radial = as_mb_spec(mb_spec), _parse_radial_spec(radial_spec)
        factors = {nl for entry in entries for nl in entry}
        if missing := sorted(factors.difference(radial)):
            raise ValueError(f"radial_spec must contain every (n, l) of mb_spec, got none for {_some(missing)}")
        if above := sorted(nl for nl in factors if nl[1] > operator.index(lmax)):
            raise ValueError(f"lmax must be at least the largest l of mb_spec, got {lmax} and {_some(above)}")
        self._set(couple(entries), radial)

    @classmethod
    def from_arrays(
        cls,
        A_radial: npt.ArrayLike,
        A_angular: npt.ArrayLike,
        products: Sequence[npt.ArrayLike],
        A2B: tuple[npt.ArrayLike, npt.ArrayLike, npt.ArrayLike],
        radial_spec: Iterable[object],
        mb_spec_of_B: Iterable[Iterable[object]] | None = None,
    ) -> SparseACEBasis:
        """Make a basis from arrays of a model file instead of coupling anew.

        One-particle functions may come in any order; they are brought into that of `Coupling.A_spec`, filled up to
        complete sets of m, and those that no product reads are left out. Products and functions keep their order.

        Parameters
        ----------
        A_radial, A_angular : (n_A,) int
            Columns of the radial and the angular embedding, counted from 0.
        products : sequence of (n_AA_ν, ν) int, ν = 1, 2, ...
            The one-particle functions that each product multiplies.
        A2B : (indptr, indices, data)
            Sparse matrix (n_B, n_AA) by rows.
        radial_spec : iterable of (n, l)
            What the columns of the radial embedding are.
        mb_spec_of_B : iterable of iterable of (n, l), optional
            The factors of each function; those of its first product unless given.

        Raises
        ------
        TypeError, ValueError
            If shapes, ranges or angular momenta do not fit together.
        """
        radial = _parse_radial_spec(radial_spec)
        old_spec = _read_A_spec(_integers(A_radial, "A_radial", 1), _integers(A_angular, "A_angular", 1), radial)
        old_products = [_parse_products(rows, order, len(old_spec)) for order, rows in enumerate(products, start=1)]
        A_spec, new_index = _canonical_A(old_spec, old_products)
        new_products = tuple(np.sort(new_index[rows], axis=1) for rows in old_products)
        matrix = _parse_csr(A2B, sum(map(len, new_products)))
        n_B = len(matrix.indptr) - 1
        if mb_spec_of_B is None:
            factors = _factors_of_rows(matrix, new_products, A_spec)
        else:
            factors = [tuple(as_nl(nl, f"mb_spec_of_B[{k}]") for nl in row) for k, row in enumerate(mb_spec_of_B)]
        if len(factors) != n_B:
            raise ValueError(f"mb_spec_of_B must have one entry per row of A2B ({n_B}), got {len(factors)}")
        basis = cls.__new__(cls)
        basis._set(Coupling(A_spec, new_products, matrix, n_B, factors), radial)
        return basis

    def _set(self, coupling: Coupling, radial_spec: tuple[NL, ...]) -> None:
        column = {nl: k for k, nl in enumerate(radial_spec)}
        n, l, m = coupling.A_spec.T
        A_radial = np.array([column[nl] for nl in zip(n.tolist(), l.tolist(), strict=True)], dtype=np.int64)
        A_angular = l * l + l + m
        A_radial.flags.writeable = A_angular.flags.writeable = False
        fields = {
            "coupling": coupling,
            "radial_spec": radial_spec,
            "lmax": int(l.max(initial=0)),
            "A_radial": A_radial,
            "A_angular": A_angular,
        }
        for name, value in fields.items():
            object.__setattr__(self, name, value)

    def __len__(self) -> int:
        """Return the number of functions."""
        return self.coupling.n_B

    def __repr__(self) -> str:
        c = self.coupling
        return f"SparseACEBasis({c.n_B} functions, {c.n_AA} products up to order {len(c.products)}, lmax={self.lmax})"


def _parse_radial_spec(radial_spec: Iterable[object]) -> tuple[NL, ...]:
    spec = tuple(as_nl(nl, f"radial_spec[{k}]") for k, nl in enumerate(radial_spec))
    if len(set(spec)) < len(spec):
        twice = sorted({nl for nl in spec if spec.count(nl) > 1})
        raise ValueError(f"radial_spec must name each (n, l) once, got {_some(twice)} more often")
    return spec


def _some(channels: Sequence[NL]) -> str:
    """Name the first few."""
    return ", ".join(map(str, channels[:3])) + (f", ... {len(channels)} in all" if len(channels) > 3 else "")


def _integers(values: npt.ArrayLike, name: str, ndim: int) -> IntArray:
    array = np.asarray(values)
    if array.ndim != ndim or not (array.size == 0 or np.issubdtype(array.dtype, np.integer)):
        raise ValueError(f"{name} must be an integer array of {ndim} axes, got {array.dtype} of shape {array.shape}")
    return array.astype(np.int64)


def _read_A_spec(A_radial: IntArray, A_angular: IntArray, radial_spec: tuple[NL, ...]) -> IntArray:
    """(n, l, m) of one-particle functions given by their columns."""
    if A_radial.shape != A_angular.shape:
        raise ValueError(f"A_radial and A_angular must be equally long, got {len(A_radial)} and {len(A_angular)}")
    _check_range(A_radial, len(radial_spec), "A_radial")
    _check_range(A_angular, np.iinfo(np.int32).max, "A_angular")
    l = np.sqrt(A_angular + 0.5).astype(np.int64)
    nl = np.array(radial_spec, dtype=np.int64).reshape(-1, 2)[A_radial]
    if (nl[:, 1] != l).any():
        k = int(np.argmax(nl[:, 1] != l))
        raise ValueError(
            f"A_angular must have the l of A_radial, got l = {l[k]} with radial function {tuple(nl[k].tolist())} at {k}"
        )
    return np.column_stack([nl, A_angular - l * l - l])


def _check_range(index: IntArray, size: int, name: str) -> None:
    if index.size and not (0 <= index.min() and index.max() < size):
        raise ValueError(f"{name} must lie in 0 ... {size - 1}, got {index.min()} ... {index.max()}")


def _parse_products(rows: npt.ArrayLike, order: int, n_A: int) -> IntArray:
    name = f"products[{order - 1}]"
    index = _integers(rows, name, 2)
    if index.shape[1] != order:
        raise ValueError(f"{name} must have shape (n, {order}), got {index.shape}")
    _check_range(index, n_A, name)
    return index


def _canonical_A(spec: IntArray, products: Sequence[IntArray]) -> tuple[IntArray, IntArray]:
    """Complete list of the (n, l, m) that products read, sorted by (l, n, m), and the new index of each in `spec`."""
    used = np.zeros(len(spec), dtype=bool)
    for rows in products:
        used[rows] = True
    channels = sorted({(int(l), int(n)) for n, l, _ in spec[used]})
    complete = [(n, l, m) for l, n in channels for m in range(-l, l + 1)]
    position = {nlm: k for k, nlm in enumerate(complete)}
    new_index = np.array([position.get(tuple(nlm), -1) for nlm in spec.tolist()], dtype=np.int64)
    return np.array(complete, dtype=np.int64).reshape(-1, 3), new_index


def _parse_csr(A2B: tuple[npt.ArrayLike, npt.ArrayLike, npt.ArrayLike], n_columns: int) -> CSR:
    indptr, indices = _integers(A2B[0], "A2B indptr", 1), _integers(A2B[1], "A2B indices", 1)
    data: FloatArray = np.array(A2B[2], dtype=np.float64)
    if not len(indptr) or indptr[0] != 0 or (np.diff(indptr) < 0).any() or indptr[-1] != len(indices):
        raise ValueError(f"A2B indptr must ascend from 0 to the number of indices, {len(indices)}, got {indptr}")
    if data.shape != indices.shape:
        raise ValueError(f"A2B data must have one value per index ({len(indices)}), got shape {data.shape}")
    _check_range(indices, n_columns, "A2B indices")
    if not np.isfinite(data).all():
        raise ValueError(f"A2B data must be finite, got {data[~np.isfinite(data)][0]}")
    n_rows = len(indptr) - 1
    return CSR.from_triples(np.repeat(np.arange(n_rows), np.diff(indptr)), indices, data, n_rows)


def _factors_of_rows(A2B: CSR, products: Sequence[IntArray], A_spec: IntArray) -> list[tuple[NL, ...]]:
    """(n, l) of the first product of each row; a row without one has none."""
    flat = [row for rows in products for row in rows.tolist()]
    nl: list[NL] = [(n, l) for n, l, _ in A_spec.tolist()]
    starts = zip(A2B.indptr[:-1].tolist(), A2B.indptr[1:].tolist(), strict=True)
    return [tuple(nl[a] for a in flat[A2B.indices[start]]) if stop > start else () for start, stop in starts]
