"""The ratios that matter, from one run."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from process import Row

Line = tuple[str, str]


def summary(results: Row) -> list[str]:
    """Return a table of ratios; what was not measured is left out."""
    lines = ["| ratio | |", "|---|---|"]
    for section, lines_of in LINES.items():
        row = results.get(section)
        if row is not None and "not available" not in row:
            lines += [f"| {name} | {value} |" for name, value in lines_of(row, results)]
    return lines


def kernels(section: Row, results: Row) -> Iterator[Line]:
    """Beside ace-jax; the floor."""
    for key, name in (("kernel", "kernel"), ("calculator", "step of MD")):
        values = {m: row["peer"][key] / row["acepair"][key] for m, row in section.items() if row["peer"].get(key)}
        if values:
            yield f"ace-jax's {name} over ours", by_model(values, ".1f")
    rates = results.get("stages", {}).get("GHz")
    if rates is not None and "avx512" in {row["acepair"]["isa"] for row in section.values()}:
        cycles = {m: (row["acepair"]["kernel"], row["acepair"]["floor"]) for m, row in section.items()}
        floor = {m: 1e3 * time * rates["core"] / ticks for m, (time, ticks) in cycles.items()}
        yield f"kernel over vector-issue floor at {rates['core']:.2f} GHz, the core's clock", by_model(floor, ".2f")


def avx2(section: Row, results: Row) -> Iterator[Line]:
    """Beside ace-jax, both AVX2."""
    values = {
        m: row["peer"]["kernel"] / row["acepair"]["kernel"] for m, row in section.items() if row["peer"].get("kernel")
    }
    if values:
        yield "ace-jax's kernel over ours, both AVX2", by_model(values, ".1f")


def dtypes(section: Row, results: Row) -> Iterator[Line]:
    """Errors, and float32 over float64."""
    errors = section["accuracy"]["float64"]["golden"]
    yield "largest error of forces beside exact golden values, over the largest force", by_model(errors, ".0e")
    models = {m: row for m, row in section.items() if m != "accuracy"}
    for key, name in (("kernel", "kernel"), ("calculator", "step of MD")):
        values = {m: r["float32"][key] / r["float64"][key] for m, r in models.items() if key in r["float32"]}
        yield f"float32 over float64, {name}", by_model(values, ".2f") if values else "not available"


def steps(section: Row, results: Row) -> Iterator[Line]:
    """Step over kernel."""
    values = {f"{n} atoms": row["calculator"] / row["kernel"] for n, row in section.items()}
    yield "step of MD over bare kernel", by_model(values, ".3f")


def threads(section: Row, results: Row) -> Iterator[Line]:
    """Two over one."""
    gain, ratio = section["8000"]["gain"][1], section["8000"]["one"] / section["8000"]["two"]
    yield "two threads over one, 8000 atoms", f"{gain:.2f} (median of bursts; shortest times: {ratio:.2f})"


def scaling(section: Row, results: Row) -> Iterator[Line]:
    """Time per atom of a million atoms."""
    atoms = section["atoms"]
    yield "µs/atom of a million atoms over 1000", f"{atoms['1000000']['kernel'] / atoms['1000']['kernel']:.3f}"


def python_ace(section: Row, results: Row) -> Iterator[Line]:
    """Beside python-ace."""
    for key, name in (("kernel", "kernel"), ("calculator", "step of MD")):
        values = {m: row["peer"][key] / row["acepair"][key] for m, row in section.items() if row["peer"].get(key)}
        if values:
            yield f"python-ace's {name} over ours", by_model(values, ".0f")


def lammps(section: Row, results: Row) -> Iterator[Line]:
    """LAMMPS's styles."""
    silicon, copper = section["Si 8000, acepair"]["pair"], section["Cu 2048, acepair 299 functions"]["pair"]
    for style in ("tersoff", "sw"):
        yield f"pair_style acepair over {style}, Si", f"{silicon / section[f'Si 8000, {style}']['pair']:.2f}"
    yield "snap over pair_style acepair, Cu", f"{section['Cu 2048, snap (Zuo 2020)']['pair'] / copper:.1f}"


def small(section: Row, results: Row) -> Iterator[Line]:
    """Small structures."""
    ours = section["8"]["acepair"]
    yield (
        "8 atoms: step of MD / call, search included / in a batch, search included / lists kept",
        f"{ours['step, list reused']:.0f} / {ours['energy_forces_virial']:.0f} / {ours['evaluate_batch']:.1f} / "
        f"{ours['Batch.evaluate, lists kept']:.1f} µs",
    )
    times = {f"{n} atoms": row["acepair"] for n, row in section.items()}
    kept = {name: row["Batch.evaluate, lists kept"] / row["kernel"] for name, row in times.items()}
    yield "batch with lists kept over kernel", by_model(kept, ".2f")
    peer, rows = section["64"]["peer"], section["64"]["acepair"]["rows"] / 64
    if peer.get("rows"):
        values = {"batch given": peer["rows"] / rows, "batch built": peer["rows_with_list"] / rows}
        yield "ace-jax's design rows over ours, 64 atoms", by_model(values, ".0f")


def by_model(values: dict[str, float], digits: str) -> str:
    """Return values with their names."""
    return ", ".join(f"{name} {value:{digits}}" for name, value in values.items())


LINES: dict[str, Callable[[Row, Row], Iterator[Line]]] = {
    function.__name__: function
    for function in (kernels, avx2, dtypes, steps, threads, scaling, python_ace, lammps, small)
}
