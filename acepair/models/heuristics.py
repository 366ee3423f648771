"""`ace_model` and `ace1_model`: complete models from a few keywords, as in ACEpotentials.jl."""

from __future__ import annotations

import math
import operator
from collections.abc import Mapping, Sequence
from typing import Any, Literal, cast

import numpy as np
import numpy.typing as npt

from .._types import Elements
from ..basis.angular import AngularEmbedding
from ..basis.many_body import SparseACEBasis
from ..basis.polynomials import jacobi, legendre
from ..basis.radial import RadialEmbedding
from ..basis.selection import LEVEL_TOLERANCE, Degree, TotalDegree, select_many_body
from ..basis.transforms import PolyEnvelope1sR, PolyEnvelope2sX
from ..elements import parse_elements
from .distances import Distances, bond_lengths, cutoffs, pair_table, radii
from .keywords import reject_unknown, require, take_alias
from .model import ACEModel
from .readout import SelectLinear
from .short_forms import (
    EnvelopeSpec,
    TransformSpec,
    is_word,
    make_envelope,
    make_pair_envelope,
    make_transform,
    orthogonal_under,
    per_pair,
)
from .zbl import ZBLPotential

Energies = Mapping[str, float] | Mapping[int, float]
Initial = Literal["glorot_normal", "onehot"] | npt.ArrayLike


def ace_model(
    *,
    elements: Elements,
    order: int,
    max_level: float | Sequence[float],
    level: Degree | None = None,
    Ytype: Literal["solid", "spherical"] = "solid",
    ZBL: bool = False,
    E0s: Energies | None = None,
    rin0cuts: Any = "auto",
    rcut: Distances | None = None,
    maxl: int = 30,
    maxn: int = 50,
    maxq_fact: float = 1.5,
    maxq: int | Literal["auto"] = "auto",
    init_Wradial: Initial = "glorot_normal",
    init_WB: Literal["zeros", "glorot_normal"] = "zeros",
    pair_maxn: int | None = None,
    pair_learnable: bool = False,
    pair_transform: TransformSpec = ("agnesi", 1, 4),
    init_Wpair: Initial = "onehot",
    seed: int | None = None,
    **other: Any,
) -> ACEModel:
    """Model with the same radial functions for all neighbor species, mixed by weights per species pair.

    Parameters
    ----------
    elements : elements
        Symbols or atomic numbers; their order defines the species indices.
    order : int
        Correlation order, body order less one.
    max_level : float or sequence of float
        Bound on the level of a function, one for all orders or one per order.
    level : TotalDegree or EuclideanDegree, optional
        Level of a function; n + 1.5 l summed over its factors unless given.
    Ytype : "solid" or "spherical"
        Harmonics.
    ZBL : bool
        Add nuclear repulsion up to the largest cutoff.
    E0s : mapping, optional
        Element to one-body energy (eV), for every element; 0 unless given. Also called `Eref`.
    rin0cuts : "auto" or radii (rin, r0, rcut) per pair
        Nested sequences (NZ, NZ) of triples, or a mapping of pairs to triples, in Å. "auto": rin = 0, r0 the typical
        bond length, rcut = 2.5 r0, for each pair its own.
    rcut : float, mapping of pairs or array_like (NZ, NZ), optional
        Cutoff (Å) in place of that of `rin0cuts`.
    maxl, maxn : int
        Largest angular momentum and radial index.
    maxq_fact, maxq : float, int or "auto"
        Number of polynomials: maxq, or maxq_fact times the largest n, rounded up.
    init_Wradial, init_Wpair : "glorot_normal", "onehot" or array_like (NZ, NZ, n_nl, n_q)
        Weights of the radial functions, many-body and pair.
    init_WB : "zeros" or "glorot_normal"
        Linear parameters, many-body and pair.
    pair_maxn : int, optional
        Number of pair functions per species; `max_level` rounded up unless given, 0 for no pair part.
    pair_learnable : bool
        For users of ACEpotentials.jl, where False replaces the pair functions by splines. They are exact here either
        way; see `splinify`.
    pair_transform : ("agnesi", p, q), callable, or nested (NZ, NZ)
        Distance transform of the pair functions.
    seed : int, optional
        Of random weights; 0 unless given.
    **other
        `Eref`.

    Returns
    -------
    ACEModel

    Raises
    ------
    TypeError
        For unknown keywords.
    ValueError
        For values out of range, and for elements without a tabulated bond length if no radii are given.
    """
    E0s = take_alias(E0s, "E0s", "Eref", other)
    reject_unknown(ace_model, other, ["Eref"])
    symbols = parse_elements(elements)
    rin, r0, rcuts = radii(rin0cuts, rcut, symbols)
    level = level or TotalDegree()
    bound = _largest("max_level", max_level)
    seed = seed or 0

    radial_spec = _radial_spec(level, bound, maxn, maxl)
    n_q = math.ceil(maxq_fact * max(n for n, _ in radial_spec)) if maxq == "auto" else int(maxq)
    transform = make_transform(("agnesi", 2, 2), rin, r0, rcuts)
    rembed = RadialEmbedding(
        transform, PolyEnvelope2sX(), legendre(n_q), radial_spec, symbols, weights=init_Wradial, seed=seed
    )
    basis = _basis(order, level, max_level, radial_spec, maxl=maxl, maxn=maxn)
    n_pair = math.ceil(bound) if pair_maxn is None else int(pair_maxn)
    if n_pair:
        pair_rembed = RadialEmbedding(
            make_transform(pair_transform, rin, r0, rcuts),
            per_pair(lambda rc: PolyEnvelope1sR(rc, 1), rcuts),
            legendre(math.ceil(1.5 * n_pair)),
            [(n, 0) for n in range(1, n_pair + 1)],
            symbols,
            weights=init_Wpair,
            seed=seed + 1,
        )
    return ACEModel(
        rembed,
        AngularEmbedding(_largest_l(basis), Ytype),
        basis,
        _readout(len(basis), symbols, init_WB, seed + 2),
        rcuts=rcuts,
        pair_rembed=pair_rembed if n_pair else None,
        pair_readout=_readout(n_pair, symbols, init_WB, seed + 3) if n_pair else None,
        E0s=E0s,
        zbl=ZBLPotential(symbols, rcuts.max()) if ZBL else None,
    )


