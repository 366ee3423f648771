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
from .blas import limited_blas
from .checkpoint import Checkpoint
from .problem import Block, Problem
from .progress import Progress
from .system import IncrementalQR, LinearSystem

Store = Literal["auto", "qr", "dense", "disk"]

DEFAULT_MEMORY = "1GB"
MAX_BLOCK = 32e6  #: bytes; larger blocks are no faster
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
    block_bytes = _block_bytes(problem, budget, threads)
    shown = sys.stderr.isatty() if progress is None else progress
    reduced = store in ("auto", "qr")
    if scheduler is not None:
        if not reduced:
            raise ValueError(f"store must be 'qr' with a scheduler, got {store!r}")
        from .cluster import assemble_on_cluster

        return assemble_on_cluster(problem, scheduler, block_bytes)
    kept = None if folder is None else Checkpoint(folder, f"{reduced} {problem.fingerprint(block_bytes)}")
    pooled: Any = nullcontext() if threads == 1 else ThreadPoolExecutor(threads)
    with (
        Progress(problem.data.n_atoms, shown, "assembly") as bar,
        limited_blas(1 if threads > 1 else None),
        pooled as pool,
    ):
        if reduced:
            return _reduce(problem, block_bytes, threads, pool, bar, kept)
        return _store(problem, _matrix(problem, store, budget, kept), block_bytes, pool, bar, kept)


def _block_bytes(problem: Problem, budget: float, threads: int) -> float:
    """Return how large a block may be: every thread has one, a triangle, and the rows of a configuration twice."""
    n_rows, L = problem.shape
    row = (L + 1) * 8
    largest, triangle = max(problem.n_rows) * row, (L + 1) * row
    fixed = 3 * triangle + threads * (triangle + 2 * largest)  # a solver copies the triangle
    if budget < fixed + threads * largest:
        raise MemoryError(
            f"memory must be at least {(fixed + threads * largest) / 1e6:.0f} MB for {L} parameters, the largest "
            f"configuration and {threads} threads, got {budget / 1e6:.0f} MB"
        )
    # enough blocks for the threads to end together, enough rows for a block to be worth its QR
    wanted = min(MAX_BLOCK, max(n_rows * row / 16, 4 * triangle))
    return max(min(wanted, (budget - fixed) / threads), largest)


def _matrix(problem: Problem, store: Store, budget: float, kept: Checkpoint | None) -> FloatArray:
    """Return a matrix for all rows, in memory or on disk."""
    n_rows, L = problem.shape
    needed = n_rows * (L + 1) * 8
    if store == "dense" and 2 * needed > budget:
        raise MemoryError(
            f"memory must be at least {2 * needed / 1e6:.0f} MB for a dense {n_rows} × {L} matrix and a copy of it, "
            f"got {budget / 1e6:.0f} MB; store='disk' keeps it in a file"
        )
    if kept is not None:
        return kept.matrix((n_rows, L + 1))
    if store == "disk":
        raise ValueError("store='disk' needs a folder")
    return np.zeros((n_rows, L + 1), order="F")


class _Lane:
    """What one thread of the reduction has: a buffer for a block and the triangle of its blocks."""

    def __init__(self, problem: Problem, n_rows: int, qr: IncrementalQR, bar: Progress) -> None:
        self.problem, self.qr, self.bar = problem, qr, bar
        self._buffer = np.empty(n_rows * (problem.n_columns + 1))

    def take(self, block: Block) -> None:
        """Add the rows of a block to the triangle."""
        shape = (block.n_rows, self.problem.n_columns + 1)
        rows = self._buffer[: shape[0] * shape[1]].reshape(shape, order="F")
        self.problem.fill(block, rows, done=self.bar)
        self.qr.add(rows)


def _reduce(
    problem: Problem,
    block_bytes: float,
    threads: int,
    pool: ThreadPoolExecutor | None,
    bar: Progress,
    kept: Checkpoint | None,
) -> LinearSystem:
    """Return the triangle of all blocks, one block for each thread in memory at a time."""
    blocks, size = problem.blocks(block_bytes), problem.n_columns + 1
    done = 0 if kept is None else kept.blocks_done
    for block in blocks[:done]:
        _count(problem, block, bar)
    longest, n_lanes = max(b.n_rows for b in blocks), min(threads, len(blocks))
    started = [IncrementalQR(size) if k or kept is None else kept.restore(size) for k in range(n_lanes)]
    lanes = [_Lane(problem, longest, qr, bar) for qr in started]
    for begin in range(done, len(blocks), n_lanes):
        batch = blocks[begin : begin + n_lanes]
        list(map(_Lane.take, lanes, batch) if pool is None else pool.map(_Lane.take, lanes[: len(batch)], batch))
        if kept is not None:
            kept.keep(begin + len(batch), _merged(lanes))
    return _merged(lanes).system()


def _merged(lanes: list[_Lane]) -> IncrementalQR:
    """Return the QR of all that the lanes have taken; they keep theirs."""
    if len(lanes) == 1:
        return lanes[0].qr
    total = IncrementalQR(len(lanes[0].qr.triangle), lanes[0].qr.triangle.copy(order="F"), lanes[0].qr.n_rows)
    for lane in lanes[1:]:
        total.merge(lane.qr.triangle, lane.qr.n_rows)
    return total


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
            _count(problem, block, bar)
        else:
            problem.fill(block, rows, pool, bar)
            if kept is not None:
                kept.keep_rows(k + 1, matrix)
        qr.add(np.array(rows, order="F"))
    system = qr.system()
    system.A, system.y = matrix[:, :-1], matrix[:, -1]
    return system


def _count(problem: Problem, block: Block, bar: Progress) -> None:
    """Count a block that was done before."""
    bar(sum(len(problem.data[k]) for k in range(block.start, block.stop)))
