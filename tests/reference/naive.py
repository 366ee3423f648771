"""ACE energies and gradients straight from the formulas, for models in ace-jax's file format.

Slow and plain on purpose. Works in any real floating type: `np.longdouble` gives values good to about
1e-17, against which double-precision engines are measured. Derivatives along an edge are taken by complex step
(f(x + ih) = f(x) + ih f'(x) with h so small that nothing cancels), so no derivative formula is written here.
"""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

STEP = 1e-40  # complex step: its square vanishes against 1 in every floating type used here


@dataclass(frozen=True)
class NaiveModel:
    """The arrays of one model file, cast to one floating type."""

    meta: dict[str, Any]
    arrays: dict[str, np.ndarray]
    dtype: type = np.float64

    @classmethod
    def read(cls, path: str | Path, dtype: type = np.float64) -> NaiveModel:
        with np.load(path) as file:
            arrays = {key: file[key] for key in file.files}
        return cls.from_arrays(arrays, dtype)

    @classmethod
    def from_arrays(cls, arrays: dict[str, np.ndarray], dtype: type = np.float64) -> NaiveModel:
        meta = json.loads(bytes(arrays["meta_json"]).decode())
        cast = {k: v.astype(dtype) if v.dtype.kind == "f" else v for k, v in arrays.items()}
        return cls(meta, cast, dtype)

    def __getitem__(self, key: str) -> np.ndarray:
        return self.arrays[key]

    def __contains__(self, key: str) -> bool:
        return key in self.arrays

    @property
    def elements(self) -> list[int]:
        return [int(z) for z in self.meta["elements"]]

    @property
    def rcut(self) -> float:
        """A radius no radial function reaches beyond (Å)."""
        return max(float(self.meta["rcut"]), float(self["pair_envelope"][..., 0].max()))

    @property
    def products(self) -> list[np.ndarray]:
        """Per order ν the (n_ν, ν) indices of the A functions multiplied."""
        return [self[f"aa_spec_{order + 1}"] for order in range(len(self.meta["aa_lens"]))]

    def with_weights(self, WB: np.ndarray, Wpair: np.ndarray, E0: np.ndarray) -> NaiveModel:
        new = {"WB": WB, "Wpair": Wpair, "E0": E0}
        arrays = self.arrays | {key: np.asarray(value, self.dtype) for key, value in new.items()}
        return NaiveModel(self.meta, arrays, self.dtype)


@dataclass(frozen=True)
class Result:
    """Values (eV, Å); edges p = (i, j, S) with D = r_j + S·cell − r_i, sorted by (i, j, S)."""

    i: np.ndarray
    j: np.ndarray
    S: np.ndarray
    D: np.ndarray
    B: np.ndarray
    Bpair: np.ndarray
    site_energies: np.ndarray
    E0: np.ndarray
    site_grads: np.ndarray
    pair_energies: np.ndarray = field(repr=False)

    @property
    def energy(self):
        return self.site_energies.sum()

    @property
    def forces(self) -> np.ndarray:
        F = np.zeros((len(self.site_energies), 3), self.D.dtype)
        np.add.at(F, self.i, self.site_grads)
        np.add.at(F, self.j, -self.site_grads)
        return F

    @property
    def virial(self) -> np.ndarray:
        return -np.einsum("pa,pb->ab", self.D, self.site_grads)

    def stress(self, volume: float) -> np.ndarray:
        """ASE's Voigt stress (eV/Å³)."""
        return (-self.virial / volume)[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]]


# Radial functions ------------------------------------------------------------------------------------------


def power(x: np.ndarray, p) -> np.ndarray:
    """x^p by repeated multiplication where p is an integer: exact to rounding in every type."""
    if p != int(p):
        return np.exp(p * np.log(x))
    y = np.ones_like(x)
    for _ in range(abs(int(p))):
        y = y * x
    return y if p >= 0 else 1 / y


