"""Markdown of what run.py measured."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from process import Row
from summary import summary

#: ms, one thread: ACEpotentials.jl's pull request 327, where its classic models take 1/2.06 of the time
FULL_STACK = {"64": 5.06, "256": 20.0, "800": 61.5}
CLASSIC_RATIO = 2.06


def report(results: Row) -> str:
    """Return the tables of all sections that were measured."""
    lines = [
        "# Speed",
        "",
        "Made by `make bench` (see [README](../README.md)). Unless said: 1000 atoms of rattled diamond, 32 neighbours, "
        "one pinned core, float64, energies and forces, µs per atom. Peers in the same run, taken in turn.",
        "",
        *runs(results["machine"]),
    ]
    for title, name, make in (("Ratios", None, summary), *TABLES):
        section = results if name is None else results.get(name)
        if section is None:
            continue
        lines += ["", f"## {title}", ""]
        lines += [f"Not available: {section['not available']}"] if "not available" in section else make(section)
    return "\n".join(lines) + "\n"


def runs(machine: Row) -> list[str]:
    """Return what was measured when, on what."""
    sections: dict[str, list[str]] = {}
    for section, described in machine.items():
        sections.setdefault(", ".join(f"{key} {value}" for key, value in described.items()), []).append(section)
    return [f"- {', '.join(names)}: {text}." for text, names in sections.items()]


def table(columns: Iterable[str], rows: Iterable[Iterable[Any]]) -> list[str]:
    """Return a Markdown table."""
    columns = list(columns)
    return ["| " + " | ".join(columns) + " |", "|---" * len(columns) + "|"] + [
        "| " + " | ".join("–" if cell is None else str(cell) for cell in row) + " |" for row in rows
    ]


def digits(value: float | None) -> str | None:
    """Return a number with three digits that count."""
    if value is None:
        return None
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def ratio(over: float | None, under: float | None) -> str | None:
    """Return over/under."""
    return digits(over / under) if over is not None and under is not None else None


def beside(section: Row) -> list[str]:
    """Table of kernels and calculators of two codes."""
    rows = []
    for name, row in section.items():
        ours, peer = row["acepair"], row["peer"]
        sizes = f"{ours['functions']}" + (f" / {peer['functions']}" if "functions" in peer else "")
        rows.append([name, sizes, f"{ours['neighbors']:.0f}"])
        for key in ("kernel", "calculator"):
            rows[-1] += [digits(ours.get(key)), digits(peer.get(key)), ratio(peer.get(key), ours.get(key))]
    names = ("kernel", "peer's", "ratio", "step of MD", "peer's", "ratio")
    return table(("model", "functions", "neighbours", *names), rows)


def isas(section: Row) -> list[str]:
    """Kernels by instruction set."""
    names = list(next(iter(section.values())))
    return table(("model", *names), [[m, *(digits(row[isa]["kernel"]) for isa in names)] for m, row in section.items()])


def dtypes(section: Row) -> list[str]:
    """Kernels in float64 and float32, errors of forces."""
    double, single = section["accuracy"]["float64"], section["accuracy"]["float32"]
    rows = []
    for model in double["golden"]:
        both = section[model]
        rms, largest = single["float64"][model]
        times = [both[d].get(key) for key in ("kernel", "calculator") for d in ("float64", "float32")]
        rows.append([model, *(digits(time) for time in times), ratio(times[1], times[0]), ratio(times[3], times[2])])
        rows[-1] += [exponent(double["golden"][model]), exponent(rms), exponent(largest)]
    names = ("kernel f64", "f32", "step f64", "f32", "f32/f64 kernel", "f32/f64 step")
    errors = ("f64 forces, max error / max", "f32 − f64 forces, rms", "max / max")
    return table(("model", *names, *errors), rows)


def exponent(value: float) -> str:
    """Return a small number."""
    return f"{value:.0e}"


def steps(section: Row) -> list[str]:
    """Step of MD beside the kernel."""
    rows = [
        [n, digits(row["kernel"]), digits(row["calculator"]), f"{row['calculator'] / row['kernel']:.3f}"]
        for n, row in section.items()
    ]
    return table(("atoms", "kernel", "step of MD", "ratio"), rows)


def scaling(section: Row) -> list[str]:
    """By atoms, neighbours, order."""
    atoms = table(
        ("atoms", "µs/atom", "MB beyond list and positions", "peak MB, search included"),
        [
            [n, digits(row["kernel"]), f"{row['memory']['kernel']:.1f}", f"{row['memory']['peak']:.0f}"]
            for n, row in section["atoms"].items()
        ],
    )
    neighbors = table(
        ("neighbours", "µs/atom", "ns/neighbour"),
        [
            [f"{row['neighbors']:.1f}", digits(row["kernel"]), digits(1e3 * row["kernel"] / row["neighbors"])]
            for row in section["neighbors"]
        ],
    )
    order = table(
        ("order", "functions", "products", "µs/atom"),
        [
            [n, row["functions"], sum(row["sizes"][k] for k in ("n_A", "n_int", "n_leaf")), digits(row["kernel"])]
            for n, row in section["order"].items()
        ],
    )
    return [*atoms, "", *neighbors, "", "Si, `ace1_model(totaldegree=12)`:", "", *order]


def stages(section: Row) -> list[str]:
    """Cycles by stage."""
    names = list(next(iter(section["stages"].values())))
    rows = [
        [model, *(f"{ticks:.0f}" for ticks in row.values()), f"{sum(row.values()):.0f}"]
        for model, row in section["stages"].items()
    ]
    rates = section["GHz"]
    counter, core = f"{rates['counter']:.3f} GHz", f"{rates['core']:.2f} GHz"
    clock = f"Ticks of the time-stamp counter ({counter}; the core ran at {core}) per atom:"
    return [clock, "", *table(("model", *names, "sum"), rows)]


def threads(section: Row) -> list[str]:
    """Two threads over one."""
    remark = (
        "Times: one thread while the other CPU does nothing, and two, shortest of the bursts. Gain: two threads over"
        " one while the other CPU does the same, 10, 50 and 90 % of the bursts, which take turns (`threads.py`): what"
        " others do on the machine cancels."
    )
    rows = [
        [atoms, f"{row['one']:.3f}", f"{row['two']:.3f}", f"{row['one'] / row['two']:.2f}"]
        + [f"{gain:.2f}" for gain in row["gain"]]
        for atoms, row in section.items()
    ]
    return [remark, "", *table(("atoms", "one, µs/atom", "two", "ratio", "gain, 10 %", "50 %", "90 %"), rows)]


def lammps(section: Row) -> list[str]:
    """LAMMPS's styles."""
    return table(
        ("case", "pair, µs/atom/step", "loop"),
        [[name, digits(row["pair"]), digits(row["loop"])] for name, row in section.items()],
    )


