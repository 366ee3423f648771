"""Threads of the linear algebra libraries."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_lock = threading.Lock()
_in_use: dict[int, tuple[int, Any]] = {}  #: by number of threads: how many contexts, and the limit they share


@contextmanager
def limited_blas(threads: int) -> Iterator[None]:
    """Return a context in which BLAS uses at most so many threads.

    Threads of ours that call BLAS would otherwise each start as many as there are CPUs. Without threadpoolctl nothing
    changes. The limit is the process's: threads that enter the same limit share it, and the last to leave lifts it.
    """
    try:
        from threadpoolctl import threadpool_limits
    except ImportError:
        yield
        return
    with _lock:
        count, limits = _in_use.get(threads, (0, None))
        _in_use[threads] = count + 1, limits or threadpool_limits(threads)
    try:
        yield
    finally:
        with _lock:
            count, limits = _in_use.pop(threads)
            if count > 1:
                _in_use[threads] = count - 1, limits
            else:
                limits.restore_original_limits()