def agnesi(r: np.ndarray, parameters: np.ndarray) -> np.ndarray:
    """Normalised Agnesi coordinate y of a complex r."""
    p, q, a, rin, r0, x_rin, x_rcut = parameters
    y = np.full_like(r, -1)
    beyond = r.real > rin
    s = (r[beyond] - rin) / (r0 - rin)
    x = 1 / (1 + a * power(s, q) / (1 + power(s, q - p)))
    y[beyond] = -1 + 2 * (x - x_rin) / (x_rcut - x_rin)
    y[y.real <= -1] = -1
    y[y.real >= 1] = 1
    return y


def envelope(kind: str, r: np.ndarray, y: np.ndarray, parameters: np.ndarray) -> np.ndarray:
    out = np.zeros_like(r)
    if kind == "poly2sx":
        y1, y2, p1, p2, scale = parameters
        inside = (y.real > y1) & (y.real < y2)
        out[inside] = scale * power(y[inside] - y1, p1) * power(y2 - y[inside], p2)
        return out
    rcut = parameters[0]
    inside = r.real < rcut
    if kind == "poly1sr":
        s = r[inside] / rcut
        out[inside] = (power(s, -parameters[1]) - 1) * (1 - s)
    elif kind == "ace1_poly1sr":
        r0, p = parameters[1:]
        s, sc = r[inside] / r0, rcut / r0
        out[inside] = power(s, -p) - power(sc, -p) + p * power(sc, -p - 1) * (s - sc)
    else:
        raise NotImplementedError(kind)
    return out


def polynomials(y: np.ndarray, A: np.ndarray, B: np.ndarray, C: np.ndarray) -> np.ndarray:
    P = np.empty((len(y), len(A)), y.dtype)
    P[:, 0] = A[0]
    if len(A) > 1:
        P[:, 1] = A[1] * y + B[1]
    for k in range(2, len(A)):
        P[:, k] = (A[k] * y + B[k]) * P[:, k - 1] + C[k] * P[:, k - 2]
    return P


def spline(y: np.ndarray, x0: float, h: float, coefficients: np.ndarray) -> np.ndarray:
    """Uniform cubic B-spline: node k (0-based) is centred on coefficient row k + 1."""
    n_nodes = len(coefficients) - 2
    u = (y - y.real.dtype.type(x0)) / y.real.dtype.type(h)
    k = np.clip(np.floor(u.real).astype(int), 0, n_nodes - 2)
    t = u - k
    w = [power(1 - t, 3), 4 - 6 * t * t + 3 * power(t, 3), 4 - 6 * power(1 - t, 2) + 3 * power(1 - t, 3), power(t, 3)]
    return sum(w[q][:, None] * coefficients[k + q] for q in range(4)) / 6


def radial_values(model: NaiveModel, basis: str, r: np.ndarray, zi: np.ndarray, zj: np.ndarray) -> np.ndarray:
    """R (n_edges, n_functions) of a complex r; `basis` is "rnl" (many-body) or "pair"."""
    many_body = basis == "rnl"
    kind = model.meta["radial_kind" if many_body else "pair_radial_kind"]
    if many_body and "rnl_spline_coefs_single" in model:
        kind = "spline_factorised"
    envelope_kind = model.meta.get("envelope_kind", "poly2sx") if many_body else model.meta["pair_envelope_kind"]
    grid = model.meta.get(f"{basis}_spline") or {}
    prefix = "" if many_body else "pair_"
    parts = []
    for a, b in itertools.product(range(len(model.elements)), repeat=2):
        edges = np.flatnonzero((zi == a) & (zj == b))
        y = agnesi(r[edges], model[f"{basis}_transform"][a, b])
        if kind == "analytic":
            P = polynomials(y, *(model[f"{prefix}polys_{c}"] for c in "ABC"))
            values = np.einsum("eq,nq->en", P, model[f"{basis}_Wnlq"][a, b])
        elif kind == "spline":
            values = spline(y, grid["x0"], grid["h"], model[f"{basis}_spline_coefs"][a, b])
        elif kind == "spline_factorised":
            P = spline(y, grid["x0"], grid["h"], model["rnl_spline_coefs_single"])
            values = P[:, model["rnl_emb_nidx"]] * model["rnl_embedding"][b, model["rnl_emb_kidx"]]
        else:
            raise NotImplementedError(kind)
        parts.append((edges, values * envelope(envelope_kind, r[edges], y, model[f"{basis}_envelope"][a, b])[:, None]))
    R = np.empty((len(r), parts[0][1].shape[1]), r.dtype)
    for edges, values in parts:
        R[edges] = values
    return R


