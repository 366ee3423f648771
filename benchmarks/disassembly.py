"""Instructions of the AVX-512 kernels: those executed, and those in the innermost loops of the disassembly."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from native import HERE, SOURCE, compile_core, short_name

ISA = "avx512"
CELLS = 1  # every instruction costs a trap, some µs
N_ATOMS = 8 * CELLS**3
FUNCTION = re.compile(r"^[0-9a-f]+ <(.*)>:$")
INSTRUCTION = re.compile(r"^ *([0-9a-f]+):\t(\S+) *(.*)$")
TARGET = re.compile(r"^([0-9a-f]+) <")


class Instruction(NamedTuple):
    """One line of a disassembly."""

    address: int
    name: str
    operands: str

    @property
    def target(self) -> int | None:
        """Where a jump goes to."""
        found = TARGET.match(self.operands) if self.name.startswith("j") else None
        return None if found is None else int(found[1], 16)

    @property
    def is_vector(self) -> bool:
        """Whether it works on 512 bits."""
        return "%zmm" in self.operands

    @property
    def is_on_stack(self) -> bool:
        """Whether it reads or writes the stack."""
        return "(%rsp" in self.operands or "(%rbp" in self.operands


def loop_counts(folder: Path) -> dict[str, dict[str, int]]:
    """Return, for every function with loops: how many innermost ones, and their instructions.

    `vector` are those on 512 bits, `stack` those of them that go to the stack, as registers run out.
    """
    compile_core([SOURCE / "core" / "kernels.cpp"], ISA, folder / "kernels.o", "-c")
    out: dict[str, dict[str, int]] = {}
    for name, body in functions(disassemble(folder / "kernels.o")):
        counts = count_loops(body)
        if counts["loops"]:
            known = out.setdefault(short_name(name), dict.fromkeys(counts, 0))
            out[short_name(name)] = {key: known[key] + counts[key] for key in counts}  # copies of a function add up
    return dict(sorted(out.items()))


def executed_counts(models: Iterable[str], folder: Path) -> dict[str, dict[str, int]]:
    """Return instructions executed for energies and forces of 8 atoms, by model; this CPU must have AVX-512."""
    library = folder / "stepped.so"
    compile_core([HERE / "counted_by_steps.cpp", SOURCE / "core" / "kernels.cpp"], ISA, library, "-shared", "-ldl")
    env = os.environ | {"ACEPAIR_ISA": "baseline"}
    command = [sys.executable, str(HERE / "count_calls.py"), str(library), str(CELLS), *models]
    run = subprocess.run(command, env=env, cwd=folder, capture_output=True, text=True)
    if run.returncode:
        raise RuntimeError(run.stderr)
    code = {one.address: (name, one) for name, body in functions(disassemble(library)) for one in body}
    out: dict[str, dict[str, int]] = {}
    for name in models:
        lines = [line.split() for line in (folder / f"{name}.steps").read_text().splitlines()]
        steps = [(*code[int(offset, 16)], int(times)) for offset, times in lines]
        out[name] = {
            "total": sum(times for _, _, times in steps),
            "vector": sum(times for _, one, times in steps if one.is_vector),
            "stack": sum(times for _, one, times in steps if one.is_vector and one.is_on_stack),
        }
        for function, _, times in sorted(steps):
            key = short_name(function) if f"acepair::{ISA}::" in function else "elsewhere"
            out[name][key] = out[name].get(key, 0) + times
    return out


def disassemble(file: Path) -> list[str]:
    """Return the lines of an object's disassembly."""
    if shutil.which("objdump") is None:
        raise RuntimeError("objdump (binutils) is not installed")
    command = ["objdump", "-d", "-C", "--no-show-raw-insn", str(file)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


def functions(lines: Iterable[str]) -> Iterator[tuple[str, list[Instruction]]]:
    """Split a disassembly by functions."""
    name, body = "", list[Instruction]()
    for line in lines:
        if (start := FUNCTION.match(line)) is not None:
            if body:
                yield name, body
            name, body = start[1], []
        elif (found := INSTRUCTION.match(line)) is not None:
            body.append(Instruction(int(found[1], 16), found[2], found[3]))
    if body:
        yield name, body


def count_loops(body: list[Instruction]) -> dict[str, int]:
    """Count innermost loops and what is in them."""
    inner = [one for begin, end in innermost(body) for one in body if begin <= one.address <= end]
    vector = [one for one in inner if one.is_vector]
    return {
        "loops": len(innermost(body)),
        "instructions": len(inner),
        "vector": len(vector),
        "stack": sum(one.is_on_stack for one in vector),
    }


def innermost(body: list[Instruction]) -> list[tuple[int, int]]:
    """Return addresses of the first and the last instruction of every innermost loop: those that jump back to it."""
    first = body[0].address
    ends: dict[int, int] = {}
    for one in body:
        target = one.target
        if target is not None and first <= target <= one.address:
            ends[target] = max(one.address, ends.get(target, 0))
    loops = list(ends.items())
    return [
        (begin, end)
        for begin, end in loops
        if not any((b, e) != (begin, end) and begin <= b and e <= end for b, e in loops)
    ]
