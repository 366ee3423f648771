"""Time ML-PACE's evaluator (python-ace) on one potential and structure; prints one JSON line.

    python pyace_peer.py --functions 299 ELEMENT CELLS [--lattice diamond:5.43] [--rcut 5.5]
    python pyace_peer.py --potential FILE ELEMENT CELLS [--lattice fcc:3.62]

Runs in an environment of its own (`pip install python-ace==0.4.0rc1`). --functions makes a linear potential of that
many functions of up to three neighbours with random coefficients; FILE is one that python-ace reads, .yace or .ace. µs
per atom for energies and forces of the recursive evaluator, the one ML-PACE uses on CPUs: `kernel`, environment given,
and `calculator`, a step through ASE.
"""

from __future__ import annotations

import argparse
import json
from typing import Any

import numpy as np
import pyace
from ase.data import atomic_numbers
from structures import best, moving_step, rattled


def linear_potential(element: str, n_functions: int, rcut: float) -> Any:
    """Return the declaration of a linear potential with as many functions as asked for."""
    return pyace.create_multispecies_basis_config(
        {
            "deltaSplineBins": 0.001,
            "elements": [element],
            "embeddings": {"ALL": {"npot": "FinnisSinclairShiftedScaled", "fs_parameters": [1, 1], "ndensity": 1}},
            "bonds": {
                "ALL": {
                    "radbase": "ChebPow", "radparameters": [2.0], "rcut": rcut, "dcut": 0.01,
                    "NameOfCutoffFunction": "cos",
                }
            },
            "functions": {
                "number_of_functions_per_element": n_functions,
                "ALL": {"nradmax_by_orders": [20, 8, 5], "lmax_by_orders": [0, 6, 4]},
            },
        },
        func_coefs_initializer="random",
    )  # fmt: skip


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--functions", type=int)
    what.add_argument("--potential", metavar="FILE")
    parser.add_argument("element")
    parser.add_argument("cells", type=int)
    parser.add_argument("--lattice", default="diamond:5.43", metavar="NAME:A")
    parser.add_argument("--rcut", type=float, default=5.5)
    args = parser.parse_args()
    np.random.seed(0)  # noqa: NPY002 (python-ace draws its coefficients from here)
    potential = args.potential or linear_potential(args.element, args.functions, args.rcut)
    calculator = pyace.PyACECalculator(potential, recursive_evaluator=True, recursive=True)
    lattice, a = args.lattice.split(":")
    atoms = rattled(lattice, float(a), args.cells, [atomic_numbers[args.element]])
    atoms.calc = calculator
    atoms.get_potential_energy()
    kernel = best(lambda: calculator.ace.compute(calculator.ae, compute_projections=False), repeat=5)
    basis = calculator.basis
    out = {
        "atoms": len(atoms),
        "rcut": basis.cutoffmax,
        "functions": sum(len(functions) for functions in (*basis.basis_rank1, *basis.basis)),
        "kernel": 1e6 * kernel / len(atoms),
        "calculator": 1e6 * best(moving_step(atoms), repeat=5) / len(atoms),
    }
    print(json.dumps(out))


if __name__ == "__main__":
    main()
