"""Assembly of least-squares systems in blocks, within a given memory."""

from __future__ import annotations

import os
import re
import sys
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from .._types import FloatArray
from ..threads import thread_count
from .blas import limited_blas
from .checkpoint import Checkpoint
from .problem import Block, Problem
from .progress import Progress
from .reduction import Node, Reduction, depth
from .system import IncrementalQR, LinearSystem

Store = Literal["auto", "qr", "dense", "disk"]

DEFAULT_MEMORY = "1GB"
MIN_BLOCK, MAX_BLOCK = 1e6, 32e6  #: bytes; larger blocks are no faster
ROWS_PER_COLUMN = 4  #: of a part, at least: merging its triangle then costs a twelfth of making it
MANY_PARTS = 64  #: enough for threads to end together
_UNITS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}  #: powers of 1000, or of 1024 with an i


def parse_memory(memory: float | str) -> float:
    """Return bytes of "500MB", "2 GiB" or a number of bytes."""
    number = r"(\d+\.?\d*|\.\d+)(e[+-]?\d+)?"
    match = re.fullmatch(rf"\s*({number})\s*(?:([kmgt]?)b?|([kmgt])ib?)\s*", str(memory).lower())
    value = 0.0
    if match:
        value = float(match[1]) * (1024 ** _UNITS[match[5]] if match[5] else 1000 ** _UNITS[match[4] or ""])
    if not 0 < value < float("inf"):
        raise ValueError(f"memory must be bytes, or text like '500MB', got {memory!r}")
    return value


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

    The triangle has the same bits for any number of threads, on a cluster, and after an interruption, unless little
    memory makes blocks smaller.

    Parameters
    ----------
    problem : Problem
    store : "auto", "qr", "dense" or "disk"
        "qr" (and "auto"): only the triangle R and Qᵀy are kept, and blocks of rows go once they are in them. "dense":
        all rows are in memory, "disk": in a file in `folder`; both have the triangle, too.
    memory : float or str
        What blocks, the triangles and the workspaces may take, in bytes or as "500MB"; also the bound for "dense".
    threads : int, optional
        The CPUs this process may use unless given.
    progress : bool, optional
        Show a bar; where standard error is a terminal unless given.
    folder : path, optional
        Keeps what is done part by part: an assembly that was interrupted goes on from there. One at a time may use it.
    scheduler : str or distributed.Client, optional
        Dask cluster to assemble on. `folder` has no effect then, and `store` must be "qr" or "auto".

    Raises
    ------
    MemoryError
        If "dense" does not fit, or `memory` does not hold a block and the triangles.
    ValueError
        If a configuration cannot be evaluated; it is named.
    """
    if store not in Store.__args__:  # type: ignore[attr-defined]
        raise ValueError(f"store must be one of {', '.join(Store.__args__)}, got {store!r}")  # type: ignore[attr-defined]
    budget = parse_memory(memory)
    threads = thread_count(threads)
    parts = divide(problem)
    block_bytes = _block_bytes(problem, len(parts), budget, threads)
    reduced = store in ("auto", "qr")
    if scheduler is not None:
        if not reduced:
            raise ValueError(f"store must be 'qr' with a scheduler, got {store!r}")
        from .cluster import assemble_on_cluster

        return assemble_on_cluster(problem, scheduler, parts, block_bytes)
    if folder is not None and not str(folder):
        raise ValueError("folder must be a path, got ''")
    kept = None if folder is None else Checkpoint(folder, f"{reduced} {problem.fingerprint(block_bytes)}")
    matrix = None if reduced else _matrix(problem, store, budget, kept)
    shown = sys.stderr.isatty() if progress is None else progress
    with Progress(problem.data.n_atoms, shown, "assembly") as bar, limited_blas(1):
        system = _Assembly(problem, parts, block_bytes, matrix, kept, bar).run(threads).system()
    if matrix is not None:
        system.A, system.y = matrix[:, :-1], matrix[:, -1]
    return system


def divide(problem: Problem) -> list[Block]:
    """Divide the configurations into parts, each of which gets a triangle; memory and threads have no part in it."""
    n_rows, L = problem.shape
    row = (L + 1) * 8
    wanted = min(MAX_BLOCK, max(n_rows * row / MANY_PARTS, MIN_BLOCK))
    return problem.blocks(max(wanted, ROWS_PER_COLUMN * (L + 1) * row))


def triangle_of(
    problem: Problem,
    part: Block,
    block_bytes: float,
    *,
    rows: FloatArray | None = None,
    buffer: FloatArray | None = None,
    go_on: Callable[[], bool] = lambda: True,
    done: Callable[[int], object] = lambda n_atoms: None,
) -> IncrementalQR | None:
    """Return the QR of a part, block by block, or None if `go_on` said no.

    Parameters
    ----------
    problem : Problem
    part : Block
    block_bytes : float
        Of rows in memory at a time.
    rows : ndarray (n_rows, n_columns + 1), optional
        Where the rows are to be kept.
    buffer : ndarray, optional
        Large enough for a block.
    go_on, done : callable
        Asked before, and told the number of atoms after every block.
    """
    n_columns, begin = problem.n_columns + 1, 0
    qr, blocks = IncrementalQR(n_columns), problem.blocks(block_bytes, part.start, part.stop)
    if buffer is None:
        buffer = np.empty(max(block.n_rows for block in blocks) * n_columns)
    for block in blocks:
        if not go_on():
            return None
        filled = buffer[: block.n_rows * n_columns].reshape((block.n_rows, n_columns), order="F")
        problem.fill(block, filled)
        if rows is not None:
            rows[begin : begin + block.n_rows] = filled
            begin += block.n_rows
        qr.add(filled, overwrite=True)
        done(problem.n_atoms(block))
    return qr


@dataclass
class _Assembly:
    """The reduction of all parts by threads that take one part after the other."""

    problem: Problem
    parts: list[Block]
    block_bytes: float
    matrix: FloatArray | None
    kept: Checkpoint | None
    bar: Progress

    def run(self, threads: int) -> IncrementalQR:
        """Return the QR of all parts."""
        self._reduction, self._stopped = Reduction(len(self.parts)), threading.Event()
        if self.kept is not None:
            self.kept.restore(self._reduction, self.problem.n_columns + 1)
        missing = self._reduction.missing()
        self._left = deque(missing)
        self.bar(self.problem.data.n_atoms - sum(self.problem.n_atoms(self.parts[k]) for k in missing))
        self._first_row = np.cumsum([0, *(part.n_rows for part in self.parts)])
        threads = min(threads, len(missing))
        if threads <= 1:
            self._work()
            return self._reduction.result()
        with ThreadPoolExecutor(threads) as pool:
            try:
                workers = [pool.submit(self._work) for _ in range(threads)]
                for worker in workers:
                    worker.result()
            finally:  # whatever went wrong, Ctrl-C included, the others end with their block
                self._stopped.set()
        return self._reduction.result()

    def _work(self) -> None:
        row = self.problem.n_columns + 1
        n_rows = max(int(self.block_bytes / (8 * row)), max(self.problem.n_rows))
        buffer = np.empty(row * min(n_rows, max(part.n_rows for part in self.parts)))
        try:
            while not self._stopped.is_set():
                try:
                    k = self._left.popleft()
                except IndexError:
                    return
                first = int(self._first_row[k])
                qr = triangle_of(
                    self.problem,
                    self.parts[k],
                    self.block_bytes,
                    rows=None if self.matrix is None else self.matrix[first : first + self.parts[k].n_rows],
                    buffer=buffer,
                    go_on=lambda: not self._stopped.is_set(),
                    done=self.bar,
                )
                if qr is not None:
                    self._reduction.add(Node(0, k), qr, self._save)
        except BaseException:
            self._stopped.set()
            raise

    def _save(self, node: Node, qr: IncrementalQR) -> None:
        if self.kept is not None:
            if self.matrix is not None:
                self.matrix.flush()  # type: ignore[attr-defined]
            self.kept.keep(node, qr)


def _block_bytes(problem: Problem, n_parts: int, budget: float, threads: int) -> float:
    """Return how large a block may be.

    Every thread has one, two triangles, and the rows of a configuration twice; besides there are the triangles that
    wait in the tree, or those a solver makes.
    """
    row = (problem.n_columns + 1) * 8
    largest, triangle = max(problem.n_rows) * row, (problem.n_columns + 1) * row
    fixed = max(3, depth(n_parts) + 1) * triangle + threads * (2 * triangle + 2 * largest)
    if budget < fixed + threads * largest:
        raise MemoryError(
            f"memory must be at least {_megabytes(fixed + threads * largest)} for {problem.n_columns} parameters, "
            f"the largest configuration and {threads} threads, got {budget / 1e6:.4g} MB"
        )
    return max(min(MAX_BLOCK, (budget - fixed) / threads), largest)


def _megabytes(needed: float) -> str:
    return f"{np.ceil(needed / 1e5) / 10:.1f} MB"


def _matrix(problem: Problem, store: Store, budget: float, kept: Checkpoint | None) -> FloatArray:
    """Return a matrix for all rows, in memory or on disk."""
    n_rows, L = problem.shape
    needed = n_rows * (L + 1) * 8
    if store == "dense" and 2 * needed > budget:
        raise MemoryError(
            f"memory must be at least {_megabytes(2 * needed)} for a dense {n_rows} × {L} matrix and a copy of it, "
            f"got {budget / 1e6:.4g} MB; store='disk' keeps it in a file"
        )
    if kept is not None:
        return kept.matrix((n_rows, L + 1))
    if store == "disk":
        raise ValueError("store='disk' needs a folder")
    return np.zeros((n_rows, L + 1), order="F")
