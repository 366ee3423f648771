"""Reader of ace-jax's model files (`.npz`), which its exporter from ACEpotentials.jl writes too.

References
----------
ace-jax, `ace_jax/eval/io.py` and `ace_jax/basis/export.py`, schema version 1.
"""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from .._types import FloatArray, IntArray
from ..basis.angular import AngularEmbedding
from ..basis.coupling import CSR
from ..basis.many_body import SparseACEBasis
from ..basis.polynomials import Polynomials, SplineTable
from ..basis.radial import RadialEmbedding
from ..basis.transforms import (
    ACE1PolyEnvelope1sR,
    AgnesiTransform,
    PolyEnvelope1sR,
    PolyEnvelope2sX,
)
from ..elements import parse_elements
from ..models.ace import ETACE, ETACEPotential
from ..models.onebody import ETOneBody, ETOneBodyPotential
from ..models.pair import ETPairModel, ETPairPotential
from ..models.readout import SelectLinear
from ..models.stacked import StackedCalculator

HARMONICS = {"real_solidharmonics": "solid", "real_sphericalharmonics": "spherical"}
PARAMETERS_DIFFER = 1e-10  #: relative; parameters of the same formula, computed elsewhere, agree far better


def read_acejax(path: str | Path) -> StackedCalculator:
    """Read a model file of ace-jax.

    Parameters
    ----------
    path : str or Path
        A `.npz` file of schema version 1.

    Returns
    -------
    StackedCalculator
        One-body, pair and many-body potential, with the file's parameters. Tables that factorise into a spline and a
        species embedding are multiplied out.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is something else, is incomplete, or uses functions that do not exist here; the message names the file.
    """
    try:
        return _build(_File(_load(Path(path))))
    except (IndexError, TypeError, ValueError) as error:  # the first two where an entry is of another kind altogether
        raise ValueError(f"{path}: {error}") from error


class _File:
    """Arrays and metadata of one model; a missing entry is a ValueError."""

    def __init__(self, arrays: dict[str, np.ndarray]) -> None:
        self.arrays = arrays
        try:
            self.meta: dict[str, Any] = json.loads(bytes(self.array("meta_json")).decode())
        except (UnicodeDecodeError, json.JSONDecodeError) as error:
            raise ValueError(f"meta_json must be JSON, {error}") from None
        if not isinstance(self.meta, dict):
            raise ValueError(f"meta_json must be a JSON object, got {self.meta!r}")
        self.elements = parse_elements(self.require("elements"))
        self.pairs = (len(self.elements),) * 2

    def require(self, key: str) -> Any:
        """Entry of the metadata."""
        if key not in self.meta:
            raise ValueError(f"not an ace-jax model: meta_json has no {key!r}")
        return self.meta[key]

    def choice(self, key: str, known: tuple[str, ...], default: str | None = None) -> str:
        """Entry of the metadata that must be one of the `known` names."""
        value = self.meta.get(key, default) if default else self.require(key)
        if value not in known:
            raise ValueError(f"{key} must be {' or '.join(map(repr, known))}, got {value!r}")
        return str(value)

    def array(self, key: str) -> np.ndarray:
        """Array as it is in the file."""
        if key not in self.arrays:
            raise ValueError(f"not an ace-jax model: no array {key!r}")
        return self.arrays[key]

    def numbers(self, key: str, *shape: int | None) -> FloatArray:
        """Array of finite numbers of the given shape, None for any length."""
        array = self.array(key)
        if array.ndim != len(shape) or any(n not in (None, m) for n, m in zip(shape, array.shape, strict=True)):
            expected = ", ".join("any" if n is None else str(n) for n in shape)
            raise ValueError(f"{key} must have shape ({expected}), got {array.shape}")
        if array.dtype.kind not in "iuf" or not np.isfinite(array).all():
            raise ValueError(f"{key} must contain finite numbers only")
        return array.astype(np.float64)

    def indices(self, key: str, stop: int, *shape: int | None) -> IntArray:
        """Array of integers from 0 to stop − 1."""
        array = self.numbers(key, *shape)
        if (array != np.floor(array)).any() or (array < 0).any() or (array >= stop).any():
            raise ValueError(f"{key} must contain integers from 0 to {stop - 1}")
        return array.astype(np.int64)


def _load(path: Path) -> dict[str, np.ndarray]:
    with path.open("rb") as stream:  # np.load leaves a damaged file open when it opens it itself
        try:
            content = np.load(stream, allow_pickle=False)
            if isinstance(content, np.ndarray):
                raise ValueError("it holds a single array")
            return {key: content[key] for key in content.files}
        except (ValueError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError) as error:
            raise ValueError(f"not an npz archive that can be read ({error})") from error


