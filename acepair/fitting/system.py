"""Least-squares systems, dense or reduced to a triangle, and the incremental QR that reduces them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from .._types import FloatArray
from .lapack import update_triangle


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
            qr.add(np.column_stack([A[part], y[part]]))
        system = qr.system()
        if keep:
            system.A, system.y = A, y
        return system

    def scaled(self, diagonal: FloatArray) -> LinearSystem:
        """Return the system for θ' = θ · diagonal: columns are divided by `diagonal`."""
        A = None if self.A is None else self.A / diagonal
        return LinearSystem(self.n_rows, A, self.y, self.R / diagonal, self.Qty, self.rest)

    def residual(self, theta: FloatArray) -> float:
        """Return ‖A θ − y‖²."""
        return float(np.sum((self.R @ theta - self.Qty) ** 2) + self.rest)


class IncrementalQR:
    """Triangle of a matrix given in blocks of rows, in the memory of the triangle.

    The last column is the right-hand side: beside R it becomes Qᵀy, below R the norm of the least residual.

    Parameters
    ----------
    n_columns : int
        Right-hand side included.
    triangle : ndarray (n_columns, n_columns), optional
        To go on from.
    """

    def __init__(self, n_columns: int, triangle: FloatArray | None = None, n_rows: int = 0) -> None:
        shape = (n_columns, n_columns)
        self.triangle = (
            np.zeros(shape, order="F") if triangle is None else np.array(triangle, dtype=np.float64, order="F")
        )
        if self.triangle.shape != shape:
            raise ValueError(f"triangle must have shape {shape}, got {self.triangle.shape}")
        self.n_rows = n_rows

    def add(self, rows: FloatArray) -> None:
        """Add rows (n, n_columns); an array in Fortran order is overwritten."""
        if not len(rows):
            return
        update_triangle(self.triangle, np.asfortranarray(rows, dtype=np.float64))
        self.n_rows += len(rows)

    def merge(self, triangle: FloatArray, n_rows: int) -> None:
        """Add the triangle of other rows."""
        self.add(np.triu(triangle))
        self.n_rows += n_rows - len(triangle)

    def system(self) -> LinearSystem:
        """Return the reduced system of all rows so far."""
        L = len(self.triangle) - 1
        R = np.ascontiguousarray(np.triu(self.triangle)[:L, :L])
        return LinearSystem(self.n_rows, R=R, Qty=self.triangle[:L, L].copy(), rest=float(self.triangle[L, L] ** 2))
