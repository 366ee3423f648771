"""Measurements as processes of their own, pinned to CPUs: run one, take turns, keep the best."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
Row = dict[str, Any]


def run(
    script: str, *args: object, python: str = sys.executable, cpus: int = 1, env: dict[str, str] | None = None
) -> Row:
    """Run a measuring script on so many CPUs and return what its last line says."""
    available = set(sorted(os.sched_getaffinity(0))[:cpus])
    command = [python, str(HERE / script), *map(str, args)]
    # peers are other environments: a path to this one's modules would mix them
    known = {key: value for key, value in os.environ.items() if key != "PYTHONPATH" or python == sys.executable}
    result = subprocess.run(
        command,
        env=known | {"OMP_NUM_THREADS": str(cpus)} | (env or {}),
        preexec_fn=lambda: os.sched_setaffinity(0, available),
        capture_output=True,
        text=True,
    )
    if result.returncode:
        message = f"{script} {' '.join(map(str, args))} failed:\n{result.stderr}"
        if python == sys.executable:
            raise RuntimeError(message)
        print(message, file=sys.stderr)
        return {"not available": result.stderr.strip().splitlines()[-1]}
    return dict(json.loads(result.stdout.splitlines()[-1]))


def in_turn(rounds: int, *measurements: Callable[[], Row] | None) -> list[Row | None]:
    """Take every measurement once a round and merge the rounds; None for those that are None."""
    rows: list[list[Row]] = [[] for _ in measurements]
    for _ in range(rounds):
        for kept, measure in zip(rows, measurements, strict=True):
            if measure is not None:
                kept.append(measure())
    return [best_of(kept) if kept else None for kept in rows]


def best_of(rows: Sequence[Row]) -> Row:
    """Merge repeated measurements: the smallest of each time, and of all that is a fraction."""
    merged = dict(rows[0])
    for key, value in merged.items():
        others = [row[key] for row in rows if key in row]
        if isinstance(value, dict):
            merged[key] = best_of(others)
        elif isinstance(value, float):
            merged[key] = min(others)
    return {key: value for row in reversed(rows) for key, value in row.items()} | merged
