"""Radial embedding R_nl(r; z_i, z_j) = envelope · Σ_q W[z_i, z_j][nl, q] P_q(y(r))."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, cast

import numpy as np
import numpy.typing as npt

from .._types import Dict, Elements, FloatArray
from ..elements import parse_elements
from .polynomials import Polynomials, SplineTable, natural_spline_coefficients, read_only
from .registry import from_dict, register, to_dict
from .selection import as_nl
from .transforms import Envelope, Transform, envelope_argument

T = TypeVar("T", Transform, Envelope)

Initial = Literal["glorot_normal", "onehot"]


@register("radial_embedding")
@dataclass(frozen=True, init=False, eq=False, repr=False)
class RadialEmbedding:
    """Radial functions of an edge, for every ordered pair of species.

    Parameters
    ----------
    transform : AgnesiTransform, callable, or nested sequence (NZ, NZ) of them
        r ↦ y, for all pairs or per pair (species of the centre first).
    envelope : envelope object, callable, or nested sequence (NZ, NZ) of them
        A bare callable is a function of y; `EnvelopeOfR` marks one of r.
    polynomials : Polynomials or SplineTable
        P_q(y); a `SplineTable` holds Σ_q W P_q itself, and there are no weights.
    spec : iterable of (n, l)
        Pairs or mappings with keys n and l; n counts from 1, l from 0.
    elements : elements
        Symbols or atomic numbers; their order defines the species indices.
    weights : "glorot_normal", "onehot" or array_like (NZ, NZ, n_nl, n_q), optional
        "glorot_normal" draws from a normal distribution with standard deviation sqrt(2/(n_nl + n_q)).
        "onehot" lets function n see the neighbor species (n − 1) mod NZ only, as polynomial (n − 1) div NZ.
    seed : int, optional
        Of the random weights; 0 unless given.

    Raises
    ------
    ValueError, TypeError
        If the parts do not fit together.
    """

    transform: Transform | tuple[tuple[Transform, ...], ...]
    envelope: Envelope | tuple[tuple[Envelope, ...], ...]
    polynomials: Polynomials | SplineTable
    spec: tuple[tuple[int, int], ...]
    elements: tuple[str, ...]
    weights: FloatArray | None

    def __init__(
        self,
        transform: Transform | Sequence[Sequence[Transform]],
        envelope: Envelope | Sequence[Sequence[Envelope]],
        polynomials: Polynomials | SplineTable,
        spec: Iterable[object],
        elements: Elements,
        *,
        weights: Initial | npt.ArrayLike | None = "glorot_normal",
        seed: int | None = None,
    ) -> None:
        set_field = cast(Callable[[str, Any], None], lambda name, value: object.__setattr__(self, name, value))
        set_field("elements", parse_elements(elements))
        set_field("transform", _per_pair(transform, len(self.elements), "transform"))
        set_field("envelope", _per_pair(envelope, len(self.elements), "envelope"))
        set_field("polynomials", polynomials)
        set_field("spec", _parse_spec(spec))
        self._check_polynomials()
        splined = isinstance(polynomials, SplineTable)
        if splined and not (weights is None or (isinstance(weights, str) and weights == "glorot_normal")):
            raise ValueError("weights must not be given with a SplineTable, which already contains them")
        set_field("weights", None if splined else self._initial_weights(weights, seed))

    def _check_polynomials(self) -> None:
        polynomials, nz, n_nl = self.polynomials, len(self.elements), len(self.spec)
        if isinstance(polynomials, Polynomials):
            return
        if not isinstance(polynomials, SplineTable):
            raise TypeError(f"polynomials must be Polynomials or a SplineTable, got {type(polynomials).__name__}")
        found = (polynomials.coefficients.shape[0], len(polynomials))
        if found != (nz, n_nl):
            raise ValueError(
                f"spline coefficients must be ({nz}, {nz}, n_nodes + 2, {n_nl}) for {nz} elements and {n_nl} (n, l), "
                f"got {polynomials.coefficients.shape}"
            )

    def _initial_weights(self, weights: Initial | npt.ArrayLike | None, seed: int | None) -> FloatArray:
        shape = (len(self.elements), len(self.elements), len(self.spec), len(cast(Polynomials, self.polynomials)))
        if isinstance(weights, str):
            if weights == "onehot":
                return read_only(_onehot(shape, self.spec))
            if weights == "glorot_normal":
                scale = np.sqrt(2 / (shape[2] + shape[3]))
                return read_only(scale * np.random.default_rng(seed or 0).standard_normal(shape))
            raise ValueError(f"weights must be 'glorot_normal', 'onehot' or an array, got {weights!r}")
        if weights is None:
            raise ValueError(f"weights must be given: 'glorot_normal', 'onehot' or an array {shape}")
        array = read_only(weights)
        if array.shape != shape:
            raise ValueError(f"weights must be an array (NZ, NZ, n_nl, n_q) = {shape}, got {array.shape}")
        if not np.isfinite(array).all():
            raise ValueError(f"weights must be finite, got {array[~np.isfinite(array)][0]}")
        return array

    def __len__(self) -> int:
        """Return the number of radial functions."""
        return len(self.spec)

    def __repr__(self) -> str:
        return (
            f"RadialEmbedding({'-'.join(self.elements)}: {len(self)} functions (n, l), transform={self.transform!r}, "
            f"envelope={self.envelope!r}, polynomials={self.polynomials!r}, {self.n_parameters} parameters)"
        )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, RadialEmbedding):
            return NotImplemented
        mine, theirs = self.weights, other.weights
        same_weights = mine is theirs or (mine is not None and theirs is not None and np.array_equal(mine, theirs))
        names = ("transform", "envelope", "polynomials", "spec", "elements")
        return same_weights and all(getattr(self, name) == getattr(other, name) for name in names)

    def __hash__(self) -> int:
        return hash((self.polynomials, self.spec, self.elements))

    @property
    def n_parameters(self) -> int:
        """Number of weights; 0 for splines."""
        return 0 if self.weights is None else int(self.weights.size)

    @property
    def rcut(self) -> FloatArray:
        """Distance (NZ, NZ) in Å from which the functions are known to be zero, inf where none is.

        That of an envelope of r; the transform's if an envelope of y vanishes at y = 1, where the transform stays.
        """
        nz = len(self.elements)
        rcut = np.full((nz, nz), np.inf)
        for i, j in np.ndindex(nz, nz):
            envelope = self.envelope_of(i, j)
            if envelope_argument(envelope) == "r":
                rcut[i, j] = getattr(envelope, "rcut", np.inf)
            elif not np.any(envelope(np.ones(1))):
                rcut[i, j] = getattr(self.transform_of(i, j), "rcut", np.inf)
        return rcut

    def transform_of(self, zi: int, zj: int) -> Transform:
        """Return the transform of a species pair."""
        return self.transform[zi][zj] if isinstance(self.transform, tuple) else self.transform

    def envelope_of(self, zi: int, zj: int) -> Envelope:
        """Return the envelope of a species pair."""
        return self.envelope[zi][zj] if isinstance(self.envelope, tuple) else self.envelope

    def evaluate(self, r: npt.ArrayLike, zi: npt.ArrayLike, zj: npt.ArrayLike) -> FloatArray:
        """Return the values (n_edges, n_nl) at distances r (n_edges,) in Å; species indices of centre and neighbor."""
        r, zi, zj = _edges(r, zi, zj)
        R = np.empty((len(r), len(self)))
        for a, b, edges in _pairs(zi, zj):
            y, envelope, _ = self._factors(r[edges], a, b)
            R[edges] = envelope[:, None] * self._smooth(y, a, b)
        return R

    def derivative(self, r: npt.ArrayLike, zi: npt.ArrayLike, zj: npt.ArrayLike) -> FloatArray:
        """Return dR/dr (n_edges, n_nl) in 1/Å, of built-in transforms and envelopes.

        Raises
        ------
        TypeError
            For Python callables, whose derivative is not known.
        """
        r, zi, zj = _edges(r, zi, zj)
        dR = np.empty((len(r), len(self)))
        for a, b, edges in _pairs(zi, zj):
            y, envelope, argument = self._factors(r[edges], a, b)
            dy = _derivative(self.transform_of(a, b), r[edges])
            slope = _derivative(self.envelope_of(a, b), r[edges] if argument == "r" else y)
            slope = slope if argument == "r" else slope * dy
            S, dS = self._smooth(y, a, b), self._smooth(y, a, b, derivative=True)
            dR[edges] = slope[:, None] * S + (envelope * dy)[:, None] * dS
        return dR

    def _factors(self, r: FloatArray, zi: int, zj: int) -> tuple[FloatArray, FloatArray, Literal["r", "y"]]:
        """y, the envelope and what the envelope is a function of, on edges of one species pair."""
        r = _not_writable(r)  # a callable that works in place would change what comes after it
        y = _not_writable(np.asarray(self.transform_of(zi, zj)(r), dtype=np.float64))
        envelope = self.envelope_of(zi, zj)
        argument = envelope_argument(envelope)
        value = np.asarray(envelope(r if argument == "r" else y), dtype=np.float64)
        return np.broadcast_to(y, r.shape), np.broadcast_to(value, r.shape), argument

    def _smooth(self, y: FloatArray, zi: int, zj: int, derivative: bool = False) -> FloatArray:
        """Σ_q W P_q(y), the factor beside the envelope, or its derivative in y."""
        if isinstance(self.polynomials, SplineTable):
            return self.polynomials.derivative(y, zi, zj) if derivative else self.polynomials(y, zi, zj)
        assert self.weights is not None
        P = self.polynomials.derivative(y) if derivative else self.polynomials(y)
        value: FloatArray = P @ self.weights[zi, zj].T
        return value

    def splinify(self, n_intervals: int = 99) -> RadialEmbedding:
        """Return a copy with Σ_q W P_q(y) replaced by a natural cubic spline on n_intervals of y in [−1, 1].

        Transform and envelope stay as they are. An embedding made of splines is returned unchanged.
        """
        if isinstance(self.polynomials, SplineTable):
            return self
        if n_intervals < 1:
            raise ValueError(f"n_intervals must be at least 1, got {n_intervals}")
        assert self.weights is not None
        P = self.polynomials(np.linspace(-1, 1, n_intervals + 1))
        values = np.einsum("kq,abnq->kabn", P, self.weights)
        coefficients = np.moveaxis(natural_spline_coefficients(values), 0, 2)
        table = SplineTable(-1.0, 2 / n_intervals, coefficients)
        return RadialEmbedding(self.transform, self.envelope, table, self.spec, self.elements)

    def to_dict(self) -> Dict:
        """Return the parts as dictionaries, see `acepair.basis.registry`; TypeError for callables."""
        return {
            "kind": "radial_embedding",
            "transform": _map_pairs(to_dict, self.transform),
            "envelope": _map_pairs(to_dict, self.envelope),
            "polynomials": to_dict(self.polynomials),
            "spec": [list(nl) for nl in self.spec],
            "elements": list(self.elements),
            "weights": self.weights,
        }

    @classmethod
    def from_values(cls, **values: Any) -> RadialEmbedding:
        """Build from the output of `to_dict`, without its "kind"."""
        return cls(
            _map_pairs(from_dict, values["transform"]),
            _map_pairs(from_dict, values["envelope"]),
            from_dict(values["polynomials"]),
            values["spec"],
            values["elements"],
            weights=values["weights"],
        )


def _per_pair(value: Any, nz: int, name: str) -> Any:
    """One callable as it is, nested sequences as tuples of tuples; complains about other things."""
    if callable(value):
        return value
    try:
        rows = tuple(tuple(row) for row in value)
    except TypeError:
        raise TypeError(f"{name} must be callable or NZ x NZ nested callables, got {value!r}") from None
    if len(rows) != nz or any(len(row) != nz for row in rows):
        raise ValueError(f"{name} must be {nz} x {nz} for {nz} elements, got rows of {[len(row) for row in rows]}")
    for item in (item for row in rows for item in row):
        if not callable(item):
            raise TypeError(f"{name} must be callable for every pair, got {item!r}")
    return rows


def _map_pairs(function: Callable[[Any], Any], value: Any) -> Any:
    """Apply to one object or to each of NZ × NZ."""
    if isinstance(value, Mapping) or callable(value):
        return function(value)
    return [[function(item) for item in row] for row in value]


def _parse_spec(spec: Iterable[object]) -> tuple[tuple[int, int], ...]:
    parsed = tuple(as_nl(nl, f"spec[{k}]") for k, nl in enumerate(spec))
    if not parsed:
        raise ValueError("spec must list at least one (n, l), got none")
    if len(set(parsed)) < len(parsed):
        raise ValueError(f"spec must not repeat a pair (n, l), got {len(parsed)} pairs, {len(set(parsed))} different")
    return parsed


def _onehot(shape: tuple[int, ...], spec: Sequence[tuple[int, int]]) -> FloatArray:
    """W[:, z'][n, n'] = 1 with z' = (n − 1) mod NZ and n' = (n − 1) div NZ, counted from 0."""
    weights = np.zeros(shape)
    for k, (n, _) in enumerate(spec):
        q, z = divmod(n - 1, shape[0])
        if q >= shape[3]:
            raise ValueError(f"onehot weights of n = {n} need at least {q + 1} polynomials, got {shape[3]}")
        weights[:, z, k, q] = 1
    return weights


def _not_writable(array: FloatArray) -> FloatArray:
    view = array.view()
    view.flags.writeable = False
    return view


def _derivative(part: object, argument: FloatArray) -> FloatArray:
    if not hasattr(part, "derivative"):
        raise TypeError(f"the derivative of {part!r} is not known; only built-in transforms and envelopes have one")
    derivative: FloatArray = part.derivative(argument)
    return derivative


def _edges(
    r: npt.ArrayLike, zi: npt.ArrayLike, zj: npt.ArrayLike
) -> tuple[FloatArray, npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    r = np.atleast_1d(np.asarray(r, dtype=np.float64))
    zi, zj = np.asarray(zi, dtype=np.intp), np.asarray(zj, dtype=np.intp)
    return r, np.broadcast_to(zi, r.shape), np.broadcast_to(zj, r.shape)


def _pairs(zi: npt.NDArray[np.intp], zj: npt.NDArray[np.intp]) -> Iterator[tuple[int, int, npt.NDArray[np.bool_]]]:
    """Species pairs that occur, with the mask of their edges."""
    for a in np.unique(zi):
        for b in np.unique(zj[zi == a]):
            yield int(a), int(b), (zi == a) & (zj == b)
