"""Time small Si/O structures, where what surrounds the kernel counts; prints one JSON line, µs a structure.

    python small.py CELLS [--batches-only] [--threads N]

Rattled diamond cells: single calls with lists made anew and reused, searches, batches, design rows.
"""

from __future__ import annotations

import argparse
import json
from typing import Any

from kernel import BareKernel
from models import read_model
from structures import best, moved_before, rattled_diamond

import acepair
from acepair import ACECalculator, Batch, StackedCalculator, evaluate_batch
from acepair.neighbors import find_neighbors
from acepair.search import search_by_vesin

N_BATCH = {8: 1000, 64: 100}
BEYOND_SKIN = 1.2  #: Å


def singles(model: StackedCalculator, cells: int) -> dict[str, float]:
    """Return times of calls for one structure."""
    atoms = rattled_diamond(cells, model.numbers.tolist())
    with_calculator = atoms.copy()
    with_calculator.calc = ACECalculator(model, threads=1)
    step = with_calculator.get_forces
    x, cell, pbc = atoms.positions, atoms.cell.array, atoms.pbc
    calls = {
        "kernel": BareKernel(model, atoms),
        "step, list reused": moved_before(step, with_calculator),
        "step, moved beyond the skin": moved_before(step, with_calculator, by=BEYOND_SKIN),
        "energy_forces_virial": moved_before(lambda: acepair.energy_forces_virial(atoms, model, threads=1), atoms),
        "rows": moved_before(lambda: acepair.energy_forces_virial_basis(atoms, model, threads=1), atoms),
        "list at 6.5 Å": lambda: find_neighbors(x, cell, pbc, 6.5),
        "list at 6.5 Å by vesin": lambda: search_by_vesin(x, cell, pbc, 6.5),
    }
    return {name: 1e6 * best(call, repeat=50) for name, call in calls.items()}


def batches(model: StackedCalculator, cells: int, threads: int) -> dict[str, float]:
    """Return times of batches of different structures."""
    n = N_BATCH[8 * cells**3]
    structures = [rattled_diamond(cells, model.numbers.tolist(), seed=seed) for seed in range(1, n + 1)]
    kept = Batch(structures, model, threads=threads)
    calls = {
        "evaluate_batch": lambda: evaluate_batch(structures, model, threads=threads),
        "Batch.evaluate, lists kept": kept.evaluate,
    }
    return {name: 1e6 / n * best(call) for name, call in calls.items()}


def measure(model: StackedCalculator, args: argparse.Namespace) -> dict[str, Any]:
    """Return what the command line asks for."""
    out = {} if args.batches_only else singles(model, args.cells)
    return {"atoms": 8 * args.cells**3, **out, **batches(model, args.cells, args.threads)}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cells", type=int, choices=(1, 2))
    parser.add_argument("--batches-only", action="store_true")
    parser.add_argument("--threads", type=int, default=1)
    print(json.dumps(measure(read_model("sio_tutorial"), parser.parse_args())))
