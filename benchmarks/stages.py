"""Cycles of every stage of the kernels; prints one JSON line.

    python stages.py CELLS MODEL [MODEL ...]

Ticks of the time-stamp counter per atom, of the fastest of several sweeps, by stage_cycles.cpp, which is compiled here
with the build's flags for the instruction set in use. The sum is a little above the kernel's: stages that are timed
cannot overlap. `GHz`: rates of that counter and, by a chain of multiplications, of the core (clock.cpp).
"""

from __future__ import annotations

import ctypes
import json
import platform
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from kernel import BareKernel, pointer
from models import read_model
from native import compiler, load_library
from structures import rattled_diamond

from acepair import _kernels
from acepair.evaluate import as_calculator

STAGES = ("find edges", "place", "pairs", "radial", "angular", "A", "products", "backward", "forces")
SWEEPS = 200


class NotAvailable(Exception):
    """What was to be measured does not exist on this machine."""


def stage_cycles(library: ctypes.CDLL, name: str, cells: int) -> dict[str, float]:
    """Return ticks per atom by stage."""
    model = read_model(name)
    atoms = rattled_diamond(cells, as_calculator(model).numbers.tolist())
    kernel = BareKernel(model, atoms)
    kernel()
    energies, forces, ticks = np.zeros(len(atoms)), np.zeros_like(kernel.packed), np.zeros(len(STAGES))
    arguments, results = kernel.arguments(), [pointer(array) for array in (energies, forces, ticks)]
    library.stage_ticks(*arguments, 1, *results)
    if not np.allclose(forces, kernel.forces, rtol=0, atol=1e-11 * np.abs(kernel.forces).max()):
        raise NotAvailable("stage_cycles.cpp does not do what the kernels do")
    library.stage_ticks(*arguments, SWEEPS, *results)
    return dict(zip(STAGES, (ticks / len(atoms)).tolist(), strict=True))


def stage_library(folder: Path) -> ctypes.CDLL:
    """Return stage_cycles.cpp compiled for the instruction set in use."""
    try:
        return load_library("stage_cycles.cpp", _kernels.isa(), folder)
    except RuntimeError as error:
        raise NotAvailable(f"stage_cycles.cpp does not fit these kernels:\n{error}") from error


def clock_rates(folder: Path) -> dict[str, float]:
    """Return GHz of the time-stamp counter and of the core."""
    library = load_library("clock.cpp", "baseline", folder)
    per_second, per_cycle = ctypes.c_double(), ctypes.c_double()
    library.clock_rates(ctypes.byref(per_second), ctypes.byref(per_cycle))
    return {"counter": 1e-9 * per_second.value, "core": 1e-9 * per_second.value / per_cycle.value}


def main() -> None:
    """Print what the command line asks for."""
    out: dict[str, Any] = {}
    try:
        if platform.machine() != "x86_64" or compiler() is None:
            raise NotAvailable("needs x86-64 and a C++ compiler")
        with tempfile.TemporaryDirectory() as folder:
            out["GHz"] = clock_rates(Path(folder))
            library = stage_library(Path(folder))
            out["stages"] = {name: stage_cycles(library, name, int(sys.argv[1])) for name in sys.argv[2:]}
    except NotAvailable as reason:
        out["not available"] = str(reason)
    print(json.dumps(out))


if __name__ == "__main__":
    main()
