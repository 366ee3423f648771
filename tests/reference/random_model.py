"""Model files nobody fitted, to reach what the golden files do not: three species, per-pair cutoffs, order 5, rin > 0.

The coupling matrix is random too, so energies are not rotation invariant: only engines are compared on them.
"""

from __future__ import annotations

import json

import numpy as np


def _agnesi_row(p: float, q: float, rin: float, r0: float, rcut: float) -> list[float]:
    a = (-2 * q + p * (4 * q - 2)) / (p + p * p + q + q * q)
    s = (rcut - rin) / (r0 - rin)
    return [p, q, a, rin, r0, 1.0, 1 / (1 + a * s**q / (1 + s ** (q - p)))]


def random_model(
    elements: list[int],
    *,
    radial: str = "analytic",
    pair_envelope: str = "poly1sr",
    harmonics: str = "real_solidharmonics",
    rcut: float = 5.0,
    pair_spread: float = 0.15,
    rin: float = 0.0,
    order: int = 3,
    lmax: int = 3,
    n_max: int = 3,
    seed: int = 0,
) -> dict[str, np.ndarray]:
    """Arrays of one model file; `pair_spread` varies cutoffs and r0 from species pair to species pair."""
    rng = np.random.default_rng(seed)
    nz, n_q, n_pair, n_nodes = len(elements), n_max + 3, 4, 30
    scale = 1 + pair_spread * rng.uniform(-1, 1, (2, nz, nz))
    scale = (scale + scale.transpose(0, 2, 1)) / 2
    rcuts, r0s = rcut * scale[0], 2.3 * scale[1]

    radial_spec = [(n, l) for l in range(lmax + 1) for n in range(1, n_max + 1)]
    aspec = [(k, l * l + l + m) for k, (_, l) in enumerate(radial_spec) for m in range(-l, l + 1)]
    specs = [np.unique(np.sort(rng.integers(0, len(aspec), (12, nu)), axis=1), axis=0) for nu in range(1, order + 1)]
    n_AA = sum(map(len, specs))
    n_B = max(1, n_AA - 3)  # some rows have several entries
    rows = np.concatenate([np.arange(n_AA) % n_B, [0, 1 % n_B]])
    cols = np.concatenate([np.arange(n_AA), [n_AA - 1, n_AA // 2]])

    def per_pair(row) -> np.ndarray:
        return np.array([[row(i, j) for j in range(nz)] for i in range(nz)], float)

    def pair_envelope_row(i: int, j: int) -> list[float]:
        return [rcuts[i, j], 2] if pair_envelope == "poly1sr" else [rcuts[i, j], r0s[i, j], 2]

    meta = {
        "schema_version": 1, "elements": elements, "radial_kind": radial, "pair_radial_kind": radial,
        "envelope_kind": "poly2sx", "pair_envelope_kind": pair_envelope, "ybasis_kind": harmonics,
        "transform_kind": "agnesi_normalized", "lmax": lmax, "n_B": n_B, "n_AA": n_AA, "order": order,
        "aa_lens": [len(s) for s in specs], "rcut": float(rcuts.max()), "n_pair": n_pair,
    }  # fmt: skip
    arrays = {
        "elements": np.array(elements),
        "aspec_r": np.array([a[0] for a in aspec]), "aspec_y": np.array([a[1] for a in aspec]),
        "A2B_rows": rows, "A2B_cols": cols, "A2B_vals": rng.normal(size=len(rows)), "A2B_shape": np.array([n_B, n_AA]),
        "rnl_transform": per_pair(lambda i, j: _agnesi_row(2, 4, rin, r0s[i, j], rcuts[i, j])),
        "pair_transform": per_pair(lambda i, j: _agnesi_row(1, 3, rin, r0s[i, j], rcuts[i, j])),
        "rnl_envelope": per_pair(lambda i, j: [-1, 1, 2, 3, 1.7]),
        "pair_envelope": per_pair(pair_envelope_row),
        "rcuts": rcuts.max(1), "pair_rcuts": rcuts,
        "WB": rng.normal(size=(n_B, nz)) * 0.02, "Wpair": rng.normal(size=(n_pair, nz)) * 0.1,
        "E0": rng.normal(size=nz),
    }  # fmt: skip
    arrays |= {f"aa_spec_{nu + 1}": s for nu, s in enumerate(specs)}
    if radial == "analytic":
        for prefix in ("", "pair_"):
            arrays |= {f"{prefix}polys_{c}": rng.uniform(0.4, 1.2, n_q) * (-1 if c == "C" else 1) for c in "ABC"}
        arrays["rnl_Wnlq"] = rng.normal(size=(nz, nz, len(radial_spec), n_q)) / n_q
        arrays["pair_Wnlq"] = rng.normal(size=(nz, nz, n_pair, n_q)) / n_q
    else:
        grid = {"x0": -1.0, "h": 2 / (n_nodes - 1), "n": n_nodes, "ncoef": n_nodes + 2}
        meta |= {"rnl_spline": grid, "pair_spline": grid}
        arrays["pair_spline_coefs"] = rng.normal(size=(nz, nz, n_nodes + 2, n_pair))
        if radial == "spline":
            arrays["rnl_spline_coefs"] = rng.normal(size=(nz, nz, n_nodes + 2, len(radial_spec)))
        else:
            meta["pair_radial_kind"] = "spline"
            arrays["rnl_spline_coefs_single"] = rng.normal(size=(n_nodes + 2, n_max))
            arrays["rnl_embedding"] = rng.normal(size=(nz, 2))
            arrays["rnl_emb_nidx"] = np.array([n - 1 for n, _ in radial_spec])
            arrays["rnl_emb_kidx"] = np.array([(n + l) % 2 for n, l in radial_spec])
    arrays["meta_json"] = np.frombuffer(json.dumps(meta).encode(), np.uint8)
    return arrays
