"""Time ace-jax's design rows of one structure, compiled, its neighbour list given; prints one JSON line.

    python acejax_rows.py MODEL.npz CELLS

Runs in an environment of its own (`pip install ace-jax==0.4.1`). `linear_rows_bounded` is what `aj fit` calls for every
batch of structures; `norm` is that of the force rows, for comparison.
"""

from __future__ import annotations

import json
import sys

import equinox as eqx
import jax

jax.config.update("jax_enable_x64", True)
import numpy as np  # noqa: E402  (after the switch to float64)
from ace_jax import load  # noqa: E402
from ace_jax.fit.data import build_dataset, load_configs  # noqa: E402
from ace_jax.fit.inducing import GPConfig  # noqa: E402
from ace_jax.fit.rows import linear_rows_bounded  # noqa: E402
from structures import best, rattled_diamond  # noqa: E402


def main() -> None:
    """Measure what the command line asks for."""
    model, meta, _ = load(sys.argv[1])
    elements = list(model.elements)
    atoms = rattled_diamond(int(sys.argv[2]), elements)
    atoms.info |= {"energy": 0.0, "virial": np.zeros((3, 3))}
    atoms.arrays["forces"] = np.zeros((len(atoms), 3))
    dataset = build_dataset(load_configs([atoms]), meta, np.zeros(len(elements)), 1)
    # r0 is not used by the linear rows
    config = GPConfig(r0=2.5, rcut=meta["rcut"], n_B=meta["n_B"], n_pair=meta["n_pair"], NZ=len(elements), C=1)
    batch = jax.tree.map(lambda array: array[0], dataset)
    rows = eqx.filter_jit(lambda m, b: linear_rows_bounded(m, config, b))
    seconds = best(lambda: jax.block_until_ready(rows(model, batch)), repeat=20, at_least=2.0)
    print(json.dumps({"rows": 1e6 * seconds, "norm": float(np.linalg.norm(rows(model, batch).F))}))


if __name__ == "__main__":
    main()
