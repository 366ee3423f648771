"""Time the GPU engine on one card; needs NumPy and CuPy only.

    python gpu_speed.py [--seconds 300] [--output results/gpu-<card>.json]

Every case: energies and forces of a rattled diamond crystal, positions on the card, the list (skin 1 Å) reused; `step`
is the wall time of `System.evaluate`, everything included, the best of several. `kernels` are times of single launches,
by events, and what part of the bound of gpu_counts.py each reaches. Cases that the time allowed does not reach are left
out and named.
"""

from __future__ import annotations

import argparse
import datetime
import json
import platform
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
sys.path.insert(0, str(Path(__file__).parents[1]))

from gpu.stored import load
from gpu_counts import BANDWIDTH, count

from acepair.gpu.cuda import CudaBackend
from acepair.gpu.engine import Engine, System

_LATTICE = 5.43  # Å, of diamond-like silicon
_CASES = [  # model, cells along an axis (8 atoms a cell), dtype; the goals first
    ("sio_tutorial", 50, "float64"),
    ("si_order4_large", 50, "float64"),
    ("sio_tutorial", 5, "float64"),
    ("sio_tutorial", 50, "float32"),
    ("si_order4_large", 50, "float32"),
    ("si_order4_large", 5, "float64"),
    ("sio_tutorial", 20, "float64"),
    ("si_order4_large", 20, "float64"),
    ("tial_ace1", 20, "float64"),
    ("si_zuo_large", 20, "float64"),
    ("si_zuo_large", 20, "float32"),
    ("sio_tutorial", 5, "float32"),
]
_LAYOUTS: dict[str, dict[str, Any]] = {  # changes of the chosen one
    "chosen": {},
    "256 edges resident": {"resident_edges": 256},
    "384 edges resident": {"resident_edges": 384},
    "640 edges resident": {"resident_edges": 640},
    "edge tiles of 64": {"edge_threads": 64},
    "edge tiles of 128": {"edge_threads": 128},
    "edge tiles of 256": {"edge_threads": 256},
    "tile 16": {"tile": 16},
    "tile 16, all in shared memory": {"tile": 16, "nodes_shared": True, "adjoints_shared": True},
    "8 rows": {"product_rows": 8},
    "16 rows": {"product_rows": 16},
    "32 rows": {"product_rows": 32},
    "nodes in global memory": {"product_rows": 8, "nodes_shared": False, "adjoints_shared": False},
}
_LAYOUT_CASES = [("sio_tutorial", 32, "float64"), ("si_order4_large", 32, "float64")]


class TimedBackend(CudaBackend):
    """A device that notes when each kernel begins and ends, if `timing` is true."""

    def __init__(self) -> None:
        super().__init__()
        self.timing = self.recorded = False
        self.events: list[tuple[str, Any, Any]] = []

    def kernel(self, source: str, name: str, shared: int = 0) -> Callable[..., None]:
        """Return a kernel that notes its times."""
        launch = super().kernel(source, name, shared)

        def timed(blocks: int, threads: int, shared: int, arguments: Sequence[Any], first: int, n: int) -> None:
            if not self.timing:
                return launch(blocks, threads, shared, arguments, first, n)
            begin, end = self.xp.cuda.Event(), self.xp.cuda.Event()
            begin.record()
            launch(blocks, threads, shared, arguments, first, n)
            end.record()
            self.events.append((name, begin, end))

        return timed

    def record(self, call: Callable[[], None]) -> Callable[[], None]:
        """As a CUDA graph, except while kernels are timed."""
        replay = super().record(call)
        self.recorded = replay is not call
        return lambda: call() if self.timing else replay()

    def milliseconds(self) -> dict[str, float]:
        """Return the time of every kernel since the last call, launches added up."""
        self.xp.cuda.Device().synchronize()
        total: dict[str, float] = defaultdict(float)
        for name, begin, end in self.events:
            total[name] += self.xp.cuda.get_elapsed_time(begin, end)
        self.events.clear()
        return dict(total)


def crystal(cells: int, n_species: int) -> dict[str, np.ndarray]:
    """Return a cells³ diamond supercell rattled by 0.1 Å, species drawn at random."""
    rng = np.random.default_rng(1)
    sites = np.array([[0, 0, 0], [1, 1, 1], [2, 2, 0], [3, 3, 1], [2, 0, 2], [3, 1, 3], [0, 2, 2], [1, 3, 3]]) / 4
    corners = np.stack(np.meshgrid(*[np.arange(cells)] * 3, indexing="ij"), axis=-1).reshape(-1, 1, 3)
    positions = ((corners + sites) * _LATTICE).reshape(-1, 3)
    positions += rng.normal(scale=0.1, size=positions.shape)
    species = rng.integers(0, n_species, len(positions)).astype(np.int32)
    return {"positions": positions, "cell": _LATTICE * cells * np.eye(3), "species": species}