def _build(file: _File) -> StackedCalculator:
    if file.require("schema_version") != 1:
        raise ValueError(f"schema_version must be 1, got {file.meta['schema_version']!r}")
    file.choice("transform_kind", ("agnesi_normalized",), "agnesi_normalized")
    E0 = file.numbers("E0", len(file.elements))
    one_body = ETOneBody(dict(zip(file.elements, E0.tolist(), strict=True)))
    pair, pair_rcuts = _pair(file)
    many_body, rcuts = _many_body(file)
    return StackedCalculator(
        [ETOneBodyPotential(one_body), ETPairPotential(pair, pair_rcuts), ETACEPotential(many_body, rcuts)]
    )


def _pair(file: _File) -> tuple[ETPairModel, FloatArray]:
    kind = file.choice("pair_radial_kind", ("analytic", "spline"), "spline")
    envelope, n_numbers = {
        "poly1sr": (lambda row: PolyEnvelope1sR(*row), 2),
        "ace1_poly1sr": (lambda row: ACE1PolyEnvelope1sR(*row), 3),
    }[file.choice("pair_envelope_kind", ("poly1sr", "ace1_poly1sr"))]
    rows = file.numbers("pair_envelope", *file.pairs, n_numbers)
    weights = file.numbers("Wpair", None, len(file.elements))
    spec = [(n + 1, 0) for n in range(len(weights))]
    polynomials, W = _polynomials(file, "pair", "pair_", kind, len(spec))
    embedding = RadialEmbedding(
        _transforms(file, "pair_transform"), _per_pair(envelope, rows), polynomials, spec, file.elements, weights=W
    )
    return ETPairModel(embedding, SelectLinear(len(spec), file.elements, weights)), rows[..., 0]


def _many_body(file: _File) -> tuple[ETACE, FloatArray]:
    kind = file.choice("radial_kind", ("analytic", "spline", "spline_factorised"))
    if "rnl_spline_coefs_single" in file.arrays:  # this array, not the name of the kind, is what ace-jax goes by
        kind = "spline_factorised"
    basis_name = file.meta.get("rnl_basis", (file.meta.get("basis") or {}).get("rnl_basis", "poly"))
    if basis_name != "poly":
        raise ValueError(f"rnl_basis must be 'poly', got {basis_name!r}")
    file.choice("envelope_kind", ("poly2sx",), "poly2sx")
    lmax = int(file.require("lmax"))
    yembed = AngularEmbedding(lmax, HARMONICS[file.choice("ybasis_kind", tuple(HARMONICS))])  # type: ignore[arg-type]

    source = {"analytic": "rnl_Wnlq", "spline": "rnl_spline_coefs", "spline_factorised": "rnl_emb_nidx"}[kind]
    n_radial = file.array(source).shape[{"analytic": -2, "spline": -1, "spline_factorised": 0}[kind]]
    A_radial = file.indices("aspec_r", n_radial, None)
    A_angular = file.indices("aspec_y", len(yembed), len(A_radial))
    spec = _radial_spec(A_radial, np.floor(np.sqrt(A_angular)).astype(np.int64), n_radial)
    polynomials, W = _polynomials(file, "rnl", "", kind, n_radial)
    transforms = _transforms(file, "rnl_transform")
    envelopes = _per_pair(_envelope_2sx, file.numbers("rnl_envelope", *file.pairs, 5))
    rembed = RadialEmbedding(transforms, envelopes, polynomials, spec, file.elements, weights=W)

    basis = _basis(file, spec, A_radial, A_angular)
    readout = SelectLinear(len(basis), file.elements, file.numbers("WB", len(basis), len(file.elements)))
    rcuts = np.array([[transform.rcut for transform in row] for row in transforms])
    return ETACE(rembed, yembed, basis, readout), rcuts


def _radial_spec(A_radial: IntArray, A_l: IntArray, n_radial: int) -> list[tuple[int, int]]:
    """(n, l) of every radial function: the file has them in order of (l, n) but tells l only of those it uses.

    Unused ones follow the used ones of the same l, as their level is higher.
    """
    used = {int(k): int(l) for k, l in zip(A_radial, A_l, strict=True)}
    if any(used[int(k)] != l for k, l in zip(A_radial, A_l, strict=True)):
        raise ValueError("aspec_r must use each radial function with one angular momentum only")
    spec: list[tuple[int, int]] = []
    count: dict[int, int] = {}
    l = 0
    for k in range(n_radial):
        l = used.get(k, l)
        count[l] = count.get(l, 0) + 1
        spec.append((count[l], l))
    return spec