def radial(model: NaiveModel, basis: str, d: np.ndarray, zi: np.ndarray, zj: np.ndarray):
    """R and dR/dd, each (n_edges, n_functions)."""
    step = model.dtype(STEP)
    values = radial_values(model, basis, np.asarray(d, model.dtype) + 1j * step, zi, zj)
    return values.real, values.imag / step


# Angular functions -----------------------------------------------------------------------------------------


def angular_values(lmax: int, D: np.ndarray, solid: bool) -> np.ndarray:
    """Real harmonics (n_edges, (lmax + 1)²) of a complex D, index l² + l + m."""
    x, y, z = D.T
    r2 = x * x + y * y + z * z
    if not solid:
        r = np.sqrt(r2)
        x, y, z, r2 = x / r, y / r, z / r, np.ones_like(r)
    real = D.real.dtype.type
    pi = 4 * np.arctan(real(1))
    Y = np.empty((len(D), (lmax + 1) ** 2), D.dtype)
    re, im, q_mm = np.ones_like(x), np.zeros_like(x), real(1)  # (x + iy)^m and (2m − 1)!!
    for m in range(lmax + 1):
        below, q = np.zeros_like(x), q_mm * np.ones_like(x)  # q = r^(l−m) P_l^m(z/r) / sin^m
        for l in range(m, lmax + 1):
            norm = np.sqrt(real(2 * l + 1) / (4 * pi) * (2 if m else 1))
            for k in range(l - m + 1, l + m + 1):
                norm = norm / np.sqrt(real(k))
            Y[:, l * l + l + m] = norm * q * re
            if m:
                Y[:, l * l + l - m] = norm * q * im
            below, q = q, ((2 * l + 1) * z * q - (l + m) * r2 * below) / real(l - m + 1)
        re, im = re * x - im * y, re * y + im * x
        q_mm = q_mm * (2 * m + 1)
    return Y


def angular(lmax: int, D: np.ndarray, solid: bool) -> tuple[np.ndarray, np.ndarray]:
    """Y (n_edges, n_Y) and ∂Y/∂D (n_edges, n_Y, 3)."""
    step = D.dtype.type(STEP)
    shifted = [angular_values(lmax, D + 1j * step * np.eye(3, dtype=D.dtype)[axis], solid) for axis in range(3)]
    return shifted[0].real, np.stack([s.imag for s in shifted], axis=-1) / step


# Neighbours and energies -----------------------------------------------------------------------------------


