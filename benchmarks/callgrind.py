"""Instructions the AVX2 kernels execute, counted by callgrind (valgrind knows no AVX-512)."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from native import HERE, SOURCE, compile_core, short_name

ISA = "avx2"
CELLS = 2
N_ATOMS = 8 * CELLS**3


def valgrind_version() -> str | None:
    """Return what valgrind says of itself, None if it is not installed."""
    if shutil.which("valgrind") is None or not Path("/usr/include/valgrind/callgrind.h").exists():
        return None
    return subprocess.run(["valgrind", "--version"], capture_output=True, text=True, check=True).stdout.strip()


def count_instructions(models: Iterable[str], folder: Path) -> dict[str, dict[str, int]]:
    """Return instructions executed for energies and forces of 64 atoms: by model, in all and by function."""
    library = folder / "counted.so"
    compile_core([HERE / "counted_by_callgrind.cpp", SOURCE / "core" / "kernels.cpp"], ISA, library, "-shared", "-g")
    profile = folder / "profile"
    valgrind = ["valgrind", "-q", "--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={profile}"]
    whole_names = ["--compress-strings=no", "--compress-pos=no"]
    script = [sys.executable, str(HERE / "count_calls.py"), str(library), str(CELLS), *models]
    # ACEPAIR_ISA: what callgrind emulates has no AVX-512; threads of a BLAS would be counted, too
    env = os.environ | {"ACEPAIR_ISA": "baseline", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    run = subprocess.run([*valgrind, *whole_names, *script], env=env, capture_output=True, text=True)
    if run.returncode:
        raise RuntimeError(run.stderr)
    out = {}
    for part in folder.glob("profile.*"):
        text = part.read_text()
        name = re.search(r"^desc: Trigger: Client Request: (.*)$", text, re.MULTILINE)
        if name is not None:
            by_function = costs(text.splitlines(), library.name)
            out[name[1]] = {"total": sum(by_function.values())} | dict(sorted(by_function.items()))
    return out


def costs(lines: Iterable[str], library: str) -> Counter[str]:
    """Return instructions of one object by function of the kernels, what it calls left out, from a profile's lines."""
    by_function: Counter[str] = Counter()
    counting, function, called = False, "", False
    for line in lines:
        key, _, value = line.partition("=")
        if key == "ob":
            counting = value.endswith(library)
        elif key == "fn":
            function = short_name(value) if f"acepair::{ISA}::" in value else "elsewhere"
        elif key == "calls":
            called = True  # the next line has the cost of the function called
        elif line[:1].isdigit():
            if counting and not called:
                by_function[function] += int(line.split()[1])
            called = False
    return by_function
