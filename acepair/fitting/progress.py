"""Progress of the assembly: rate and time left."""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Any


class Progress:
    """Bar that counts atoms, where tqdm is installed and `shown` is true."""

    def __init__(self, total: int, shown: bool, what: str) -> None:
        self._bar: Any = None
        self._lock = threading.Lock()
        if shown:
            try:
                from tqdm import tqdm
            except ImportError:
                return
            self._bar = tqdm(total=total, desc=what, unit="atom", unit_scale=True, leave=False)

    def __call__(self, n_atoms: int) -> None:
        """Count atoms that are done; any thread may call."""
        if self._bar is not None:
            with self._lock:
                self._bar.update(n_atoms)

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()