def edges(positions, cell, pbc, rcut: float, dtype: type = np.float64):
    """All edges i, j, S, D with |D| < rcut, sorted by (i, j, S), trying every image that could be in reach."""
    positions, cell, pbc = np.asarray(positions, float).reshape(-1, 3), np.asarray(cell, float), np.asarray(pbc, bool)
    full = cell.copy()
    for axis in np.flatnonzero(~pbc):  # any vectors independent of the periodic ones will do
        full[axis] = 0
        full[axis] = np.linalg.svd(full)[2][-1]
    inverse = np.linalg.inv(full)
    reach = rcut * np.linalg.norm(inverse, axis=0)
    fractional = positions @ inverse
    span = np.ptp(fractional, axis=0) if len(positions) else np.zeros(3)
    n_images = np.where(pbc, np.ceil(reach + span), 0).astype(int)
    S = np.array(list(itertools.product(*(range(-n, n + 1) for n in n_images))), dtype=int)
    x, c = positions.astype(dtype), np.where(pbc[:, None], cell, 0).astype(dtype)
    offsets = S.astype(dtype) @ c
    found = []
    for i in range(len(x)):
        D = x[:, None] - x[i] + offsets
        d2 = (D * D).sum(-1)
        near = d2 < dtype(rcut) ** 2
        near[i] &= (S != 0).any(1)
        j, k = np.nonzero(near)
        found.append((np.full(len(j), i), j, S[k], D[j, k]))
    if not found:
        return np.zeros(0, int), np.zeros(0, int), np.zeros((0, 3), int), np.zeros((0, 3), dtype)
    return tuple(np.concatenate(part) for part in zip(*found, strict=True))


def evaluate(model: NaiveModel, atoms) -> Result:
    """Everything the formulas give for an `ase.Atoms`."""
    i, j, S, D = edges(atoms.positions, atoms.cell[:], atoms.pbc, model.rcut, model.dtype)
    z = np.array([model.elements.index(number) for number in atoms.numbers], dtype=int)
    d = np.sqrt((D * D).sum(-1))
    unit = D / d[:, None]
    R, dR = radial(model, "rnl", d, z[i], z[j])
    Rpair, dRpair = radial(model, "pair", d, z[i], z[j])
    Y, dY = angular(model.meta["lmax"], D, model.meta["ybasis_kind"] == "real_solidharmonics")
    n_atoms, ar, ay = len(z), model["aspec_r"], model["aspec_y"]

    A = np.zeros((n_atoms, len(ar)), model.dtype)
    np.add.at(A, i, R[:, ar] * Y[:, ay])
    AA = np.concatenate([A[:, spec].prod(axis=-1) for spec in model.products], axis=1)
    B = np.zeros((n_atoms, model["A2B_shape"][0]), model.dtype)
    for row, column, value in zip(model["A2B_rows"], model["A2B_cols"], model["A2B_vals"], strict=True):
        B[:, row] += value * AA[:, column]
    Bpair = np.zeros((n_atoms, Rpair.shape[1]), model.dtype)
    np.add.at(Bpair, i, Rpair)
    pair = (Bpair * model["Wpair"].T[z]).sum(1)
    site = model["E0"][z] + pair + (B * model["WB"].T[z]).sum(1)

    c = np.zeros((len(model.elements), AA.shape[1]), model.dtype)
    np.add.at(c.T, model["A2B_cols"], model["A2B_vals"][:, None] * model["WB"][model["A2B_rows"]])
    A_adj = np.zeros_like(A)
    first = 0
    for spec in model.products:
        AA_adj = c[z][:, first : first + len(spec)]
        first += len(spec)
        for t in range(spec.shape[1]):
            others = A[:, np.delete(spec, t, axis=1)].prod(axis=-1)
            np.add.at(A_adj.T, spec[:, t], (AA_adj * others).T)
    A_adj = A_adj[i]
    grads = ((A_adj * dR[:, ar] * Y[:, ay]).sum(1) + (dRpair * model["Wpair"].T[z[i]]).sum(1))[:, None] * unit
    for axis in range(3):
        grads[:, axis] += (A_adj * R[:, ar] * dY[:, ay, axis]).sum(1)
    return Result(i, j, S, D, B, Bpair, site, model["E0"][z], grads, pair)


def energy_scale(result: Result) -> float:
    """|E − ΣE0| + 1 eV, against which energy tolerances are stated."""
    return float(abs(result.energy - result.E0.sum())) + 1.0


def force_scale(forces: np.ndarray) -> float:
    """max(max|F|, 1 eV/Å), against which force tolerances are stated."""
    return max(float(np.abs(forces).max(initial=0.0)), 1.0)
