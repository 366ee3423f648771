"""Blocks of an assembly kept in a folder, so that an interrupted one goes on where it was."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from .._types import FloatArray
from .system import IncrementalQR


class Checkpoint:
    """State of an assembly after some blocks: the triangle, or the matrix on disk.

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

    @property
    def blocks_done(self) -> int:
        """Number of blocks whose rows are kept."""
        return int(self._state.get("blocks_done", 0))

    def restore(self, n_columns: int) -> IncrementalQR:
        """Return the QR of the blocks that are done."""
        if not self.blocks_done:
            return IncrementalQR(n_columns)
        triangle = np.load(self._triangle(self.blocks_done))
        return IncrementalQR(n_columns, triangle, int(self._state["n_rows"]))

    def keep(self, blocks_done: int, qr: IncrementalQR) -> None:
        """Keep the state after a block; a crash meanwhile leaves the one before."""
        before = self.blocks_done
        np.save(self._triangle(blocks_done), qr.triangle)
        self._write({"blocks_done": blocks_done, "n_rows": qr.n_rows})
        if before and before != blocks_done:
            self._triangle(before).unlink(missing_ok=True)

    def keep_rows(self, blocks_done: int, matrix: FloatArray) -> None:
        """Note that the rows of a block are in the matrix on disk."""
        matrix.flush()  # type: ignore[attr-defined]
        self._write({"blocks_done": blocks_done})

    def matrix(self, shape: tuple[int, int]) -> FloatArray:
        """Return the matrix on disk, with the rows of the blocks that are done."""
        path = self.folder / "rows.npy"
        if self.blocks_done and path.exists():
            return np.load(path, mmap_mode="r+")  # type: ignore[no-any-return]
        self._state = {}
        return np.lib.format.open_memmap(path, mode="w+", dtype=np.float64, shape=shape)

    def _triangle(self, blocks_done: int) -> Path:
        return self.folder / f"triangle-{blocks_done}.npy"

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