def small(section: Row) -> list[str]:
    """Small structures."""
    sizes = section.values()
    names = [name for name in next(iter(sizes))["acepair"] if name != "atoms"]
    lines = [[SMALL[name], *(digits(row["acepair"][name]) for row in sizes)] for name in names]
    for name in ("evaluate_batch", "Batch.evaluate, lists kept"):
        lines.append([f"{SMALL[name]}, two threads", *(digits(row["two threads"][name]) for row in sizes)])
    for name, what in (("rows", "batch given"), ("rows_with_list", "batch built")):
        times = [row["peer"].get(name) and row["peer"][name] * int(n) for n, row in section.items()]
        lines.append([f"ace-jax's design rows, {what}", *map(digits, times)])
    return table(("Si/O tutorial, µs a structure", *(f"{n} atoms" for n in section)), lines)


def start(section: Row) -> list[str]:
    """From starting Python to the first forces."""
    return table(("from starting Python", "s"), [[name, f"{seconds:.2f}"] for name, seconds in section.items()])


SMALL = {
    "kernel": "kernel alone",
    "step, list reused": "`ACECalculator`, step of MD, list reused",
    "step, moved beyond the skin": "`ACECalculator`, moved beyond the skin",
    "energy_forces_virial": "`energy_forces_virial`, search included",
    "rows": "`energy_forces_virial_basis`, search included",
    "list at 6.5 Å": "search alone, 6.5 Å",
    "list at 6.5 Å by vesin": "the same by vesin",
    "evaluate_batch": "`evaluate_batch` of 1000 (8 atoms) and 100 (64), searches included",
    "Batch.evaluate, lists kept": "`Batch.evaluate`, lists kept",
}


def full_stack(section: Row) -> list[str]:
    """Return forces of the full stack beside ACEpotentials.jl's."""
    rows = []
    for n, row in section.items():
        theirs = FULL_STACK[n]
        times = [digits(row[key]) for key in ("shared", "unshared", "kept")]
        rows.append([n, digits(theirs), digits(theirs / CLASSIC_RATIO), *times])
        rows[-1] += [ratio(theirs, row["shared"]), ratio(theirs / CLASSIC_RATIO, row["shared"])]
    ours = ("shared list", "unshared", "list kept (MD)")
    text = (
        "Forces of the full Si/O stack, one thread, ms. ET and classic are ACEpotentials.jl's (its pull request 327, "
        "another machine, a list built per call; classic from its ratio of 2.06). Ours build the list in every call, "
        "one for the stack or one for each part, except in the last column."
    )
    return [text, "", *table(("atoms", "ET", "classic", *ours, "ET / shared", "classic / shared"), rows)]


Table = tuple[str, str, Callable[[Row], list[str]]]
TABLES: tuple[Table, ...] = (
    ("Kernel and calculator, beside ace-jax", "kernels", beside),
    ("AVX2, beside ace-jax compiled for AVX2", "avx2", beside),
    ("Kernels by instruction set", "isas", isas),
    ("float32", "dtypes", dtypes),
    ("Step of MD beside the kernel", "steps", steps),
    ("Threads", "threads", threads),
    ("Scaling", "scaling", scaling),
    ("Cycles by stage", "stages", stages),
    ("Beside python-ace (functions: ours / theirs)", "python_ace", beside),
    ("LAMMPS", "lammps", lammps),
    ("Small structures", "small", small),
    ("Start", "start", start),
    ("Full stack, beside ACEpotentials.jl", "full_stack", full_stack),
)
