"""Blocks of an assembly kept in a folder, so that an interrupted one goes on where it was."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import Any

import numpy as np

from .._types import FloatArray
from .system import IncrementalQR


class Checkpoint:
    """State of an assembly after some blocks: the triangles of its threads, or the matrix on disk.

    Parameters
    ----------
    folder : Path
        Made if there is none.
    fingerprint : str
        Of everything the rows depend on; what was kept for another one is ignored and replaced.
    """

    def __init__(self, folder: str | os.PathLike[str], fingerprint: str) -> None:
        self.folder, self.fingerprint = Path(folder), fingerprint
        self.folder.mkdir(parents=True, exist_ok=True)
        self._state_file = self.folder / "state.json"
        self._state = self._read()
        self._lock = threading.Lock()

    @property
    def done(self) -> set[int]:
        """Blocks whose rows are kept."""
        return set(self._state.get("done", ()))

    def restore(self, n_columns: int) -> IncrementalQR:
        """Return the QR of the blocks that are done."""
        qr, done = IncrementalQR(n_columns), self._state.get("done", [])
        for lane in self._state.get("lanes", {}).values():
            qr.merge(np.load(self.folder / lane["file"]), lane["n_rows"])
        self._state = {}
        if done:
            self._keep(0, done, qr)
        return qr

    def keep(self, lane: int, block: int, qr: IncrementalQR) -> None:
        """Keep the QR of a thread after a block; a crash meanwhile leaves the one before."""
        with self._lock:
            self._keep(lane, [*self._state.get("done", []), block], qr)

    def keep_rows(self, block: int, matrix: FloatArray) -> None:
        """Note that the rows of a block are in the matrix on disk."""
        matrix.flush()  # type: ignore[attr-defined]
        self._write({"done": [*self._state.get("done", []), block]})

    def matrix(self, shape: tuple[int, int]) -> FloatArray:
        """Return the matrix on disk, with the rows of the blocks that are done."""
        path = self.folder / "rows.npy"
        if self.done and path.exists():
            return np.load(path, mmap_mode="r+")  # type: ignore[no-any-return]
        self._state = {}
        return np.lib.format.open_memmap(path, mode="w+", dtype=np.float64, shape=shape)

    def _keep(self, lane: int, done: list[int], qr: IncrementalQR) -> None:
        lanes = dict(self._state.get("lanes", {}))
        before, file = lanes.get(str(lane)), f"triangle-{lane}-{len(done)}.npy"
        np.save(self.folder / file, qr.triangle)
        lanes[str(lane)] = {"file": file, "n_rows": qr.n_rows}
        self._write({"done": done, "lanes": lanes})
        if before is not None and before["file"] != file:
            (self.folder / before["file"]).unlink(missing_ok=True)

    def _read(self) -> dict[str, Any]:
        try:
            state = json.loads(self._state_file.read_text())
        except (OSError, ValueError):
            return {}
        return state if isinstance(state, dict) and state.get("fingerprint") == self.fingerprint else {}

    def _write(self, state: dict[str, Any]) -> None:
        self._state = {"fingerprint": self.fingerprint, **state}
        new = self._state_file.with_suffix(".new")
        new.write_text(json.dumps(self._state))
        os.replace(new, self._state_file)
