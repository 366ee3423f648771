"""Time ace-jax on one model and structure; prints one JSON line.

    python acejax_peer.py MODEL.npz CELLS [--calculator] [--rows]

Runs in an environment of its own (`pip install ace-jax==0.4.1`). Same structures and model files as measure.py.
`kernel`: µs per atom for energies and forces of ace-jax's C++ kernel, neighbour list given; `calculator`: of its ASE
calculator, the list reused; `rows`: of the compiled function that makes the rows of its fits' design matrices
(`linear_rows_bounded`), batch of neighbours given; `rows_with_list`: of the same after `build_dataset`.
ACEJAX_FFI_FLAGS in the environment chooses what the kernel is compiled with, ACEJAX_FFI_CACHE where it is kept.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable

import equinox as eqx
import jax

jax.config.update("jax_enable_x64", True)
import jax.numpy as jnp  # noqa: E402  (after the switch to float64)
import numpy as np  # noqa: E402
from ace_jax import ACECalculator, load  # noqa: E402
from ace_jax.eval import ffi, lean  # noqa: E402
from ase.neighborlist import neighbor_list  # noqa: E402
from structures import best, moving_step, rattled_diamond  # noqa: E402


class Graph(eqx.Module):
    """Neighbours in the layout of ace-jax's kernel."""

    neighbors: jax.Array
    num_neighbors: jax.Array


def time_kernel(model, atoms, rcut: float) -> tuple[float, float, float]:
    """Seconds per call of the C++ kernel on atoms and images, its energy, and neighbours per atom."""
    elements = list(model.elements)
    i, j, S = neighbor_list("ijS", atoms, rcut)
    home = (S == 0).all(1)
    images, inverse = np.unique(np.concatenate([j[:, None], S], 1)[~home], axis=0, return_inverse=True)
    n = len(atoms)
    j = j.copy()
    j[~home] = n + inverse.ravel()
    positions = np.concatenate([atoms.positions, atoms.positions[images[:, 0]] + images[:, 1:] @ atoms.cell[:]])
    z = np.array([elements.index(number) for number in atoms.numbers])
    z = np.concatenate([z, z[images[:, 0]]])
    count = np.bincount(i, minlength=n)
    table = np.zeros((count.max(), n), np.int32)
    first = np.concatenate([[0], np.cumsum(count)])
    for a in range(n):
        table[: count[a], a] = j[first[a] : first[a + 1]]
    graph = Graph(jnp.asarray(table), jnp.asarray(count.astype(np.int32)))
    lean_model = lean(model, radial_table=True)
    energy_fn, force_fn = ffi.lammps_fns(lean_model, len(elements), list(range(len(elements))), rcut)
    ffi.register(ffi.library())
    species, x = jnp.asarray(z), jnp.asarray(positions)
    energies = jax.jit(lambda p: energy_fn(p, species, graph))(x)
    step = jax.jit(lambda p: force_fn(p, species, graph))
    seconds = best(lambda: step(x).block_until_ready())
    return seconds, float(energies[:n].sum()), float(count.mean())


def design_rows(model, meta, atoms) -> tuple[Callable[[], object], Callable[[], object]]:
    """Return functions that make the rows of energy, forces and virial: batch given, and batch made each time."""
    from ace_jax.fit.data import build_dataset, load_configs
    from ace_jax.fit.inducing import GPConfig
    from ace_jax.fit.rows import linear_rows_bounded

    config = GPConfig(
        r0=2.35, rcut=float(meta["rcut"]), n_B=meta["n_B"], n_pair=meta["n_pair"], NZ=len(meta["elements"]), C=1
    )
    configs = load_configs([atoms])
    compiled = eqx.filter_jit(lambda m, batch: linear_rows_bounded(m, config, batch))

    def batch():
        dataset = build_dataset(configs, meta, np.zeros(config.NZ), 1, log=lambda _: None)
        return jax.tree_util.tree_map(lambda values: values[0], dataset)

    given = batch()
    return (
        lambda: jax.block_until_ready(compiled(model, given)),
        lambda: jax.block_until_ready(compiled(model, batch())),
    )


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("cells", type=int)
    parser.add_argument("--calculator", action="store_true")
    parser.add_argument("--rows", action="store_true")
    args = parser.parse_args()
    model, meta, _ = load(args.model)
    atoms = rattled_diamond(args.cells, list(model.elements))
    seconds, energy, neighbors = time_kernel(model, atoms, meta["rcut"])
    out = {"atoms": len(atoms), "neighbors": neighbors, "energy": energy, "kernel": 1e6 * seconds / len(atoms)}
    if args.calculator:
        atoms.calc = ACECalculator(model, meta)
        out["calculator"] = 1e6 * best(moving_step(atoms)) / len(atoms)
    if args.rows:
        rows, rows_with_list = design_rows(model, meta, atoms)
        out["rows"] = 1e6 * best(rows, repeat=3) / len(atoms)
        out["rows_with_list"] = 1e6 * best(rows_with_list, repeat=3) / len(atoms)
    print(json.dumps(out))


if __name__ == "__main__":
    main()
