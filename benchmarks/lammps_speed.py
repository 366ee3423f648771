"""pair_style acepair beside the bare kernel and beside LAMMPS's own styles, in one run.

    python benchmarks/lammps_speed.py [--repeats 7] [--million] [--output benchmarks/results/lammps.md]
    python benchmarks/lammps_speed.py --peers [--repeats 3]

--peers measures tersoff, sw and snap beside acepair only, and prints a line of JSON for run.py.

Processes are pinned: one rank to CPU 0, two ranks to CPUs 0 and 1. Times are the best of several short runs, taken in
turn; have nothing else running. `pair` and `loop` are what LAMMPS reports, per atom and step; neighbors are those of
its list, skin included; memory is the most that the (first) rank has held. The bare kernel gets LAMMPS's positions,
ghosts and list, in its order.
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
from ase.io import read

from acepair import (
    ACEModel,
    _kernels,
    ace1_model,
    ace_model,
    energy_forces_virial_basis,
    length_basis,
    save_model,
    set_linear_parameters,
)
from acepair.lammps.engine import Engine
from acepair.lammps.headers import mpi_environment, wheel_file
from acepair.lammps.plugin import plugin_path

SILICON = Path(__file__).parents[1] / "examples" / "data" / "zuo_Si_train.xyz.gz"
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


NVE = "velocity all create 600 1 mom yes rot no\nfix 1 all nve\nrun 20\n"
MEMORY = 'shell "grep VmHWM /proc/$PPID/status"'  # of the lmp that runs this


class Result(NamedTuple):
    """What one run has shown; the best of several has the least of each."""

    pair: float  #: µs per atom and step
    loop: float = np.nan  #: µs per atom and step
    neighbors: float = np.nan  #: per atom
    memory: float = np.nan  #: MB


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--million", action="store_true", help="up to a million atoms, which takes minutes")
    parser.add_argument("--output", type=Path)
    parser.add_argument("--peers", action="store_true", help="acepair, tersoff, sw and snap, as JSON")
    parser.add_argument("--save-list", nargs=2, metavar=("CELLS", "FILE"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.save_list:
        save_list(int(args.save_list[0]), Path(args.save_list[1]))
        return
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        best = measure(args.repeats, PEERS if args.peers else None)
        if args.million and not args.peers:
            best["Si 1000000, acepair"] = lammps("Si", 50, SILICON_ACE, 2)
    if args.peers:
        print(json.dumps({name: result._asdict() for name, result in best.items()}))
        return
    text = "\n".join(report(best)) + "\n"
    print(text)
    if args.output:
        (Path(__file__).parents[1] / args.output).write_text(text)


def measure(repeats: int, wanted: tuple[str, ...] | None = None) -> dict[str, Result]:
    """Return the best times of all cases, or of those wanted."""
    silicon = fit_silicon(ace_model(elements="Si", order=3, max_level=10, maxl=6, rcut=5.5, E0s={"Si": -4.7}))
    copper = ace1_model(elements="Cu", order=3, totaldegree=[20, 16, 12], rcut=6.5)
    set_linear_parameters(copper, 1e-3 * np.random.default_rng(0).normal(size=length_basis(copper)))
    save_model(silicon, "si.acepair")
    save_model(copper, "cu.acepair")
    copper_ace = "pair_style acepair\npair_coeff * * cu.acepair Cu\n"

    cases: dict[str, Callable[[], Result]] = {
        "Si 8000, acepair": lambda: lammps("Si", 10, SILICON_ACE, 60, nve=True),
        "Si 8000, tersoff": lambda: lammps("Si", 10, tersoff(), 60, nve=True),
        "Si 8000, sw": lambda: lammps("Si", 10, stillinger_weber(), 60, nve=True),
        "Si 8000, bare kernel, same list": lambda: kernel(10),
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
    best: dict[str, Result] = {}
    for _ in range(repeats):
        for name, case in cases.items():
            new = case()
            best[name] = Result(*map(min, best.get(name, new), new))
    return best


def report(best: dict[str, Result]) -> list[str]:
    """Return the table of times, then the ratios that are asked for."""
    lines = ["| case | pair, µs/atom/step | loop, µs/atom/step | neighbors | memory, MB |", "|---|---|---|---|---|"]
    for name, result in best.items():
        shown = f"{result.pair:.3f}", f"{result.loop:.3f}", f"{result.neighbors:.1f}", f"{result.memory:.0f}"
        lines.append(" | ".join([f"| {name}", *("" if text == "nan" else text for text in shown)]) + " |")
    si, bare, tersoff, sw = (best[f"Si 8000, {k}"] for k in ("acepair", "bare kernel, same list", "tersoff", "sw"))
    two = best["Si 8000, acepair, 2 ranks"]
    cu, snap = best["Cu 2048, acepair 299 functions"], best["Cu 2048, snap (Zuo 2020)"]
    native, hosted = best["gas 1000, acepair"], best["gas 1000, acepair/python cpu"]
    sizes = [result.pair for name, result in best.items() if re.fullmatch(r"Si (4096|64000|1000000), acepair", name)]
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


def lammps(element: str, cells: int, style: str, steps: int, *, nve: bool = False, ranks: int = 1) -> Result:
    """Run LAMMPS, at 300 K with `nve`, otherwise with a rattled crystal at rest."""
    motion = NVE if nve else ""
    Path("in.lmp").write_text(f"{box(element, cells)}{style}thermo 1000\n{motion}run {steps}\n{MEMORY}\n")
    known = {**mpi_environment(), "LAMMPS_PLUGIN_PATH": str(plugin_path().parent), "OMP_NUM_THREADS": "1"}
    command = [str(wheel_file("lammps", "lammps/lmp")), "-in", "in.lmp", "-log", "none"]
    mpiexec = [str(Path(sys.executable).parent / "mpiexec"), "-bind-to", "user:0,1", "-n", str(ranks)]
    command = ["taskset", "-c", "0", *command] if ranks == 1 else [*mpiexec, *command]
    done = subprocess.run(command, env=known, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode:
        sys.exit(done.stdout + done.stderr)
    output = done.stdout
    loop = float(re.findall(r"^Loop time of (\S+)", output, re.MULTILINE)[-1])
    pair = float(re.findall(r"^Pair +\| (\S+) +\| (\S+)", output, re.MULTILINE)[-1][1])
    neighbors = float(re.findall(r"^Ave neighs/atom = (\S+)", output, re.MULTILINE)[-1])
    memory = float(re.findall(r"^VmHWM:\s+(\d+) kB", output, re.MULTILINE)[-1])
    scale = 1e6 / (steps * LATTICES[element][3] * cells**3)
    return Result(pair * scale, loop * scale, neighbors, memory / 1e3)


def box(element: str, cells: int) -> str:
    """Return the commands that make a rattled crystal."""
    lattice, a, mass, _ = LATTICES[element]
    return (
        f"units metal\nlattice {lattice} {a}\nregion b block 0 {cells} 0 {cells} 0 {cells}\ncreate_box 1 b\n"
        f"create_atoms 1 box\nmass 1 {mass}\ndisplace_atoms all random 0.05 0.05 0.05 1\n"
    )


def save_list(cells: int, file: Path) -> None:
    """Write what the kernel is to read: positions and list of the silicon that is timed, after the steps before."""
    from acepair.lammps import preload

    preload()
    from lammps import lammps as library

    lmp = library(cmdargs=["-log", "none", "-screen", "none"])
    lmp.commands_string(f"{box('Si', cells)}{SILICON_ACE}{NVE}run 0\n")
    n_local, n_rows = lmp.extract_setting("nlocal"), lmp.extract_setting("nall")
    rows = lmp.numpy.get_neighlist(lmp.find_pair_neighlist("acepair"))
    neighbors = dict(rows.get(k) for k in range(rows.size))
    lists = [neighbors[i] for i in range(n_local)]
    first = np.concatenate([[0], np.cumsum([len(row) for row in lists])])
    np.savez(file, x=lmp.numpy.extract_atom("x", nelem=n_rows), first=first, neighbor=np.concatenate(lists))
    lmp.close()


def kernel(cells: int) -> Result:
    """Time the kernel alone, pinned like the others."""
    file = Path(f"list{cells}.npz")
    if not file.exists():
        subprocess.run([sys.executable, __file__, "--save-list", str(cells), str(file)], check=True)
    with np.load(file) as data:
        x, first, neighbor = data["x"], data["first"].astype(np.int64), data["neighbor"].astype(np.int32)
    n = len(first) - 1
    (engine,), memory = Engine("si.acepair").engines, _kernels.Memory()
    packed = np.concatenate([x, np.zeros((len(x), 1))], axis=1)
    energies, forces, virial = np.zeros(n), np.zeros_like(packed), np.zeros(9)
    lists = packed, first, neighbor, np.arange(n, dtype=np.int32)
    affinity = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {0})
    best = np.inf
    for _ in range(10):
        start = time.perf_counter()
        _kernels.evaluate(engine, memory, *lists, energies, forces, virial, None, None, 1)
        best = min(best, time.perf_counter() - start)
    os.sched_setaffinity(0, affinity)
    return Result(best * 1e6 / n, neighbors=len(neighbor) / n)


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
