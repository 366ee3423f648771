"""Time acepair on small Si/O structures; prints one JSON line.

    python small.py molecules | seed

molecules: one call and a batch of a thousand structures of eight atoms. seed: forces of the full stack, as in the table
of ACEpotentials.jl pull request 327, lists made anew in every call: one list for all parts of the stack, one for each
part, and a step of MD in which the list is kept.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

from ase import Atoms
from models import read_model
from structures import best, moving_step, rattled_diamond

import acepair
from acepair import ACECalculator, StackedCalculator
from acepair.evaluate import Evaluator

SEED_CELLS = {64: (2, 2, 2), 256: (4, 4, 2), 800: (5, 5, 4)}
N_BATCH = 1000


def molecules(model: StackedCalculator) -> dict[str, Any]:
    """Return µs per structure of eight atoms: one at a time, and as one batch."""
    elements = model.numbers.tolist()
    atoms = [rattled_diamond(1, elements, seed=seed) for seed in range(1, N_BATCH + 1)]
    one = atoms[0].copy()
    one.calc = ACECalculator(model, threads=1)
    out: dict[str, Any] = {
        "step, list reused": 1e6 * best(moving_step(one)),
        "energy_forces_virial": 1e6 * best(new_positions(atoms[1].copy(), model, acepair.energy_forces_virial)),
    }

    def one_by_one() -> None:
        for structure in atoms:
            acepair.energy_forces_virial(structure, model)

    out["a thousand, one by one"] = 1e6 / N_BATCH * best(one_by_one, repeat=3)
    batch = getattr(acepair, "evaluate_batch", None)
    for threads in (1, 2):
        key = f"a thousand, batch, {threads} thread{'s'[: threads - 1]}"
        if batch is None:
            out[key] = None
        else:
            out[key] = 1e6 / N_BATCH * best(lambda n=threads: batch(atoms, model, threads=n), repeat=3)
    return out


def seed_table(model: StackedCalculator) -> dict[str, Any]:
    """Return ms per call of the seed's table."""
    out: dict[str, Any] = {}
    for n, cells in SEED_CELLS.items():
        atoms = rattled_diamond(cells, model.numbers.tolist())
        shared = Evaluator(model, threads=1)
        parts = [Evaluator(part, threads=1) for part in model.components]

        def unshared(moved: Atoms, _: Any, parts: list[Evaluator] = parts) -> object:
            return [part.evaluate(moved, virial=False) for part in parts]

        def one_list(moved: Atoms, _: Any, shared: Evaluator = shared) -> object:
            return shared.evaluate(moved, virial=False)

        kept = atoms.copy()
        kept.calc = ACECalculator(model, threads=1)
        out[str(n)] = {
            "shared": 1e3 * best(new_positions(atoms, model, one_list)),
            "unshared": 1e3 * best(new_positions(atoms, model, unshared)),
            "kept": 1e3 * best(moving_step(kept)),
        }
    return out


def new_positions(atoms: Atoms, model: Any, call: Callable[[Atoms, Any], object]) -> Callable[[], object]:
    """Return a function that moves an atom, so that no list holds any more, and evaluates."""

    def step() -> None:
        atoms.positions[0, 0] += 1e-5
        call(atoms, model)

    return step


if __name__ == "__main__":
    tutorial = read_model("sio_tutorial")
    print(json.dumps({"molecules": molecules, "seed": seed_table}[sys.argv[1]](tutorial)))
