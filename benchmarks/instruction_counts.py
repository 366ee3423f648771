"""Count the kernels' instructions and compare with the stored counts; 1 if one rose by more than 3 %.

    python benchmarks/instruction_counts.py            # compare with results/instruction_counts.json
    python benchmarks/instruction_counts.py --update   # store what is counted

AVX2: instructions executed for energies and forces of 64 atoms, by callgrind, in all and by function.
AVX-512, which valgrind does not know: instructions executed for 8 atoms, counted by
stepping through them where the CPU has AVX-512; and those in the innermost loops of every function, from the
disassembly, which decide where it has not. The kernels are compiled here from the sources, with the build's flags;
acepair must be built from the same sources, since its plans are used. Counts do not depend on what else runs.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import tempfile
from pathlib import Path

import callgrind
import disassembly
from counts import Counts, compare
from native import HERE, compiler, compiler_version

from acepair import _kernels

STORED = HERE / "results" / "instruction_counts.json"
MODELS = ("sio_tutorial", "si_order4", "si_order4_large", "si_zuo_small", "si_zuo_large", "tial_ace1")


def measure() -> Counts:
    """Count."""
    with tempfile.TemporaryDirectory() as folder:
        return {
            "compiler": compiler_version(),
            "valgrind": callgrind.valgrind_version(),
            "avx2": callgrind.count_instructions(MODELS, Path(folder)),
            "avx512": disassembly.executed_counts(MODELS, Path(folder)) if has_avx512() else {},
            "loops": disassembly.loop_counts(Path(folder)),
        }


def has_avx512() -> bool:
    """Whether this CPU can run the AVX-512 kernels."""
    return disassembly.ISA in _kernels.available_isas()


def main() -> int:
    """Count and compare, or store."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--update", action="store_true", help="store what is counted")
    args = parser.parse_args()
    if platform.machine() != "x86_64" or compiler() is None or callgrind.valgrind_version() is None:
        print("instruction counts: skipped, they need x86-64, a C++ compiler and valgrind with its headers")
        return 0
    measured = measure()
    failures, remarks = compare(json.loads(STORED.read_text()), measured) if STORED.exists() else ([], [])
    for line in remarks:
        print(line)
    if args.update:
        STORED.write_text(json.dumps(measured, indent=1) + "\n")
        failures, word = [], "stored"
    else:
        word = "compared"
    for line in failures:
        print(f"TOO MANY: {line}", file=sys.stderr)
    if failures:
        print("if that is meant: python benchmarks/instruction_counts.py --update", file=sys.stderr)
    print(f"instruction counts {word}; per atom:")
    for name in MODELS:
        executed = [f"AVX2 {measured['avx2'][name]['total'] / callgrind.N_ATOMS:.0f}"]
        if measured["avx512"]:
            executed.append(f"AVX-512 {measured['avx512'][name]['total'] / disassembly.N_ATOMS:.0f}")
        print(f"    {name}: {', '.join(executed)}")
    return int(bool(failures))


if __name__ == "__main__":
    raise SystemExit(main())
