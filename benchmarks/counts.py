"""Comparing instruction counts with stored ones."""

from __future__ import annotations

from typing import Any

ALLOWED = 0.03  #: rise that passes
Counts = dict[str, Any]


def compare(stored: Counts, measured: Counts) -> tuple[list[str], list[str]]:
    """Return what rose by more than 3 %, and remarks on all that changed.

    Counts depend on the compiler: with another one than the stored counts are of, or another valgrind, nothing is
    compared, and the remark says so. Instructions in loops, which rise when code is added that costs nothing where it
    is not used, decide only where AVX-512 instructions could not be executed.
    """
    failures: list[str] = []
    remarks: list[str] = []
    for tool in ("compiler", "valgrind"):
        if stored[tool] != measured[tool]:
            remarks.append(f"not compared: counts are stored for {tool} {stored[tool]}, this is {measured[tool]}")
    if remarks:
        return failures, remarks
    both_executed = bool(stored["avx512"] and measured["avx512"])
    for what, keys in (("avx2", ("total",)), ("avx512", ("total", "vector")), ("loops", ("instructions", "vector"))):
        if what == "avx512" and not both_executed:
            remarks.append("avx512: executed instructions not compared, the loops of the disassembly are")
            continue
        for name in sorted(stored[what].keys() | measured[what].keys()):
            before, now = stored[what].get(name), measured[what].get(name)
            if before is None or now is None:
                remarks.append(f"{what} {name}: {'not stored' if before is None else 'no longer there'}")
                continue
            for key in keys:
                line = change(f"{what} {name}, {key}", before[key], now[key])
                if line is not None:
                    counts = not (what == "loops" and both_executed)
                    (failures if counts and now[key] > (1 + ALLOWED) * before[key] else remarks).append(line)
            if what != "loops" and before["total"] != now["total"]:
                remarks += by_function(before, now)
    return failures, remarks


def change(name: str, before: int, now: int) -> str | None:
    """Return a line on a count that changed."""
    if before == now:
        return None
    return f"{name}: {before} -> {now}" + (f" ({100 * (now / before - 1):+.1f} %)" if before else "")


def by_function(before: Counts, now: Counts) -> list[str]:
    """Return lines on the functions whose instructions changed."""
    names = sorted((before.keys() | now.keys()) - {"total", "vector", "stack"})
    lines = (change(f"    {name}", before.get(name, 0), now.get(name, 0)) for name in names)
    return [line for line in lines if line is not None]
