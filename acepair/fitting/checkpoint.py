"""What is done of an assembly, kept in a folder, so that an interrupted one goes on where it was.

A file, once the state names it, is never written again: new ones have names of their own, and old ones go after a
state without them is in place. Whenever the process is killed, the state names files that are whole.
"""

from __future__ import annotations

import json
import os
import threading
import uuid
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from .._types import FloatArray
from .reduction import Node, Reduction
from .system import IncrementalQR

_PATTERNS = ("triangle-*.npy", "rows-*.npy", "*.new")


class Checkpoint:
    """Triangles of a reduction, and the matrix on disk if there is one.

    Parameters
    ----------
    folder : path
        Made if there is none.
    fingerprint : str
        Of everything the rows depend on; what was kept for another one is deleted.
    """

    def __init__(self, folder: str | os.PathLike[str], fingerprint: str) -> None:
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self._state_file = self.folder / "state.json"
        self._lock = threading.Lock()
        self._empty: dict[str, Any] = {"fingerprint": fingerprint, "matrix": None, "triangles": []}
        self._state = self._read()
        self._replace(self._state)
        left = {path.name for pattern in _PATTERNS for path in self.folder.glob(pattern)}
        self._delete(left - _files(self._state))  # of other problems, or half written

    def restore(self, reduction: Reduction, n_columns: int) -> None:
        """Add the triangles that are kept to a reduction; with a warning none if a file is damaged."""
        try:
            found = [(Node(*item["node"]), self._load(item, n_columns)) for item in self._state["triangles"]]
        except (OSError, ValueError, KeyError, TypeError, EOFError) as error:
            self._start_afresh(error)
            found = []
        for node, qr in found:
            reduction.add(node, qr)

    def keep(self, node: Node, qr: IncrementalQR) -> None:
        """Keep the triangle of a node in place of those it is made of."""
        name = _new_name("triangle")
        _write(self.folder / name, lambda file: np.save(file, qr.triangle))
        with self._lock:
            kept = [item for item in self._state["triangles"] if not node.covers(Node(*item["node"]))]
            kept.append({"node": list(node), "file": name, "n_rows": qr.n_rows})
            self._replace({**self._state, "triangles": kept})

    def matrix(self, shape: tuple[int, int]) -> FloatArray:
        """Return the matrix on disk, with the rows of the parts that are done."""
        name = self._state["matrix"]
        if name is not None:
            try:
                found = np.load(self.folder / name, mmap_mode="r")  # "r+" would lengthen a file that is too short
                if found.shape != shape or found.dtype != np.float64:
                    raise ValueError(f"{name} has shape {found.shape}, not {shape}")
                matrix: FloatArray = np.load(self.folder / name, mmap_mode="r+")
                return matrix
            except (OSError, ValueError, EOFError) as error:
                self._start_afresh(error)
        name = _new_name("rows")
        made = np.lib.format.open_memmap(self.folder / name, mode="w+", dtype=np.float64, shape=shape)
        with self._lock:
            self._replace({**self._empty, "matrix": name})
        return made

    def _load(self, item: dict[str, Any], n_columns: int) -> IncrementalQR:
        triangle = np.load(self.folder / item["file"])
        if not np.isfinite(np.triu(triangle)).all():
            raise ValueError(f"{item['file']} has values that are not finite")
        return IncrementalQR(n_columns, triangle, int(item["n_rows"]))

    def _start_afresh(self, error: Exception) -> None:
        warnings.warn(f"what was kept in {self.folder} is damaged, the assembly starts again: {error}", stacklevel=4)
        with self._lock:
            self._replace({**self._state, "triangles": []})

    def _read(self) -> dict[str, Any]:
        """Return the state in the folder if it is of the same problem."""
        try:
            state = json.loads(self._state_file.read_text())
            _files(state)
        except (OSError, ValueError, KeyError, TypeError):
            return self._empty
        return state if state.get("fingerprint") == self._empty["fingerprint"] else self._empty

    def _replace(self, state: dict[str, Any]) -> None:
        """Make a state the present one, then delete the files it no longer names."""
        text = json.dumps(state).encode()
        _write(self._state_file, lambda file: file.write(text))
        before, self._state = _files(self._state), state
        self._delete(before - _files(state))

    def _delete(self, names: Iterable[str]) -> None:
        for name in names:
            (self.folder / name).unlink(missing_ok=True)


def _files(state: dict[str, Any]) -> set[str]:
    return {item["file"] for item in state["triangles"]} | ({state["matrix"]} if state["matrix"] else set())


def _new_name(kind: str) -> str:
    return f"{kind}-{uuid.uuid4().hex}.npy"


def _write(path: Path, save: Any) -> None:
    """Write a file that appears under its name when it is whole."""
    new = path.with_name(f"{path.name}.new")
    with new.open("wb") as file:
        save(file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(new, path)
