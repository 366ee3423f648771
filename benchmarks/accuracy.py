"""Errors of forces, beside the golden values of tests/data; prints one JSON line.

    python accuracy.py [--dtype D] MODEL [MODEL ...]

Golden forces are of another implementation, in float64, radial functions evaluated as the model says. `golden`: largest
error over all structures of a model, relative to the largest force of the structure. `float64`, for other dtypes: the
root mean square difference from acepair's float64 on 1000 atoms, relative to that of the forces, and the largest.
"""

from __future__ import annotations

import argparse
import json

import numpy as np
from ase import Atoms
from models import GOLDEN, read_model
from structures import rattled_diamond

from acepair import ACECalculator


def golden_error(name: str, dtype: str) -> float:
    """Largest error of a force over the largest force, worst structure."""
    calculator = ACECalculator(read_model(name), threads=1, dtype=dtype)
    worst = 0.0
    with np.load(GOLDEN / f"{name}.ref.npz") as ref:
        for k in range(int(ref["n_structures"])):
            atoms = Atoms(ref[f"{k}_numbers"], ref[f"{k}_positions"], cell=ref[f"{k}_cell"], pbc=ref[f"{k}_pbc"])
            expected = ref[f"{k}_forces"]
            forces = calculator.get_forces(atoms)
            scale = np.abs(expected).max()
            if scale > 1e-6:  # eV/Å; not where symmetry makes all forces vanish
                worst = max(worst, float(np.abs(forces - expected).max() / scale))
    return worst


def float64_difference(name: str, dtype: str) -> tuple[float, float]:
    """Root mean square and largest difference of forces from float64, over those of the forces."""
    model = read_model(name)
    atoms = rattled_diamond(5, model.numbers.tolist())
    exact, other = (ACECalculator(model, threads=1, dtype=d).get_forces(atoms) for d in ("float64", dtype))
    difference = other - exact
    rms = np.sqrt(np.mean(difference**2) / np.mean(exact**2))
    return float(rms), float(np.abs(difference).max() / np.abs(exact).max())


def main() -> None:
    """Print what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dtype", default="float64")
    parser.add_argument("models", nargs="+")
    args = parser.parse_args()
    out: dict[str, object] = {"golden": {name: golden_error(name, args.dtype) for name in args.models}}
    if args.dtype != "float64":
        out["float64"] = {name: float64_difference(name, args.dtype) for name in args.models}
    print(json.dumps(out))


if __name__ == "__main__":
    main()
