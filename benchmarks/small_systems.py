"""Time small structures, where what surrounds the kernel counts: single calls, calculators, batches, design rows.

    taskset -c 0 python benchmarks/small_systems.py [--acejax PYTHON] [--output FILE]

The Si/O tutorial model, rattled diamond cells of 8 and 64 atoms, one thread, the best of many calls in µs a structure.
PYTHON is the interpreter of an environment with `ace-jax==0.4.1`, whose design rows are timed, too.
"""

from __future__ import annotations

import argparse
import itertools
import json
import subprocess
from collections.abc import Callable
from pathlib import Path

from ase import Atoms
from kernel import BareKernel
from structures import best, rattled_diamond

import acepair
from acepair import ACECalculator, Batch, StackedCalculator, evaluate_batch
from acepair.io import read_acejax
from acepair.neighbors import find_neighbors
from acepair.search import search_by_vesin

HERE = Path(__file__).parent
MODEL = HERE.parent / "tests" / "data" / "sio_tutorial.model.npz"
BATCH = {8: 1000, 64: 100}


def microseconds(call: Callable[[], object]) -> float:
    """Return the time of the fastest call."""
    return 1e6 * best(call, repeat=50)


def moving(atoms: Atoms, step: float, call: Callable[[], object]) -> Callable[[], object]:
    """Return a function that moves an atom to and fro before a call."""
    steps = itertools.cycle([step, -step])

    def moved() -> None:
        atoms.positions[0, 0] += next(steps)
        call()

    return moved


def measure(model: StackedCalculator, cells: int) -> dict[str, float]:
    """Return all times for one size of structure."""
    atoms = rattled_diamond(cells, model.numbers.tolist())
    rows = {"kernel alone": microseconds(BareKernel(model, atoms))}
    rows["`energy_forces_virial`, atoms moved"] = microseconds(
        moving(atoms, 1e-5, lambda: acepair.energy_forces_virial(atoms, model, threads=1))
    )
    with_calculator = atoms.copy()
    with_calculator.calc = ACECalculator(model, threads=1)
    for name, step in (("`ACECalculator`, list reused", 1e-5), ("`ACECalculator`, moved beyond the skin", 1.2)):
        rows[name] = microseconds(moving(with_calculator, step, with_calculator.get_forces))
    x, cell, pbc = atoms.positions, atoms.cell.array, atoms.pbc
    rows["list at 6.5 Å"] = microseconds(lambda: find_neighbors(x, cell, pbc, 6.5))
    rows["list at 6.5 Å by vesin"] = microseconds(lambda: search_by_vesin(x, cell, pbc, 6.5))
    structures = [atoms.copy() for _ in range(BATCH[len(atoms)])]
    for k, each in enumerate(structures):
        each.rattle(0.02, seed=k)
    n, batch = len(structures), Batch(structures, model, threads=1)
    rows[f"`evaluate_batch`, {n}"] = microseconds(lambda: evaluate_batch(structures, model, threads=1)) / n
    rows[f"`Batch.evaluate`, {n}, lists kept"] = microseconds(batch.evaluate) / n
    rows["`energy_forces_virial_basis`, atoms moved"] = microseconds(
        moving(atoms, 1e-5, lambda: acepair.energy_forces_virial_basis(atoms, model, threads=1))
    )
    return rows


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--acejax", metavar="PYTHON")
    parser.add_argument("--output", type=Path, metavar="FILE", help="write the table there, too (Markdown)")
    arguments = parser.parse_args()
    model = read_acejax(str(MODEL))
    lines = []
    for cells, n_atoms in ((1, 8), (2, 64)):
        lines += [f"\n| {n_atoms} atoms | µs a structure |", "|---|---|"]
        rows = measure(model, cells)
        if arguments.acejax:
            command = [arguments.acejax, str(HERE / "acejax_rows.py"), str(MODEL), str(cells)]
            printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            rows["ace-jax's design rows, list given"] = json.loads(printed.splitlines()[-1])["rows"]
        lines += [f"| {name} | {time:.1f} |" for name, time in rows.items()]
    print("\n".join(lines))
    if arguments.output:
        arguments.output.write_text("\n".join(["# Small systems", *lines]) + "\n")


if __name__ == "__main__":
    main()
