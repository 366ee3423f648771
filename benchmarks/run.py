"""Measure acepair, side by side with ace-jax if an environment with it is named, and keep the table.

    python benchmarks/run.py [--acejax PYTHON] [--rounds N] [--million] [--name NAME]

PYTHON is the interpreter of an environment with `ace-jax==0.4.1`. Every measurement is a process of its own, pinned to
one core (two for two threads); acepair and the peer take turns, and the best of the rounds counts. Writes
benchmarks/results/NAME.json and NAME.md. Have nothing else running.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
MODELS = HERE.parent / "tests" / "data"
CASES = ["sio_tutorial", "si_order4", "si_order4_large", "si_zuo_small", "si_zuo_large"]
CELLS = 5  # 1000 atoms


def run(python: str, script: str, *args: str, cpus: set[int], env: dict[str, str] | None = None) -> dict[str, Any]:
    """Run a measuring script on the given CPUs and return what it printed."""
    result = subprocess.run(
        [python, str(HERE / script), *args],
        env=os.environ | (env or {}),
        preexec_fn=lambda: os.sched_setaffinity(0, cpus),
        capture_output=True,
        text=True,
    )
    if result.returncode:
        raise SystemExit(f"{script} {' '.join(args)} failed:\n{result.stderr}")
    return json.loads(result.stdout.splitlines()[-1])


def best_of(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Merge repeated measurements: the smallest of each time."""
    merged = dict(rows[0])
    for key in ("kernel", "calculator", "rows"):
        if key in merged:
            merged[key] = min(row[key] for row in rows)
    return merged


def measure(acejax: str | None, rounds: int, million: bool) -> dict[str, Any]:
    """Run everything; a dictionary by kind of measurement."""
    out: dict[str, Any] = {"cases": {}}
    for case in CASES:
        model = str(MODELS / f"{case}.model.npz")
        ours, peer = [], []
        for _ in range(rounds):
            ours.append(run(sys.executable, "measure.py", model, str(CELLS), "--calculator", cpus={0}))
            if acejax:
                peer.append(run(acejax, "acejax_peer.py", model, str(CELLS), "--calculator", cpus={0}))
        out["cases"][case] = {"acepair": best_of(ours), "ace-jax": best_of(peer) if peer else None}
        print(case, out["cases"][case], flush=True)
    tutorial = str(MODELS / "sio_tutorial.model.npz")

    def repeat(*args: str, cpus: set[int], env: dict[str, str] | None = None) -> dict[str, Any]:
        return best_of([run(sys.executable, "measure.py", tutorial, *args, cpus=cpus, env=env) for _ in range(rounds)])

    out["isa"] = {isa: repeat(str(CELLS), cpus={0}, env={"ACEPAIR_ISA": isa}) for isa in available_isas()}
    cpus = sorted(os.sched_getaffinity(0))
    if len(cpus) > 1:
        out["threads"] = {n: repeat("10", "--threads", str(n), cpus=set(cpus[:n])) for n in (1, 2)}
    if million:
        out["million"] = run(sys.executable, "measure.py", tutorial, "50", cpus={0})
    return out


def available_isas() -> list[str]:
    """Instruction sets of this machine."""
    from acepair import _kernels

    return _kernels.available_isas()


def machine(acejax: str | None) -> dict[str, str]:
    """Describe what was measured on what."""
    with open("/proc/cpuinfo") as cpuinfo:
        names = [line.split(":")[1].strip() for line in cpuinfo if line.startswith("model name")]
    info = {"date": datetime.date.today().isoformat(), "cpu": names[0], "cores": str(os.cpu_count())}
    info |= {"python": platform.python_version()} | {name: version(name) for name in ("numpy", "ase", "vesin")}
    if acejax:
        code = "from importlib.metadata import version as v; print(v('ace-jax'), v('jax'))"
        shown = subprocess.run([acejax, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
        info["ace-jax, jax"] = shown
    return info


def table(results: dict[str, Any]) -> str:
    """Markdown of all measurements."""
    columns = ["model", "kernel", "ace-jax kernel", "ratio", "ACECalculator step", "ace-jax calculator step", "ratio"]
    lines = [", ".join(f"{key} {value}" for key, value in results["machine"].items()) + ".", ""]
    lines += ["1000 atoms, 1 thread, float64, µs per atom for energies and forces:", ""]
    lines += ["| " + " | ".join(columns) + " |", "|---" * len(columns) + "|"]
    lines += [
        "| " + " | ".join(cells(case, row["acepair"], row["ace-jax"])) + " |" for case, row in results["cases"].items()
    ]
    by_isa = ", ".join(f"{isa} {row['kernel']:.2f}" for isa, row in results["isa"].items())
    lines += ["", f"sio_tutorial by instruction set: {by_isa} µs/atom."]
    if "threads" in results:
        one, two = results["threads"][1], results["threads"][2]
        gain = one["kernel"] / two["kernel"]
        lines += ["", f"Two threads over one, sio_tutorial, {one['atoms']} atoms: {gain:.2f} times faster."]
    if "million" in results:
        row = results["million"]
        lines += [
            "",
            f"{row['atoms']} atoms, sio_tutorial: {row['kernel']:.2f} µs/atom, {row['memory']['kernel']:.0f} MB beyond "
            f"list and positions; peak of the process, neighbour search included, {row['memory']['peak']:.0f} MB.",
        ]
    return "\n".join(lines) + "\n"


def cells(case: str, ours: dict[str, Any], peer: dict[str, Any] | None) -> list[str]:
    """Row of the table."""
    row = [case, f"{ours['kernel']:.2f}", "–", "–", f"{ours['calculator']:.2f}", "–", "–"]
    if peer:
        row[2], row[3] = f"{peer['kernel']:.2f}", f"{peer['kernel'] / ours['kernel']:.1f}"
        row[5], row[6] = f"{peer['calculator']:.1f}", f"{peer['calculator'] / ours['calculator']:.0f}"
    return row


def main() -> None:
    """Measure, print and keep."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--acejax", metavar="PYTHON")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--million", action="store_true")
    parser.add_argument("--name", default="cpu")
    args = parser.parse_args()
    results = {"machine": machine(args.acejax), **measure(args.acejax, args.rounds, args.million)}
    path = HERE / "results" / args.name
    path.parent.mkdir(exist_ok=True)
    path.with_suffix(".json").write_text(json.dumps(results, indent=1) + "\n")
    path.with_suffix(".md").write_text(table(results))
    print(table(results))


if __name__ == "__main__":
    main()
