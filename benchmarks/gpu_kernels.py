"""Registers, spills, shared memory and instructions of every kernel, as NVRTC compiles it: no GPU is needed.

python gpu_kernels.py   prints a table and writes results/gpu-kernels.json

Instructions are those that stand in the code, loops once: of `pool` and `backward` most belong to one edge. They are
counted if there is nvdisasm (pip install nvidia-cuda-nvdisasm).
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
sys.path.insert(0, str(Path(__file__).parents[1]))

from gpu import nvrtc
from gpu.host import HostBackend
from gpu.stored import CASES, load

from acepair.gpu.device_plan import DevicePlan
from acepair.gpu.source import unit_source

_SHARED = {"sm_80": 163 * 1024, "sm_90": 227 * 1024}  # bytes a block may have


def figures(code: tuple[bytes, str]) -> dict[str, dict[str, int]]:
    """Return registers, spills and instructions by kernel."""
    counted = instructions(code[0])
    return {name: found._asdict() | counted.get(name, {}) for name, found in sorted(nvrtc.resources(code[1]).items())}


def instructions(cubin: bytes) -> dict[str, dict[str, int]]:
    """Count the instructions of every kernel, and those among them that reckon with floating-point numbers."""
    library = nvrtc.library_path()
    disassembler = None if library is None else library.parents[1] / "bin" / "nvdisasm"
    if disassembler is None or not disassembler.exists():
        return {}
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        Path(file.name).write_bytes(cubin)
        listing = subprocess.run([disassembler, "-c", file.name], capture_output=True, text=True, check=True).stdout
    counted = {}
    for part in listing.split("\t.section\t.text.")[1:]:
        codes = re.findall(r"/\*[0-9a-f]{4,}\*/\s+(?:@!?U?P\w+\s+)?([A-Z]\w*)", part)
        counted[part.split(",")[0]] = {
            "instructions": sum(code != "NOP" for code in codes),
            "floating_point": sum(bool(re.fullmatch("[DF](FMA|MUL|ADD|SETP|MNMX)", code)) for code in codes),
        }
    return counted


def main() -> None:
    """Compile all stored models."""
    out: dict[str, Any] = {"nvrtc": nvrtc.version(), "search": {}, "lists": {}, "models": {}}
    for architecture, max_shared in _SHARED.items():
        for unit, source in (("search", unit_source("search")), ("lists", unit_source("lists"))):
            out[unit][architecture] = figures(nvrtc.compile_kernels(source, architecture))
        for case in CASES:
            (plan, *_), _, _ = load(case)
            for dtype in (np.float64, np.float32):
                device = DevicePlan(HostBackend(max_shared), plan, dtype)
                kernels = figures(nvrtc.compile_kernels(device.source, architecture))
                threads = device.threads
                for name, kernel in kernels.items():
                    kernel |= {"threads": threads.get(name, 128), "shared": device.shared_bytes.get(name, 0)}
                key = f"{case} {np.dtype(dtype).name} {architecture}"
                out["models"][key] = kernels
                shown = ("registers", "instructions", "floating_point")
                print(key, {name: [kernels[name].get(k) for k in shown] for name in ("pool", "products", "backward")})
    path = Path(__file__).parent / "results" / "gpu-kernels.json"
    path.write_text(json.dumps(out, indent=1) + "\n")
    print(f"written to {path}")


if __name__ == "__main__":
    main()
