"""Threads of the linear algebra libraries."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from .lapack import load_lapack

_lock = threading.Lock()
_limits: list[int] = []  #: of the contexts there are now
_libraries: list[tuple[Any, int]] = []  #: and how many threads they had before the first of these contexts


@contextmanager
def limited_blas(threads: int) -> Iterator[None]:
    """Return a context in which BLAS uses at most so many threads.

    Threads of ours that call BLAS would otherwise each start as many as there are CPUs. Without threadpoolctl nothing
    changes. The limit is the process's: of several contexts, in any threads, the smallest counts, and the last to end
    lifts it. It is one on the libraries that are loaded: SciPy's is loaded first.
    """
    try:
        from threadpoolctl import ThreadpoolController
    except ImportError:
        yield
        return
    load_lapack()
    with _lock:
        if not _limits:
            _libraries[:] = [(lib, lib.get_num_threads()) for lib in ThreadpoolController().lib_controllers]
        _limits.append(threads)
        _apply()
    try:
        yield
    finally:
        with _lock:
            _limits.remove(threads)
            _apply()


def _apply() -> None:
    """Set the smallest limit there is, or what was before.

    In a thread that is not the first to have set one, threadpoolctl 3.8 silently does nothing, as contexts that end
    in any order would undo each other's limits; here they are counted.
    """
    for library, before in _libraries:
        set_threads = getattr(library, "_real_set_num_threads", library.set_num_threads)
        set_threads(min(_limits) if _limits else before)
