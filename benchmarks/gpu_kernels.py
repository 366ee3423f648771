"""Registers, spills and shared memory of every kernel, as NVRTC compiles it: no GPU is needed.

python gpu_kernels.py   prints a table and writes results/gpu-kernels.json
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
sys.path.insert(0, str(Path(__file__).parents[1]))

from gpu import nvrtc
from gpu.host import HostBackend
from gpu.stored import CASES, load

from acepair.gpu.device_plan import DevicePlan
from acepair.gpu.lists import lists_source
from acepair.gpu.search import search_source

_SHARED = {"sm_80": 163 * 1024, "sm_90": 227 * 1024}  # bytes a block may have


def figures(code: tuple[bytes, str]) -> dict[str, dict[str, int]]:
    """Return registers and spills by kernel."""
    return {name: found._asdict() for name, found in sorted(nvrtc.resources(code[1]).items())}


def main() -> None:
    """Compile all stored models."""
    out: dict[str, Any] = {"nvrtc": nvrtc.version(), "search": {}, "lists": {}, "models": {}}
    for architecture, max_shared in _SHARED.items():
        for unit, source in (("search", search_source()), ("lists", lists_source())):
            out[unit][architecture] = figures(nvrtc.compile_kernels(source, architecture))
        for case in CASES:
            (plan, *_), elements, _ = load(case)
            for dtype in (np.float64, np.float32):
                device = DevicePlan(HostBackend(max_shared), plan, elements, dtype)
                kernels = figures(nvrtc.compile_kernels(device.source, architecture))
                threads = device.threads
                for name, kernel in kernels.items():
                    kernel |= {"threads": threads.get(name, 128), "shared": device.shared_bytes.get(name, 0)}
                key = f"{case} {np.dtype(dtype).name} {architecture}"
                out["models"][key] = kernels
                print(key, {name: kernels[name]["registers"] for name in ("pool", "products", "backward")})
    path = Path(__file__).parent / "results" / "gpu-kernels.json"
    path.write_text(json.dumps(out, indent=1) + "\n")
    print(f"written to {path}")


if __name__ == "__main__":
    main()