def ace1_model(
    *,
    elements: Elements | None = None,
    order: int | None = None,
    bodyorder: int | None = None,
    totaldegree: float | Sequence[float] | None = None,
    wL: float = 1.5,
    rin: float = 0.0,
    r0: Distances | Literal["bondlen"] = "bondlen",
    rcut: Distances | tuple[str, float] = ("bondlen", 2.5),
    transform: TransformSpec | None = None,
    envelope: EnvelopeSpec = ("x", 2, 2),
    pair_rin: float | Literal["rin"] = "rin",
    pair_rcut: Distances | tuple[str, float] | Literal["rcut"] = "rcut",
    pair_degree: float | Literal["totaldegree"] = "totaldegree",
    pair_transform: TransformSpec = ("agnesi", 1, 3),
    pair_basis: RadialEmbedding | Literal["legendre"] = "legendre",
    pair_envelope: EnvelopeSpec | None = None,
    Eref: Energies | None = None,
    ZBL: bool = False,
    variable_cutoffs: bool = False,
    **other: Any,
) -> ACEModel:
    """Linear ACE model with separate radial functions for every neighbor species: the default to fit.

    Parameters
    ----------
    elements : elements
        Symbols or atomic numbers; their order defines the species indices. Also called `species`.
    order, bodyorder : int
        Correlation order (also called `N`), or the body order, one more.
    totaldegree : float or sequence of float
        Bound on Σ (n' + wL l) of a function, one for all orders or one per order; n' counts polynomials.
    wL : float
        Weight of l in the degree.
    rin : float
        Inner radius of the transforms (Å).
    r0 : "bondlen", float, mapping of pairs or array_like (NZ, NZ)
        Length scale (Å); "bondlen": typical bond lengths.
    rcut : ("bondlen", factor), float, mapping of pairs or array_like (NZ, NZ)
        Cutoff (Å); ("bondlen", 2.5) means 2.5 r0.
    transform : ("agnesi", p, q), callable, or nested (NZ, NZ)
        Distance transform of the many-body functions, ("agnesi", 2, 4) unless given. Also called `trans`.
    envelope : ("x", p1, p2), ("r", p), envelope, callable, or nested (NZ, NZ)
        Of the many-body functions. With ("x", p1, p2) the polynomials are orthonormal under its square.
    pair_rin, pair_rcut, pair_degree, pair_transform
        The same for the pair functions; by default those of the many-body functions, and ("agnesi", 1, 3).
    pair_basis : "legendre" or RadialEmbedding
        Pair functions.
    pair_envelope : ("r", p), ("x", p1, p2), envelope, callable, or nested (NZ, NZ)
        ("r", 2) unless given, or ("x", 0, 2) with ZBL.
    Eref : mapping, optional
        Element to one-body energy (eV), for every element; 0 unless given. Also called `E0s`.
    ZBL : bool
        Add nuclear repulsion up to the largest cutoff.
    variable_cutoffs : bool
        Keep the cutoffs of each pair; otherwise the largest serves for all.
    **other
        `N`, `species`, `trans`, `E0s`.

    Returns
    -------
    ACEModel

    Raises
    ------
    TypeError
        For unknown or missing keywords.
    ValueError
        For values out of range, and for elements without a tabulated bond length if no r0 is given.
    """
    order = take_alias(order, "order", "N", other)
    elements = take_alias(elements, "elements", "species", other)
    transform = take_alias(transform, "transform", "trans", other)
    Eref = take_alias(Eref, "Eref", "E0s", other)
    reject_unknown(ace1_model, other, ["N", "species", "trans", "E0s"])
    order = _order(order, bodyorder)
    require({"elements": elements, "totaldegree": totaldegree})
    symbols = parse_elements(cast(Elements, elements))
    nz, degrees = len(symbols), cast(float, totaldegree)
    largest = _largest("totaldegree", degrees)

    lengths = bond_lengths(symbols) if is_word(r0, "bondlen") else pair_table(r0, symbols, "r0")
    rcuts = cutoffs(rcut, lengths, symbols, variable_cutoffs, "rcut")
    level = TotalDegree(wn=nz, wl=1 / wL)
    spec = _radial_spec(level, largest, math.ceil(largest * nz), math.ceil(largest / wL))
    rembed = RadialEmbedding(
        make_transform(transform or ("agnesi", 2, 4), np.full_like(lengths, rin), lengths, rcuts),
        make_envelope(envelope, lengths, rcuts),
        jacobi(_n_onehot(spec, nz), *orthogonal_under(envelope)),
        spec,
        symbols,
        weights="onehot",
    )
    basis = _basis(order, level, degrees, spec)

    pair_rcuts = (
        rcuts if is_word(pair_rcut, "rcut") else cutoffs(pair_rcut, lengths, symbols, variable_cutoffs, "pair_rcut")
    )
    if is_word(pair_basis, "legendre"):
        inner = np.full_like(lengths, rin if is_word(pair_rin, "rin") else float(pair_rin))
        n_q = math.ceil(largest if is_word(pair_degree, "totaldegree") else float(pair_degree))
        pair_rembed = RadialEmbedding(
            make_transform(pair_transform, inner, lengths, pair_rcuts),
            make_pair_envelope(pair_envelope, ZBL, lengths, pair_rcuts),
            legendre(n_q),
            [(n, 0) for n in range(1, n_q * nz + 1)],
            symbols,
            weights="onehot",
        )
    elif isinstance(pair_basis, RadialEmbedding):
        pair_rembed = pair_basis
    else:
        raise ValueError(f"pair_basis must be 'legendre' or a RadialEmbedding, got {pair_basis!r}")
    return ACEModel(
        rembed,
        AngularEmbedding(_largest_l(basis), "spherical"),
        basis,
        _readout(len(basis), symbols, "zeros", 0),
        rcuts=rcuts,
        pair_rembed=pair_rembed,
        pair_readout=_readout(len(pair_rembed), symbols, "zeros", 0),
        pair_rcuts=pair_rcuts,
        E0s=Eref,
        zbl=ZBLPotential(symbols, rcuts.max()) if ZBL else None,
    )


