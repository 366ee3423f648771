"""Least-squares systems, dense or reduced to a triangle, and the incremental QR that reduces them."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from .._types import FloatArray
from .lapack import merge_triangles, update_triangle


@dataclass(eq=False)
class LinearSystem:
    """Weighted rows A θ ≈ y: the matrix itself, its triangle R = QᵀA with Qᵀy, or both.

    Parameters
    ----------
    n_rows : int
        Of A.
    A : ndarray (n_rows, L), optional
    y : ndarray (n_rows,), optional
    R : ndarray (k, L), optional
        k ≤ L rows.
    Qty : ndarray (k,), optional
    rest : float
        ‖y‖² − ‖Qᵀy‖², the least sum of squares there can be.
    """

    n_rows: int
    A: FloatArray | None = None
    y: FloatArray | None = None
    R: FloatArray = field(default_factory=lambda: np.zeros((0, 0)))
    Qty: FloatArray = field(default_factory=lambda: np.zeros(0))
    rest: float = 0.0

    @property
    def n_columns(self) -> int:
        """Number of parameters."""
        return int(self.R.shape[1])

    @classmethod
    def of_matrix(cls, A: FloatArray, y: FloatArray, *, keep: bool = True) -> LinearSystem:
        """Return the system of a matrix, with its triangle."""
        qr = IncrementalQR(A.shape[1] + 1)
        step = max(4 * A.shape[1], 4096)
        for begin in range(0, len(A), step):
            part = slice(begin, begin + step)
            qr.add(np.column_stack([A[part], y[part]]), overwrite=True)
        system = qr.system()
        if keep:
            system.A, system.y = A, y
        return system

    def scaled(self, diagonal: FloatArray, *, rows: bool = False) -> LinearSystem:
        """Return the system for θ' = θ · diagonal: columns are divided by `diagonal`.

        The rows themselves, if there are any, are in it only with `rows`: in memory if they are now, else in a file
        that goes when the system does.
        """
        A = _divided(self.A, diagonal) if rows and self.A is not None else None
        y = None if A is None else self.y
        return LinearSystem(self.n_rows, A, y, self.R / diagonal, self.Qty, self.rest)

    def reduced(self) -> LinearSystem:
        """Return the system without its rows."""
        return LinearSystem(self.n_rows, R=self.R, Qty=self.Qty, rest=self.rest)

    def residual(self, theta: FloatArray) -> float:
        """Return ‖A θ − y‖²."""
        return float(np.sum((self.R @ theta - self.Qty) ** 2) + self.rest)


_PIECE = 8e6  #: bytes of a matrix in a file that are in memory at a time


def _divided(A: FloatArray, diagonal: FloatArray) -> FloatArray:
    """Return A / diagonal, in a file if A is."""
    if not isinstance(A, np.memmap):
        return A / diagonal
    with tempfile.NamedTemporaryFile(dir=Path(str(A.filename)).parent) as file:  # goes when it is no longer mapped
        divided = np.memmap(file, dtype=np.float64, mode="w+", shape=A.shape)
    step = max(1, int(_PIECE / (8 * max(A.shape[1], 1))))
    for begin in range(0, len(A), step):
        np.divide(A[begin : begin + step], diagonal, out=divided[begin : begin + step])
    return divided


def _workspace(values: FloatArray, overwrite: bool) -> FloatArray:
    """Return an array in Fortran order that may be overwritten."""
    return np.asfortranarray(values, dtype=np.float64) if overwrite else np.array(values, dtype=np.float64, order="F")


class IncrementalQR:
    """Triangle of a matrix given in blocks of rows, in the memory of the triangle.

    The last column is the right-hand side: beside R it becomes Qᵀy, below R the norm of the least residual.

    Parameters
    ----------
    n_columns : int
        Right-hand side included.
    triangle : ndarray (n_columns, n_columns), optional
        To go on from.
    n_rows : int
        Of which that triangle is.
    """

    def __init__(self, n_columns: int, triangle: FloatArray | None = None, n_rows: int = 0) -> None:
        shape = (n_columns, n_columns)
        self.triangle = (
            np.zeros(shape, order="F") if triangle is None else np.array(triangle, dtype=np.float64, order="F")
        )
        if self.triangle.shape != shape:
            raise ValueError(f"triangle must have shape {shape}, got {self.triangle.shape}")
        self.n_rows = n_rows

    def add(self, rows: FloatArray, *, overwrite: bool = False) -> None:
        """Add rows (n, n_columns); with `overwrite` the array is used as workspace where it is in Fortran order."""
        if not len(rows):
            return
        update_triangle(self.triangle, _workspace(rows, overwrite))
        self.n_rows += len(rows)

    def merge(self, triangle: FloatArray, n_rows: int, *, overwrite: bool = False) -> None:
        """Add the triangle of other rows; with `overwrite` it is used as workspace."""
        merge_triangles(self.triangle, _workspace(triangle, overwrite))
        self.n_rows += n_rows

    def system(self) -> LinearSystem:
        """Return the reduced system of all rows so far."""
        L = len(self.triangle) - 1
        R = np.ascontiguousarray(np.triu(self.triangle)[:L, :L])
        return LinearSystem(self.n_rows, R=R, Qty=self.triangle[:L, L].copy(), rest=float(self.triangle[L, L] ** 2))