def measure(
    backend: TimedBackend, case: str, cells: int, dtype: str, changes: dict[str, Any], graphs: bool = True
) -> dict[str, Any]:
    """Time one case, with changes of the layout."""
    xp = backend.xp
    xp.get_default_memory_pool().free_all_blocks()
    plans, elements, _ = load(case)
    atoms = crystal(cells, len(elements))
    engine = Engine(plans, elements, dtype=dtype, backend=backend, graphs=graphs)
    if changes:
        layout = replace(engine.plans[0].layout, **changes)
        engine = Engine(plans, elements, dtype=dtype, backend=backend, layout=layout, graphs=graphs)
    system = System(engine, atoms["species"], [True] * 3)
    positions, n = xp.asarray(atoms["positions"]), len(atoms["species"])
    coordinate = positions[:1, :1]
    backend.recorded = False

    def step(virial: bool = False) -> float:
        nonlocal coordinate
        begin = time.perf_counter()
        coordinate += 1e-7
        system.evaluate(positions, atoms["cell"], virial=virial)  # waits for the card
        return time.perf_counter() - begin

    step()  # compiles
    system.clear()
    rebuild = step()
    with_virial = min(step(virial=True) for _ in range(5))
    times: list[float] = []
    while len(times) < 5 or (sum(times) < 1.0 and len(times) < 500):
        times.append(step())
    backend.timing = True
    n_timed, busy = 5, xp.empty(1 << 28)
    for _ in range(n_timed):
        busy.fill(0)  # while the card does this, all launches of a step are queued: no kernel waits for the host
        step()
    del busy
    backend.timing = False
    kernels = {name: total / n_timed for name, total in backend.milliseconds().items()}
    assert system._kept is not None
    buffers = system._kept.buffers
    n_edges = float(backend.to_host(buffers.works[engine.plans[0]].fields["slot_end"][:, -1]).sum()) / n
    n_list = buffers.list.n_edges / n
    works = count(plans[0], n_edges, n_list, dtype, engine.plans[0].layout)
    works["products_of_small_tiles"] = works["products"]
    return {
        "model": case,
        "dtype": dtype,
        "graphs": backend.recorded,
        "atoms": n,
        "neighbors": n_edges,
        "neighbors_in_list": n_list,
        "layout": asdict(engine.plans[0].layout),
        "step_us": 1e6 * min(times),
        "step_median_us": 1e6 * float(np.median(times)),
        "atom_steps_per_s": n / min(times),
        "step_with_virial_us": 1e6 * with_virial,
        "step_with_new_list_us": 1e6 * rebuild,
        "kernels": {
            name: {
                "us": 1e3 * ms,
                "of_bound": n * works[name].bound(dtype) / (1e-3 * ms) if name in works else None,
                "operations_per_atom": works[name].operations if name in works else None,
                "bytes_per_atom": works[name].bytes if name in works else None,
            }
            for name, ms in kernels.items()
        },
        "memory_MB": xp.get_default_memory_pool().total_bytes() / 1e6,
    }


def copy_bandwidth(xp: Any) -> float:
    """Return bytes a second of a copy on the device, read and written counted."""
    a, b = xp.zeros(1 << 28), xp.zeros(1 << 28)
    best = float("inf")
    for _ in range(5):
        begin, end = xp.cuda.Event(), xp.cuda.Event()
        begin.record()
        b[:] = a
        end.record()
        end.synchronize()
        best = min(best, xp.cuda.get_elapsed_time(begin, end) * 1e-3)
    return 2 * a.nbytes / best


def main() -> None:
    """Measure what the command line asks for, most wanted cases first."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=300.0, help="no case is begun after this time")
    parser.add_argument("--output", type=Path)
    args = parser.parse_args()
    start, backend = time.perf_counter(), TimedBackend()
    xp = backend.xp
    card = xp.cuda.runtime.getDeviceProperties(xp.cuda.Device().id)["name"].decode()
    out: dict[str, Any] = {
        "card": card,
        "date": datetime.date.today().isoformat(),
        "cupy": xp.__version__,
        "cuda_runtime": xp.cuda.runtime.runtimeGetVersion(),
        "driver": xp.cuda.runtime.driverGetVersion(),
        "python": platform.python_version(),
        "copy_bytes_per_s": copy_bandwidth(xp),
        "assumed_bytes_per_s": BANDWIDTH,
        "cases": [],
        "layouts": [],
        "not_measured": [],
    }
    path = args.output or Path(__file__).parent / "results" / f"gpu-{'-'.join(card.lower().split())}.json"
    jobs: list[tuple[str, str, tuple[str, int, str], dict[str, Any], bool]] = [
        ("cases", "", case, {}, True) for case in _CASES
    ]
    jobs.insert(4, ("cases", "without graphs", ("sio_tutorial", 5, "float64"), {}, False))
    jobs += [("layouts", name, case, changes, True) for name, changes in _LAYOUTS.items() for case in _LAYOUT_CASES]
    for kind, label, case, changes, graphs in jobs:
        if time.perf_counter() - start > args.seconds:
            out["not_measured"].append([*case, label])
            continue
        try:
            result = measure(backend, *case, changes, graphs)
        except Exception as error:  # one case must not cost the others
            result = {"model": case[0], "dtype": case[2], "error": f"{type(error).__name__}: {error}"}
            backend.timing = False
            backend.events.clear()
        out[kind].append({"label": label, **result})
        path.write_text(json.dumps(out, indent=1) + "\n")
        print(label, _line(result), flush=True)
    path.write_text(json.dumps(out, indent=1) + "\n")
    print(f"written to {path}")


def _line(result: dict[str, Any]) -> str:
    if "error" in result:
        return f"{result['model']} {result['dtype']}: {result['error']}"
    kernels = ", ".join(
        f"{name} {k['us']:.0f}" + (f" ({100 * k['of_bound']:.0f} %)" if k["of_bound"] else "")
        for name, k in result["kernels"].items()
    )
    rate = f"{result['atom_steps_per_s'] / 1e6:.1f} M atom-steps/s, {result['step_us']:.0f} µs a step"
    return f"{result['model']} {result['dtype']} {result['atoms']} atoms: {rate}; µs: {kernels}"


if __name__ == "__main__":
    main()
