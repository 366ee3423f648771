"""Assembly on a Dask cluster: triangles of parts, merged by the tree of `reduction`."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import numpy as np

from .._types import FloatArray
from .blas import limited_blas
from .problem import Block, Problem
from .reduction import depth
from .streaming import triangle_of
from .system import IncrementalQR, LinearSystem

Triangle = tuple[FloatArray, int]  # and the number of rows it is of


def assemble_on_cluster(problem: Problem, scheduler: Any, parts: list[Block], block_bytes: float) -> LinearSystem:
    """Return the reduced system of a problem, assembled by the workers of a Dask cluster.

    Parameters
    ----------
    problem : Problem
        Sent to every worker once.
    scheduler : str or distributed.Client
        Address, as "tcp://host:8786".
    parts : list of Block
        A task each.
    block_bytes : float
        Of the rows a task has in memory.
    """
    try:
        from distributed import Client
    except ImportError as error:
        raise ImportError("a scheduler needs Dask: pip install 'acepair[dask]'") from error
    own = not isinstance(scheduler, Client)
    with Client(scheduler) if own else nullcontext(scheduler) as client:
        shared = client.scatter(problem, broadcast=True, hash=False)
        nodes = [client.submit(_triangle_of, shared, part, block_bytes, pure=False) for part in parts]
        for _ in range(depth(len(parts))):
            pairs = [client.submit(_merge, *nodes[k : k + 2], pure=False) for k in range(0, len(nodes) - 1, 2)]
            nodes = pairs + nodes[2 * len(pairs) :]
        triangle, n_rows = nodes[0].result()
    return IncrementalQR(problem.n_columns + 1, triangle, n_rows).system()


def _triangle_of(problem: Problem, part: Block, block_bytes: float) -> Triangle:
    with limited_blas(1):
        qr = triangle_of(problem, part, block_bytes)
    assert qr is not None
    return np.triu(qr.triangle), qr.n_rows


def _merge(first: Triangle, second: Triangle) -> Triangle:
    with limited_blas(1):
        qr = IncrementalQR(len(first[0]), *first)
        qr.merge(*second)
    return np.triu(qr.triangle), qr.n_rows
