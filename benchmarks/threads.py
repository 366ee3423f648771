"""Time one thread and two of the kernels; prints one JSON line.

    python threads.py MODEL CELLS [--bursts N]

Needs two CPUs. On a machine that others use, each may be slow for seconds, and both may be one core's. Hence calls take
turns in short bursts: one thread while another process does the same on the other CPU, on either in turn, then two
threads. `gain`: the time of the first (harmonic mean) over that of the second, 2 at best but for scatter; 10th, 50th
and 90th percentile of the bursts. `one`: shortest time with the other CPU idle, `two`: of two threads, µs per atom.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from kernel import BareKernel
from models import read_model
from structures import rattled_diamond

from acepair.evaluate import as_calculator

BURST = 0.02  #: s at least


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("cells", type=int)
    parser.add_argument("--bursts", type=int, default=100)
    args = parser.parse_args()
    print(json.dumps(measure(args.model, args.cells, args.bursts)))


def measure(name: str, cells: int, n_bursts: int) -> dict[str, Any]:
    """Return what the command line asks for."""
    cpus = sorted(os.sched_getaffinity(0))[:2]
    if len(cpus) < 2:
        sys.exit("threads.py needs two CPUs, this process may use one")
    model = read_model(name)
    atoms = rattled_diamond(cells, as_calculator(model).numbers.tolist())
    one, two = (BareKernel(model, atoms, threads=threads) for threads in (1, 2))
    cpu_a, cpu_b = cpus
    other = paused_process_that_repeats(one)
    alone, beside, together = [], [], []
    try:
        for _ in range(n_bursts):
            alone.append(burst(one, {cpu_a}))
            both = []
            for mine, its in ((cpu_a, cpu_b), (cpu_b, cpu_a)):
                os.sched_setaffinity(other, {its})
                os.kill(other, signal.SIGCONT)
                both.append(burst(one, {mine}))
                os.kill(other, signal.SIGSTOP)
            beside.append(statistics.harmonic_mean(both))
            together.append(burst(two, {cpu_a, cpu_b}))
    finally:
        os.kill(other, signal.SIGKILL)
        os.waitpid(other, 0)
    microseconds = 1e6 / len(atoms)
    return {
        "atoms": len(atoms),
        "bursts": n_bursts,
        "one": min(alone) * microseconds,
        "two": min(together) * microseconds,
        "gain": np.percentile(np.divide(beside, together), (10, 50, 90)).tolist(),
    }


def paused_process_that_repeats(call: Callable[[], object]) -> int:
    """Return the number of a process that repeats a call once it is told to go on."""
    parent = os.getpid()
    process = os.fork()
    if process == 0:
        os.kill(os.getpid(), signal.SIGSTOP)
        while os.getppid() == parent:
            call()
        os._exit(0)
    os.waitpid(process, os.WUNTRACED)
    return process


def burst(call: Callable[[], object], cpus: set[int]) -> float:
    """Return the median time of calls (s) on these CPUs, after one that is not counted."""
    os.sched_setaffinity(0, cpus)
    call()
    times: list[float] = []
    while len(times) < 3 or sum(times) < BURST:
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return float(np.median(times))


if __name__ == "__main__":
    main()
