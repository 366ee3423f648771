"""Short forms of transforms and envelopes, such as ("agnesi", 2, 4) and ("x", 2, 2)."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any, TypeVar, cast

from .._types import FloatArray
from ..basis.transforms import ACE1PolyEnvelope1sR, AgnesiTransform, Envelope, PolyEnvelope2sX, Transform

T = TypeVar("T")

TransformSpec = tuple[str, int, int] | Transform | Sequence[Sequence[Transform]]
EnvelopeSpec = tuple[str, int] | tuple[str, int, int] | Envelope | Sequence[Sequence[Envelope]]


def is_word(value: object, word: str) -> bool:
    """Tell whether a value that may be an array or an object is the given word."""
    return isinstance(value, str) and value == word


def per_pair(make: Callable[..., T], *tables: FloatArray) -> list[list[T]]:
    """Return nested lists (NZ, NZ) of what `make` returns for each pair's entries of the tables."""
    rows = zip(*(table.tolist() for table in tables), strict=True)
    return [[make(*values) for values in zip(*row, strict=True)] for row in rows]


def make_transform(spec: TransformSpec, rin: FloatArray, r0: FloatArray, rcut: FloatArray) -> Any:
    """Read ("agnesi", p, q); others are taken as they are."""
    if not (isinstance(spec, tuple) and spec and isinstance(spec[0], str)):
        return spec
    if spec[0] != "agnesi" or len(spec) != 3:
        raise ValueError(f"transform must be ('agnesi', p, q) or callable, got {spec!r}")
    p, q = cast(tuple[int, int], spec[1:])
    return per_pair(lambda *radii: AgnesiTransform(p, q, *radii), rin, r0, rcut)


def make_envelope(spec: EnvelopeSpec, r0: FloatArray, rcut: FloatArray) -> Any:
    """Read ("x", p1, p2), an envelope of y, or ("r", p), ACE1's repulsive one; others are taken as they are."""
    if not (isinstance(spec, tuple) and spec and isinstance(spec[0], str)):
        return spec
    powers = cast(tuple[int, ...], spec[1:])
    if spec[0] == "x" and len(powers) == 2:
        return PolyEnvelope2sX(*powers)
    if spec[0] == "r" and len(powers) == 1:
        return per_pair(lambda rc, length: ACE1PolyEnvelope1sR(rc, length, powers[0]), rcut, r0)
    raise ValueError(f"envelope must be ('x', p1, p2), ('r', p) or callable, got {spec!r}")


def make_pair_envelope(spec: EnvelopeSpec | None, zbl: bool, r0: FloatArray, rcut: FloatArray) -> Any:
    """Read the envelope of a pair part: by default repulsive, unless ZBL is."""
    if spec is None:
        spec = ("x", 0, 2) if zbl else ("r", 2)
    elif zbl and isinstance(spec, tuple) and is_word(spec[0], "r"):
        message = "ZBL and a repulsive pair envelope are two repulsions; pair_envelope=('x', 0, 2) leaves it to ZBL"
        warnings.warn(message, UserWarning, stacklevel=3)
    return make_envelope(spec, r0, rcut)


def orthogonal_under(envelope: EnvelopeSpec) -> tuple[float, float]:
    """Return alpha, beta of the Jacobi polynomials that stay orthonormal when multiplied by the envelope."""
    if isinstance(envelope, tuple) and len(envelope) == 3 and is_word(envelope[0], "x"):
        _, p1, p2 = cast(tuple[str, int, int], envelope)
        return 2.0 * p2, 2.0 * p1
    return 0.0, 0.0
