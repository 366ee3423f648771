"""Time acepair on one model and structure; prints one JSON line.

    python measure.py MODEL CELLS [--lattice diamond:5.43] [--dtype D] [--calculator]

MODEL is a name as models.py has it. `kernel`: µs per atom for energies and forces, positions and a list at the cutoff
given. `calculator`: a step of MD through ACECalculator (skin 1 Å, the list reused). `memory`: peak of the process up
to the list (MB), and what energies and forces take beyond list and positions. `floor`: see floor.py, cycles per atom.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from floor import floor_cycles, sizes
from kernel import BareKernel
from models import read_model
from structures import best, moving_step, rattled

from acepair import ACECalculator, _kernels, length_basis
from acepair.evaluate import as_calculator


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("cells", type=int)
    parser.add_argument("--lattice", default="diamond:5.43", metavar="NAME:A")
    parser.add_argument("--dtype", default="float64")
    parser.add_argument("--calculator", action="store_true")
    args = parser.parse_args()
    print(json.dumps(measure(args)))


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Return what the command line asks for."""
    model = read_model(args.model)
    lattice, a = args.lattice.split(":")
    atoms = rattled(lattice, float(a), args.cells, as_calculator(model).numbers.tolist())
    kernel = BareKernel(model, atoms, dtype=args.dtype)
    search_peak, before = memory("VmHWM"), memory("VmRSS")
    reset_peak()
    microseconds = 1e6 / len(atoms)
    out = {
        "isa": _kernels.isa(),
        "dtype": args.dtype,
        "atoms": len(atoms),
        "neighbors": kernel.neighbors.n_edges / len(atoms),
        "functions": length_basis(model),
        "kernel": microseconds * best(kernel),
        "energy": float(kernel.energies.sum()),
        "memory": {"peak": search_peak, "kernel": memory("VmHWM") - before},
        "sizes": sizes(model),
        "floor": floor_cycles(model, kernel.neighbors.n_edges / len(atoms)),
    }
    if args.calculator:
        atoms.calc = ACECalculator(model, threads=1, dtype=args.dtype)
        out["calculator"] = microseconds * best(moving_step(atoms))
    return out


def memory(key: str) -> float:
    """Return an entry of the process status in MB: VmRSS, resident now; VmHWM, the most since the last reset."""
    status = Path("/proc/self/status").read_text()
    return next(float(line.split()[1]) for line in status.splitlines() if line.startswith(key)) / 1024


def reset_peak() -> None:
    """Forget the peak so far (Linux, proc(5))."""
    Path("/proc/self/clear_refs").write_text("5")


if __name__ == "__main__":
    main()
