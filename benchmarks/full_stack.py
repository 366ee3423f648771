"""Time forces of the full Si/O stack, as in the table of ACEpotentials.jl's pull request 327; prints one JSON line, ms.

Lists made anew in every call, one for all parts of the stack (`shared`) or one for each (`unshared`), and a step of MD
in which the list is kept (`kept`).
"""

from __future__ import annotations

import json
from typing import Any

from models import read_model
from structures import best, moved_before, rattled_diamond

from acepair import ACECalculator, StackedCalculator
from acepair.evaluate import Evaluator

CELLS = {64: (2, 2, 2), 256: (4, 4, 2), 800: (5, 5, 4)}


def measure(model: StackedCalculator, cells: tuple[int, int, int]) -> dict[str, float]:
    """Return the times for one size."""
    atoms = rattled_diamond(cells, model.numbers.tolist())
    shared, parts = Evaluator(model, threads=1), [Evaluator(part, threads=1) for part in model.components]
    kept = atoms.copy()
    kept.calc = ACECalculator(model, threads=1)
    calls = {
        "shared": moved_before(lambda: shared.evaluate(atoms, virial=False), atoms),
        "unshared": moved_before(lambda: [part.evaluate(atoms, virial=False) for part in parts], atoms),
        "kept": moved_before(kept.get_forces, kept),
    }
    return {name: 1e3 * best(call) for name, call in calls.items()}


if __name__ == "__main__":
    tutorial: Any = read_model("sio_tutorial")
    print(json.dumps({str(n): measure(tutorial, cells) for n, cells in CELLS.items()}))
