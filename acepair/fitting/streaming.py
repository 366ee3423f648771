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
MIN_BLOCK, MAX_BLOCK = 1e6, 32e6  #: bytes; larger blocks are no faster
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
    wanted = min(MAX_BLOCK, max(n_rows * row / 32, MIN_BLOCK))
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
    """One thread of the reduction: every n-th block, a buffer for one, and the triangle of those so far."""

    def __init__(
        self, number: int, problem: Problem, blocks: list[tuple[int, Block]], qr: IncrementalQR, kept: Checkpoint | None
    ) -> None:
        self.number, self.problem, self.blocks, self.qr, self.kept = number, problem, blocks, qr, kept

    def run(self, bar: Progress) -> None:
        """Add the rows of the blocks to the triangle."""
        n_columns = self.problem.n_columns + 1
        buffer = np.empty(max((block.n_rows for _, block in self.blocks), default=0) * n_columns)
        for k, block in self.blocks:
            rows = buffer[: block.n_rows * n_columns].reshape((block.n_rows, n_columns), order="F")
            self.problem.fill(block, rows, done=bar)
            self.qr.add(rows)
            if self.kept is not None:
                self.kept.keep(self.number, k, self.qr)


def _reduce(
    problem: Problem,
    block_bytes: float,
    threads: int,
    pool: ThreadPoolExecutor | None,
    bar: Progress,
    kept: Checkpoint | None,
) -> LinearSystem:
    """Return the triangle of all blocks, one block for each thread in memory at a time."""
    numbered, size = list(enumerate(problem.blocks(block_bytes))), problem.n_columns + 1
    done = set() if kept is None else kept.done
    for k in done:
        _count(problem, numbered[k][1], bar)
    left = [(k, block) for k, block in numbered if k not in done]
    first = IncrementalQR(size) if kept is None else kept.restore(size)
    n_lanes = max(1, min(threads, len(left)))
    lanes = [_Lane(k, problem, left[k::n_lanes], IncrementalQR(size) if k else first, kept) for k in range(n_lanes)]
    if pool is None:
        lanes[0].run(bar)
    else:
        list(pool.map(lambda lane: lane.run(bar), lanes))
    return _merged(lanes).system()


def _merged(lanes: list[_Lane]) -> IncrementalQR:
    """Return the QR of all that the lanes have taken."""
    total = lanes[0].qr
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
        if kept is not None and k in kept.done:
            _count(problem, block, bar)
        else:
            problem.fill(block, rows, pool, bar)
            if kept is not None:
                kept.keep_rows(k, matrix)
        qr.add(np.array(rows, order="F"))
    system = qr.system()
    system.A, system.y = matrix[:, :-1], matrix[:, -1]
    return system


def _count(problem: Problem, block: Block, bar: Progress) -> None:
    """Count a block that was done before."""
    bar(sum(len(problem.data[k]) for k in range(block.start, block.stop)))
