"""Time acepair on one model and structure; prints one JSON line.

    python measure.py MODEL.npz CELLS [--threads N] [--calculator] [--rows]

MODEL.npz is a golden model of tests/data. `kernel`: µs per atom for energies and forces, positions and a list at the
cutoff given, species order prebuilt. `calculator`: a step of MD through ACECalculator (skin 1 Å, the list reused).
`rows`: `energy_forces_virial_basis`. `memory`: peak of the process up to the list (MB), and what energies and forces
take beyond list and positions.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from structures import best, rattled_diamond

from acepair import _kernels
from acepair.evaluate import Evaluator
from acepair.io import read_acejax
from acepair.models.stacked import StackedCalculator
from acepair.structure import read_structure


def memory(key: str) -> float:
    """Return an entry of the process status in MB: VmRSS, resident now; VmHWM, the most since the last reset."""
    status = Path("/proc/self/status").read_text()
    return next(float(line.split()[1]) for line in status.splitlines() if line.startswith(key)) / 1024


def reset_peak() -> None:
    """Forget the peak so far (Linux, proc(5))."""
    Path("/proc/self/clear_refs").write_text("5")


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("cells", type=int)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--calculator", action="store_true")
    parser.add_argument("--rows", action="store_true")
    args = parser.parse_args()

    model = read_acejax(args.model)
    atoms = rattled_diamond(args.cells, model.numbers.tolist())
    evaluator = Evaluator(model, threads=args.threads)
    structure = read_structure(atoms, evaluator.table)
    neighbors = evaluator.neighbors(structure)
    out = {
        "isa": _kernels.isa(),
        "threads": args.threads,
        "atoms": len(atoms),
        "neighbors": neighbors.n_edges / len(atoms),
    }

    (plan,) = (plan for plan in evaluator.plans() if plan.has_edges)
    packed = plan.pack(structure, neighbors, structure.species)
    order, offsets = neighbors.species_order(structure.species, len(plan.E0))
    search_peak, before = memory("VmHWM"), memory("VmRSS")
    reset_peak()
    energies, forces, virial = np.zeros(len(atoms)), np.zeros_like(packed), np.zeros(9)

    def kernel() -> None:
        for array in (energies, forces, virial):
            array[:] = 0
        _kernels.evaluate(
            plan.engine, evaluator.memory, packed, neighbors.first, neighbors.neighbor, order, offsets,
            energies, forces, virial, None, None, args.threads,
        )  # fmt: skip

    microseconds = 1e6 / len(atoms)
    out["kernel"] = microseconds * best(kernel)
    out["energy"] = float(energies.sum())
    out["memory"] = {"peak": search_peak, "kernel": memory("VmHWM") - before}
    if args.calculator:
        out["calculator"] = microseconds * best(calculator_step(model, atoms, args.threads))
    if args.rows:
        from acepair import energy_forces_virial_basis

        out["rows"] = microseconds * best(lambda: energy_forces_virial_basis(atoms, model), repeat=3)
    print(json.dumps(out))


def calculator_step(model: StackedCalculator, atoms, threads: int):
    """Return a function that moves an atom a little and asks for forces, as MD does."""
    from acepair import ACECalculator

    atoms = atoms.copy()
    atoms.calc = ACECalculator(model, threads=threads)

    def step() -> None:
        atoms.positions[0, 0] += 1e-5
        atoms.get_forces()

    return step


if __name__ == "__main__":
    main()
