"""Fit the published benchmark of Zuo et al. and print the errors beside the published ones.

    python benchmarks/zuo.py                                      # Si, from examples/data
    python benchmarks/zuo.py Si Cu Ni --data DIR                  # DIR holds zuo_Cu_train.xyz.gz and so on
    python benchmarks/zuo.py Cu --data DIR --sizes large --memory 500MB

For every element and size: `ace1_model(order=3, totaldegree=[20, 16, 12])` (small) or `[25, 21, 17]` (large), defaults
otherwise, Bayesian linear regression, algebraic prior with p = 4, weights E 30/√n_atoms and F 1, no virials. Errors are
mean absolute errors of the test set. Each fit runs in a process of its own, whose peak memory is printed.

References
----------
Data, GAP, MTP, SNAP, qSNAP: Y. Zuo et al., J. Phys. Chem. A 124, 731 (2020), 10.1021/acs.jpca.9b08723 (SNAP and qSNAP
recomputed). ACE: its author's run with ACEpotentials.jl.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import platform
import resource
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import NamedTuple

DEGREES = {"small": [20, 16, 12], "large": [25, 21, 17]}

#: test MAE, energy meV/atom and forces eV/Å; None where nothing is printed
PUBLISHED = {
    "Ni": {"small": (0.409, 0.018), "large": (0.334, 0.015), "GAP": (0.42, 0.02), "MTP": (0.48, 0.01),
           "SNAP": (0.78, 0.038), "qSNAP": (0.78, 0.031)},
    "Cu": {"small": (0.291, 0.007), "large": (0.220, 0.005), "GAP": (0.46, 0.01), "MTP": (0.41, 0.01),
           "SNAP": (0.53, 0.037), "qSNAP": (0.56, 0.024)},
    "Li": {"small": (0.233, 0.006), "large": (0.166, 0.005), "GAP": (0.49, 0.01), "MTP": (0.49, 0.01),
           "SNAP": (1.03, 0.028), "qSNAP": (0.73, 0.033)},
    "Mo": {"small": (2.386, 0.122), "large": (2.880, 0.096), "GAP": (2.24, 0.09), "MTP": (2.83, 0.09),
           "SNAP": (5.48, 0.207), "qSNAP": (2.77, 0.184)},
    "Si": {"small": (3.522, 0.08), "large": (2.305, None), "GAP": (2.91, 0.07), "MTP": (2.21, 0.06),
           "SNAP": (6.44, 0.133), "qSNAP": (3.81, 0.116)},
    "Ge": {"small": (2.669, None), "large": (2.192, None), "GAP": (2.06, 0.05), "MTP": (1.79, 0.05),
           "SNAP": (6.59, 0.188), "qSNAP": (6.45, 0.133)},
}  # fmt: skip
#: force errors of converged fits by an independent evaluation of the same models, where the printed digits are few
CONVERGED = {("Si", "small"): 0.0855, ("Si", "large"): 0.0655, ("Ni", "small"): 0.0180, ("Cu", "small"): 0.0071}


class Outcome(NamedTuple):
    """What one fit gave."""

    element: str
    size: str
    n_parameters: int
    n_rows: int
    energy: float  #: MAE, meV/atom
    force: float  #: MAE, eV/Å
    energy_rmse: float
    force_rmse: float
    seconds: dict[str, float]
    peak: float  #: MB


def run(element: str, size: str, folder: Path, memory: str, threads: int | None) -> Outcome:
    """Fit and evaluate one model."""
    start = time.perf_counter()
    from acepair import ace1_model
    from acepair.fitting import fit, read_dataset

    train, test = (
        read_dataset(folder / f"zuo_{element}_{part}.xyz.gz", virial_key=False) for part in ("train", "test")
    )
    read = time.perf_counter()
    model = ace1_model(elements=element, order=3, totaldegree=DEGREES[size])
    weights = {"default": {"E": 30, "F": 1}}
    result = fit(model, train, test=test, weights=weights, memory=memory, threads=threads)
    assert result.test is not None
    mae, rmse = result.test.mae["set"], result.test.rmse["set"]
    seconds = {"reading": read - start, **result.timing, "all": time.perf_counter() - start}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    errors = (1e3 * mae["E"], mae["F"], 1e3 * rmse["E"], rmse["F"])
    return Outcome(element, size, len(result.theta), result.system.n_rows, *errors, seconds, peak)


def targets(element: str, size: str) -> tuple[float, float | None]:
    """Return the largest errors that count as reproduced: energy and force, if a force is known."""
    energy, force = PUBLISHED[element][size]
    if (element, size) in CONVERGED:
        return 1.02 * energy, 1.02 * CONVERGED[element, size]
    if force is None:
        return 1.02 * energy, None
    digits = len(f"{force}".partition(".")[2])
    return 1.02 * energy, force + 0.5 * 10**-digits


def row(o: Outcome) -> tuple[str, bool]:
    """Return a line of the table, and whether the published errors are reproduced."""
    energy_target, force_target = targets(o.element, o.size)
    met = o.energy <= energy_target and (force_target is None or o.force <= force_target)
    published = [PUBLISHED[o.element][name] for name in (o.size, "GAP", "MTP", "SNAP", "qSNAP")]
    others = [f"{e:.3g} / {'–' if f is None else f'{f:.3g}'}" for e, f in published]
    line = " | ".join(
        ["", f"{o.element} {o.size}", str(o.n_parameters), str(o.n_rows), f"{o.energy:.3f} / {o.force:.4f}",
         f"{o.energy_rmse:.3f} / {o.force_rmse:.4f}", *others, "yes" if met else "NO",
         f"{o.seconds['assembly']:.1f}", f"{o.seconds['all']:.1f}", f"{o.peak:.0f}", ""]
    ).strip()  # fmt: skip
    return line, met


COLUMNS = (
    *("model", "parameters", "rows", "MAE", "RMSE", "published ACE", "GAP", "MTP", "SNAP", "qSNAP", "reproduced"),
    *("assembly s", "all s", "peak MB"),
)
HEAD = f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}"


def main() -> int:
    """Run all fits and print the table; 1 if an error is above its target."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("elements", nargs="*", default=["Si"], metavar="ELEMENT")
    parser.add_argument("--data", type=Path, default=Path(__file__).parent.parent / "examples" / "data", metavar="DIR")
    parser.add_argument("--sizes", nargs="+", choices=DEGREES, default=list(DEGREES))
    parser.add_argument("--memory", default="500MB")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--output", type=Path, metavar="FILE", help="write the table there, too (Markdown)")
    arguments = parser.parse_args()
    unknown = [e for e in arguments.elements if e not in PUBLISHED]
    if unknown:
        parser.error(f"elements must be among {', '.join(PUBLISHED)}, got {', '.join(unknown)}")
    for element in arguments.elements:
        for part in ("train", "test"):
            path = arguments.data / f"zuo_{element}_{part}.xyz.gz"
            if not path.exists():
                parser.error(f"{path} is missing: --data must name the folder that holds it")

    lines = [HEAD]
    print(HEAD, flush=True)
    failed = False
    for element in arguments.elements:
        for size in arguments.sizes:
            # a process each: peak memory is of one fit
            with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
                o = pool.submit(run, element, size, arguments.data, arguments.memory, arguments.threads).result()
            line, met = row(o)
            lines.append(line)
            failed |= not met
            print(line, flush=True)
    if arguments.output:
        threads = arguments.threads or len(os.sched_getaffinity(0))
        machine = f"{platform.machine()}, {threads} threads, Python {platform.python_version()}"
        text = (
            "# Zuo et al. benchmark, test set\n\n"
            f"Energy meV/atom / forces eV/Å. {machine}, memory={arguments.memory!r}. Made by `benchmarks/zuo.py`.\n\n"
        )
        arguments.output.write_text(text + "\n".join(lines) + "\n")
    return int(failed)


if __name__ == "__main__":
    raise SystemExit(main())
