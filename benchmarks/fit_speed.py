"""Time and memory of a whole fit, from starting Python to the saved model, beside ace-jax; and of assembly by threads.

    python benchmarks/fit_speed.py [--peer PATH/bin/aj] [--threads 1 2] [--output FILE]

The fit: silicon of Zuo et al. (214 configurations, examples/data), order 3, total degree 12, cutoff 6 Å, energies and
forces, Bayesian linear regression. ace-jax's is `aj fit --order 3 --max-degree 12 --rcut 6.0 --e0 lsq` on the same
file; it is run if its command is given (`pip install ace-jax==0.4.1` in an environment of its own). Both on one CPU
with one thread. Times are of the wall clock and of the CPU: on a machine that others use, the second is what counts.
"""

from __future__ import annotations

import argparse
import gzip
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

DATA = Path(__file__).parent.parent / "examples" / "data" / "zuo_Si_train.xyz.gz"
DEGREES: dict[str, int | list[int]] = {"degree 12": 12, "degree [25, 21, 17]": [25, 21, 17]}

FIT = """
from acepair import ace1_model
from acepair.fitting import fit, read_dataset
data = read_dataset({data!r}, virial_key=False)
model = ace1_model(elements="Si", order=3, totaldegree=12)
result = fit(model, data, E0s="lsq", threads=1)
result.save({model!r})
"""


class Cost(NamedTuple):
    """Of a process."""

    wall: float  #: s
    cpu: float  #: s
    peak: float  #: MB


def measure(command: list[str], folder: str) -> Cost:
    """Run a command on one CPU and return what it took."""
    environment = os.environ | dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    cpu = min(os.sched_getaffinity(0))
    start = time.perf_counter()
    process = subprocess.Popen(
        command,
        env=environment,
        cwd=folder,
        stdout=subprocess.DEVNULL,
        preexec_fn=lambda: os.sched_setaffinity(0, {cpu}),
    )
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - start
    if status:
        raise RuntimeError(f"{' '.join(command)[:200]} failed with status {status}")
    return Cost(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1e3)


def assembly(degree: int | list[int], threads: int, repeats: int = 3) -> tuple[float, float]:
    """Return the least wall and CPU time (s) of assembling the rows of a model in this process."""
    from acepair import ace1_model
    from acepair.fitting import Problem, assemble, read_dataset

    problem = Problem(
        ace1_model(elements="Si", order=3, totaldegree=degree), read_dataset(DATA, virial_key=False), None
    )
    times = []
    for _ in range(repeats):
        wall, cpu = time.perf_counter(), time.process_time()
        assemble(problem, threads=threads, progress=False)
        times.append((time.perf_counter() - wall, time.process_time() - cpu))
    return min(t[0] for t in times), min(t[1] for t in times)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", type=Path, metavar="AJ", help="ace-jax's command")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--output", type=Path, metavar="FILE", help="write the tables there, too (Markdown)")
    arguments = parser.parse_args()
    lines: list[str] = []

    def show(line: str) -> None:
        print(line, flush=True)
        lines.append(line)

    show("| fit of silicon, one core | wall s | CPU s | peak MB |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        plain = Path(folder) / "train.xyz"
        plain.write_bytes(gzip.decompress(DATA.read_bytes()))
        code = FIT.format(data=str(plain), model=str(Path(folder) / "si.acepair"))
        own = measure([sys.executable, "-c", code], folder)
        show(f"| acepair | {own.wall:.1f} | {own.cpu:.1f} | {own.peak:.0f} |")
        if arguments.peer:
            options = "fit --order 3 --max-degree 12 --rcut 6.0 --e0 lsq --elements Si --energy-key REF_energy"
            command = [str(arguments.peer.absolute()), *options.split(), "--force-key", "REF_forces"]
            peer = measure([*command, "--train", str(plain), "--out", str(Path(folder) / "aj")], folder)
            show(f"| ace-jax | {peer.wall:.1f} | {peer.cpu:.1f} | {peer.peak:.0f} |")
            show(f"| ratio | {peer.wall / own.wall:.1f} | {peer.cpu / own.cpu:.1f} | {peer.peak / own.peak:.1f} |")
    os.environ["OMP_NUM_THREADS"] = "1"
    show("\n| assembly | threads | wall s | CPU s | speed-up |\n|---|---|---|---|---|")
    for name, degree in DEGREES.items():
        first = None
        for threads in arguments.threads:
            wall, cpu = assembly(degree, threads)
            first = first or wall
            show(f"| {name} | {threads} | {wall:.2f} | {cpu:.2f} | {first / wall:.2f} |")
    if arguments.output:
        machine = f"{platform.machine()}, Python {platform.python_version()}"
        head = f"# Speed of fits\n\n{machine}. Made by `benchmarks/fit_speed.py`.\n"
        arguments.output.write_text("\n".join([head, *lines]) + "\n")


if __name__ == "__main__":
    main()
