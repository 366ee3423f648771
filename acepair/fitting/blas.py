"""Threads of the linear algebra libraries."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any


def limited_blas(threads: int | None) -> AbstractContextManager[Any]:
    """Return a context in which BLAS uses at most so many threads; None leaves it alone.

    Threads of ours that call BLAS would otherwise each start as many as there are CPUs. Without threadpoolctl nothing
    changes.
    """
    if threads is None:
        return nullcontext()
    try:
        from threadpoolctl import threadpool_limits
    except ImportError:
        return nullcontext()
    limits: AbstractContextManager[Any] = threadpool_limits(threads)
    return limits
