"""One self-contained HTML page about a fit."""

from __future__ import annotations

import base64
import importlib.util
import io
import os
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .._types import FloatArray
from . import plots
from .errors import SCALES, UNITS, ErrorTable
from .result import shown
from .weights import QUANTITIES

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from .result import FitResult

_SHOWN = 300  #: configurations that distributions of the data are made of
_STYLE = """
body { font-family: sans-serif; max-width: 70em; margin: 2em auto; padding: 0 1em; color: #222 }
table { border-collapse: collapse; margin: 1em 0 } td, th { padding: .25em .8em; text-align: right }
th { border-bottom: 1px solid #888 } td:first-child, th:first-child { text-align: left }
img { max-width: 100%; display: block } .note { color: #a40 }
"""


def check_matplotlib() -> None:
    """Raise an ImportError if reports cannot be written."""
    if importlib.util.find_spec("matplotlib") is None:
        raise ImportError("a report needs matplotlib: pip install 'acepair[plot]'")


def write_report(result: FitResult, path: str | os.PathLike[str]) -> None:
    """Write tables and plots of a fit to an HTML file that needs no other."""
    check_matplotlib()
    title = "Fit of " + ", ".join(result.ace_model.elements)
    body = "\n".join(_sections(result))
    page = (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<style>{_STYLE}</style></head>\n<body><h1>{escape(title)}</h1>\n{body}\n</body></html>\n"
    )
    Path(path).write_text(page, encoding="utf-8")


def _sections(result: FitResult) -> Iterator[str]:
    yield f"<p>{escape(repr(result.ace_model))}</p>"
    for remark in result.remarks:
        yield f'<p class="note">{escape(remark)}</p>'
    facts = {"solver": result.solver, "rows": result.system.n_rows, "parameters": len(result.theta)}
    facts |= {key: shown(value) for key, value in result.details.items()}
    facts |= {f"{step} (s)": f"{seconds:.2f}" for step, seconds in result.timing.items()}
    lines = [f"<tr><td>{escape(k)}</td><td>{escape(str(v))}</td></tr>" for k, v in facts.items()]
    yield f"<table>{''.join(lines)}</table>"
    tables = {"train": result.train} | ({} if result.test is None else {"test": result.test})
    for name, table in tables.items():
        yield f"<h2>Errors, {name}</h2>" + _table(table)
    step = max(1, len(result.train.data) // _SHOWN)
    some = result.train.data[::step]
    rcut = result.model.rcut
    yield _figure("Parity", plots.parity(tables))
    yield _figure("Errors", plots.error_histograms(tables))
    yield _figure("Singular values", _singular_values(result.singular_values))
    yield _figure("Dimers (dotted: shortest distance in the data)", plots.dimer_curves(result.model, some))
    yield _figure("Trimers", plots.trimer_curves(result.model))
    yield _figure("Radial functions", plots.radial_basis(result.ace_model))
    yield _figure("Distances and angles in the training data", plots.distributions(some, rcut))


def _table(table: ErrorTable) -> str:
    head = "".join(f"<th>{kind} {q} ({UNITS[q]})</th>" for kind in ("RMSE", "MAE") for q in QUANTITIES)
    lines = [f"<tr><th>type</th>{head}</tr>"]
    for group in table.rmse:
        values = [errors[group][q] * SCALES[q] for errors in (table.rmse, table.mae) for q in QUANTITIES]
        cells = "".join(f"<td>{v:.3f}</td>" if np.isfinite(v) else "<td>–</td>" for v in values)
        lines.append(f"<tr><td>{escape(group or 'no type')}</td>{cells}</tr>")
    return f"<table>{''.join(lines)}</table>"


def _singular_values(values: FloatArray) -> Figure:
    figure, (ax,) = plots.panels(1)
    ax.semilogy(np.arange(1, len(values) + 1), np.maximum(values, 1e-300))
    ax.set(xlabel="index", ylabel="singular value", ylim=(max(values[0] * 1e-17, 1e-300), values[0] * 2))
    return figure


def _figure(title: str, figure: Figure) -> str:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    data = base64.b64encode(buffer.getvalue()).decode()
    return f'<h2>{escape(title)}</h2><img alt="{escape(title)}" src="data:image/png;base64,{data}">'
