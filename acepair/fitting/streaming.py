"""Assembly of least-squares systems in blocks, within a given memory."""

from __future__ import annotations

import os
import re
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from typing import Any, Literal

import numpy as np

from .._types import FloatArray
from ..evaluate import default_threads
from .checkpoint import Checkpoint
from .problem import Problem
from .progress import Progress
from .system import IncrementalQR, LinearSystem

Store = Literal["auto", "qr", "dense", "disk"]

DEFAULT_MEMORY = "1GB"
MAX_BLOCK = 64e6  #: bytes; larger blocks are no faster
_UNITS = {"": 1, "k": 1e3, "m": 1e6, "g": 1e9, "t": 1e12}


def parse_memory(memory: float | str) -> float:
    """Return bytes of "500MB", "2 GB" or a number of bytes."""
    match = re.fullmatch(r"\s*([0-9.]+)\s*([kmgt]?)i?b?\s*", str(memory).lower())
    if not match or not 0 < float(match[1]) < float("inf"):
        raise ValueError(f"memory must be bytes, or text like '500MB', got {memory!r}")
    return float(match[1]) * _UNITS[match[2]]


def assemble(
    problem: Problem,
    *,
    store: Store = "auto",
    memory: float | str = DEFAULT_MEMORY,
    threads: int | None = None,
    progress: bool | None = None,
    folder: str | os.PathLike[str] | None = None,
    scheduler: Any = None,
) -> LinearSystem:
    """Assemble the rows of a problem.

    Parameters
    ----------
    problem : Problem
    store : "auto", "qr", "dense" or "disk"
        "qr" (and "auto"): only the triangle R and Qᵀy are kept, and blocks of rows go once they are in them. "dense":
        all rows are in memory, "disk": in a file in `folder`; both have the triangle, too.
    memory : float or str
        What blocks, the triangle and the workspaces may take, in bytes or as "500MB"; also the bound for "dense".
    threads : int, optional
        The CPUs this process may use unless given.
    progress : bool, optional
        Show a bar; where standard error is a terminal unless given.
    folder : path, optional
        Keeps what is done block by block: an assembly that was interrupted goes on from there.
    scheduler : str or distributed.Client, optional
        Dask cluster to assemble on. `folder` has no effect then, and `store` must be "qr" or "auto".

    Raises
    ------
    MemoryError
        If "dense" does not fit, or `memory` does not hold a block and the triangle.
    """
    if store not in Store.__args__:  # type: ignore[attr-defined]
        raise ValueError(f"store must be one of {', '.join(Store.__args__)}, got {store!r}")  # type: ignore[attr-defined]
    budget = parse_memory(memory)
    threads = default_threads() if threads is None else threads
    if threads < 1:
        raise ValueError(f"threads must be at least 1, got {threads}")
    n_rows, L = problem.shape
    largest = max(problem.n_rows) * (L + 1) * 8
    triangles = 3 * (L + 1) ** 2 * 8  # with what a solver copies
    block_bytes = min(MAX_BLOCK, (budget - triangles) / 2 - threads * largest)
    if block_bytes < largest and budget < triangles + (2 + threads) * largest:
        raise MemoryError(
            f"memory must be at least {(triangles + (2 + threads) * largest) / 1e6:.0f} MB for {L} parameters, the "
            f"largest configuration and {threads} threads, got {budget / 1e6:.0f} MB"
        )
    block_bytes = max(block_bytes, largest)
    shown = sys.stderr.isatty() if progress is None else progress
    if scheduler is not None:
        if store not in ("auto", "qr"):
            raise ValueError(f"store must be 'qr' with a scheduler, got {store!r}")
        from .cluster import assemble_on_cluster

        return assemble_on_cluster(problem, scheduler, block_bytes)
    kept = (
        None if folder is None else Checkpoint(folder, f"{store in ('auto', 'qr')} {problem.fingerprint(block_bytes)}")
    )
    with Progress(problem.data.n_atoms, shown, "assembly") as bar:
        pooled: Any = nullcontext() if threads == 1 else ThreadPoolExecutor(threads)
        with pooled as pool:
            if store in ("auto", "qr"):
                return _reduce(problem, block_bytes, pool, bar, kept)
            if store == "dense":
                needed = n_rows * (L + 1) * 8
                if 2 * needed > budget:
                    raise MemoryError(
                        f"memory must be at least {2 * needed / 1e6:.0f} MB for a dense {n_rows} × {L} matrix and a "
                        f"copy of it, got {budget / 1e6:.0f} MB; store='disk' keeps it in a file"
                    )
                if kept is None:
                    matrix: FloatArray = np.zeros((n_rows, L + 1), order="F")
                    return _store(problem, matrix, block_bytes, pool, bar, None)
            if kept is None:
                raise ValueError("store='disk' needs a folder")
            matrix = kept.matrix((n_rows, L + 1))
            return _store(problem, matrix, block_bytes, pool, bar, kept)


def _reduce(
    problem: Problem, block_bytes: float, pool: ThreadPoolExecutor | None, bar: Progress, kept: Checkpoint | None
) -> LinearSystem:
    """Return the triangle of all blocks, one block in memory at a time."""
    blocks = problem.blocks(block_bytes)
    buffer = np.empty(max(b.n_rows for b in blocks) * (problem.n_columns + 1))
    qr = IncrementalQR(problem.n_columns + 1) if kept is None else kept.restore(problem.n_columns + 1)
    for k, block in enumerate(blocks):
        if kept is not None and k < kept.blocks_done:
            bar(sum(len(problem.data[c]) for c in range(block.start, block.stop)))
            continue
        shape = (block.n_rows, problem.n_columns + 1)
        rows = buffer[: shape[0] * shape[1]].reshape(shape, order="F")
        problem.fill(block, rows, pool, bar)
        qr.add(rows)
        if kept is not None:
            kept.keep(k + 1, qr)
    return qr.system()


def _store(
    problem: Problem,
    matrix: FloatArray,
    block_bytes: float,
    pool: ThreadPoolExecutor | None,
    bar: Progress,
    kept: Checkpoint | None,
) -> LinearSystem:
    """Return the system of all rows in a matrix, which may be a file, with its triangle."""
    qr, begin = IncrementalQR(problem.n_columns + 1), 0
    for k, block in enumerate(problem.blocks(block_bytes)):
        rows = matrix[begin : begin + block.n_rows]
        begin += block.n_rows
        if kept is not None and k < kept.blocks_done:
            bar(sum(len(problem.data[c]) for c in range(block.start, block.stop)))
        else:
            problem.fill(block, rows, pool, bar)
            if kept is not None:
                kept.keep_rows(k + 1, matrix)
        qr.add(np.array(rows, order="F"))
    system = qr.system()
    system.A, system.y = matrix[:, :-1], matrix[:, -1]
    return system
