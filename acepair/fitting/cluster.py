"""Assembly on a Dask cluster: triangles of blocks, merged two by two (tall-skinny QR)."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import numpy as np

from .._types import FloatArray
from .problem import Block, Problem
from .system import IncrementalQR, LinearSystem

Triangle = tuple[FloatArray, int]  # and the number of rows it is of


def assemble_on_cluster(problem: Problem, scheduler: Any, block_bytes: float) -> LinearSystem:
    """Return the reduced system of a problem, assembled by the workers of a Dask cluster.

    Parameters
    ----------
    problem : Problem
        Sent to every worker once.
    scheduler : str or distributed.Client
        Address, as "tcp://host:8786".
    block_bytes : float
        Of the rows a task has in memory.

    References
    ----------
    J. Demmel et al., SIAM J. Sci. Comput. 34, A206 (2012), 10.1137/080731992.
    """
    try:
        from distributed import Client
    except ImportError as error:
        raise ImportError("a scheduler needs Dask: pip install acepair[dask]") from error
    own = not isinstance(scheduler, Client)
    with Client(scheduler) if own else nullcontext(scheduler) as client:
        shared = client.scatter(problem, broadcast=True, hash=False)
        parts = [client.submit(_triangle_of, shared, block, pure=False) for block in problem.blocks(block_bytes)]
        while len(parts) > 1:
            pairs = [client.submit(_merge, *parts[k : k + 2], pure=False) for k in range(0, len(parts) - 1, 2)]
            parts = pairs + parts[2 * len(pairs) :]
        triangle, n_rows = parts[0].result()
    return IncrementalQR(problem.n_columns + 1, np.array(triangle), n_rows).system()


def _triangle_of(problem: Problem, block: Block) -> Triangle:
    rows = np.empty((block.n_rows, problem.n_columns + 1), order="F")
    problem.fill(block, rows)
    qr = IncrementalQR(problem.n_columns + 1)
    qr.add(rows)
    return np.triu(qr.triangle), qr.n_rows


def _merge(first: Triangle, second: Triangle) -> Triangle:
    qr = IncrementalQR(len(first[0]), np.array(first[0], order="F"), first[1])
    qr.merge(*second)
    return np.triu(qr.triangle), qr.n_rows
