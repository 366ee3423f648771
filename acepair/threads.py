"""How many threads to use."""

from __future__ import annotations

import operator
import os

_MOST_THREADS = 1 << 16  #: more were never useful, and the kernels count in 32 bits


def thread_count(threads: int | None) -> int:
    """Return how many threads to use; TypeError and ValueError for what is no positive integer."""
    if threads is None:
        return default_threads()
    try:
        count = operator.index(threads)
    except TypeError:
        raise TypeError(f"threads must be an integer, got {threads!r}") from None
    if count < 1:
        raise ValueError(f"threads must be at least 1, got {threads}")
    return min(count, _MOST_THREADS)


def default_threads() -> int:
    """Return how many CPUs this process may use, at most OMP_NUM_THREADS."""
    n = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    limit = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    return max(1, min(n, int(limit))) if limit.isdigit() else n