def _polynomials(
    file: _File, basis: str, prefix: str, kind: str, n_functions: int
) -> tuple[Polynomials | SplineTable, FloatArray | None]:
    """Polynomials and their weights, or splines and None."""
    if kind == "analytic":
        A, B, C = (file.numbers(f"{prefix}polys_{c}", None) for c in "ABC")
        return Polynomials(A, B, C), file.numbers(f"{basis}_Wnlq", *file.pairs, n_functions, len(A))
    grid = file.require(f"{basis}_spline")
    if not isinstance(grid, dict) or not {"x0", "h", "n"} <= set(grid):
        raise ValueError(f"{basis}_spline must give x0, h and n, got {grid!r}")
    n_rows = int(grid["n"]) + 2
    if kind == "spline":
        coefficients = file.numbers(f"{basis}_spline_coefs", *file.pairs, n_rows, n_functions)
    else:
        single = file.numbers("rnl_spline_coefs_single", n_rows, None)
        embedding = file.numbers("rnl_embedding", len(file.elements), None)
        column = file.indices("rnl_emb_nidx", single.shape[1], n_functions)
        channel = file.indices("rnl_emb_kidx", embedding.shape[1], n_functions)
        by_neighbor = single[None, :, column] * embedding[:, None, channel]
        coefficients = np.broadcast_to(by_neighbor, (len(file.elements), *by_neighbor.shape))
    return SplineTable(float(grid["x0"]), float(grid["h"]), coefficients), None


def _basis(file: _File, spec: list[tuple[int, int]], A_radial: IntArray, A_angular: IntArray) -> SparseACEBasis:
    lengths = [int(n) for n in file.require("aa_lens")]
    products = tuple(
        np.sort(file.indices(f"aa_spec_{order}", len(A_radial), n, order), axis=1)
        for order, n in enumerate(lengths, start=1)
    )
    return SparseACEBasis.from_arrays(A_radial, A_angular, products, _coupling(file, sum(lengths)), spec)


def _coupling(file: _File, n_AA: int) -> CSR:
    if "A2B" in file.arrays:  # files written before the triplets
        dense = file.numbers("A2B", None, n_AA)
        rows, columns = np.nonzero(dense)
        return CSR.from_triples(rows, columns, dense[rows, columns], len(dense))
    n_B, n_columns = (int(n) for n in file.numbers("A2B_shape", 2))
    if n_columns != n_AA:
        raise ValueError(f"A2B_shape must have the {n_AA} columns that aa_lens counts, got {n_columns}")
    rows = file.indices("A2B_rows", n_B, None)
    columns = file.indices("A2B_cols", n_AA, len(rows))
    place, entry = np.unique(rows * n_AA + columns, return_inverse=True)
    values = np.zeros(len(place))
    np.add.at(values, entry, file.numbers("A2B_vals", len(rows)))
    return CSR.from_triples(place // n_AA, place % n_AA, values, n_B)


def _transforms(file: _File, key: str) -> Any:
    known = np.concatenate(
        [np.ravel(file.arrays[name]) for name in ("rcuts", "pair_rcuts") if name in file.arrays]
        + [np.ravel(file.array("pair_envelope")[..., 0]), np.ravel(file.meta.get("rcut", []))]
    ).astype(np.float64)
    return _per_pair(lambda row: _transform(row, known), file.numbers(key, *file.pairs, 7))


def _transform(row: list[float], known_rcuts: FloatArray) -> AgnesiTransform:
    """Transform of one pair: the file tells x(rcut), not rcut, which is one of `known_rcuts`."""
    p, q, a, rin, r0, x_rin, x_rcut = row

    def to(rcut: float) -> AgnesiTransform:
        return AgnesiTransform(p, q, rin, r0, rcut)  # type: ignore[arg-type]  # complains of fractions itself

    transform = min(map(to, known_rcuts.tolist()), key=lambda transform: abs(transform.x_rcut - x_rcut))
    expected = (transform.a, transform.x_rin, transform.x_rcut)
    if not np.allclose(expected, (a, x_rin, x_rcut), rtol=PARAMETERS_DIFFER, atol=0):
        raise ValueError(
            f"the Agnesi transform (p, q, rin, r0) = ({p}, {q}, {rin}, {r0}) must have a, x(rin), x(rcut) = {expected} "
            f"for a cutoff named in the file, got {(a, x_rin, x_rcut)}"
        )
    return transform


def _envelope_2sx(row: list[float]) -> PolyEnvelope2sX:
    y1, y2, p1, p2, scale = row
    if (y1, y2) != (-1, 1):
        raise ValueError(f"the many-body envelope must span y = -1 to 1, got {y1} to {y2}")
    return PolyEnvelope2sX(p1, p2, scale)  # type: ignore[arg-type]


def _per_pair(make: Callable[[list[float]], Any], rows: FloatArray) -> Any:
    return tuple(tuple(make(row) for row in line) for line in rows.tolist())