def _order(order: int | None, bodyorder: int | None) -> int:
    if order is not None and bodyorder is not None and order != bodyorder - 1:
        raise TypeError(f"order and bodyorder must not contradict each other, got {order} and {bodyorder}")
    if order is None and bodyorder is None:
        raise TypeError("missing keyword 'order' (or 'bodyorder')")
    name, given = ("order", order) if order is not None else ("bodyorder", bodyorder)
    try:
        return operator.index(cast(int, given)) - (name == "bodyorder")
    except TypeError:
        raise ValueError(f"{name} must be an integer, got {given!r}") from None


def _radial_spec(level: Degree, bound: float, maxn: int, maxl: int) -> list[tuple[int, int]]:
    """List the (n, l) within a level, l by l."""
    candidates = ((n, l) for l in range(maxl + 1) for n in range(1, maxn + 1))
    spec = [nl for nl in candidates if level.level(*nl) <= bound + LEVEL_TOLERANCE]
    if not spec:
        raise ValueError(f"the largest level must admit at least one function, got {bound}")
    return spec


def _largest(name: str, levels: float | Sequence[float]) -> float:
    array = np.asarray(levels)
    if not (array.size and np.issubdtype(array.dtype, np.number)):
        raise TypeError(f"{name} must be a number, or one per order, got {levels!r}")
    return float(array.max())


def _basis(
    order: int,
    level: Degree,
    max_level: float | Sequence[float],
    radial_spec: Sequence[tuple[int, int]],
    *,
    maxl: int | None = None,
    maxn: int | None = None,
) -> SparseACEBasis:
    mb_spec = select_many_body(order, level, max_level, maxl=maxl, maxn=maxn)
    return SparseACEBasis(mb_spec, radial_spec, max(l for _, l in radial_spec))


def _largest_l(basis: SparseACEBasis) -> int:
    """Return the largest angular momentum the basis uses."""
    return math.isqrt(int(np.max(basis.A_angular)))


def _n_onehot(spec: Sequence[tuple[int, int]], nz: int) -> int:
    """Return how many polynomials onehot weights use."""
    return (max(n for n, _ in spec) - 1) // nz + 1


def _readout(n: int, symbols: tuple[str, ...], initial: str, seed: int) -> SelectLinear:
    if initial not in ("zeros", "glorot_normal"):
        raise ValueError(f"init_WB must be 'zeros' or 'glorot_normal', got {initial!r}")
    return SelectLinear(n, symbols, np.zeros((n, len(symbols))) if initial == "zeros" else None, seed=seed)
