"""LAPACK's dtpqrt without Python's lock, which SciPy's own wrapper keeps: threads factor their blocks side by side."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from .._types import FloatArray

PANEL = 32  #: columns LAPACK eliminates at a time


@cache
def load_lapack() -> Callable[..., None]:
    """Return the routine SciPy was built with, as it offers it to Cython; loads SciPy's BLAS the first time."""
    from scipy.linalg import cython_lapack

    capsule: Any = cython_lapack.__pyx_capi__["dtpqrt"]
    api = ctypes.pythonapi
    api.PyCapsule_GetName.restype, api.PyCapsule_GetName.argtypes = ctypes.c_char_p, [ctypes.py_object]
    api.PyCapsule_GetPointer.restype = ctypes.c_void_p
    api.PyCapsule_GetPointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
    address = api.PyCapsule_GetPointer(capsule, api.PyCapsule_GetName(capsule))
    routine: Callable[..., None] = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 12)(address)
    return routine


def update_triangle(triangle: FloatArray, rows: FloatArray) -> None:
    """Replace an upper triangle R (n, n) by that of R with `rows` (m, n) below; both in Fortran order, overwritten."""
    _factor(triangle, rows, 0)


def merge_triangles(triangle: FloatArray, other: FloatArray) -> None:
    """Replace an upper triangle R (n, n) by that of R with another below, in a third of the operations.

    Both in Fortran order and overwritten; what is below their diagonals is not read.
    """
    _factor(triangle, other, len(other))


def _factor(triangle: FloatArray, rows: FloatArray, n_triangular: int) -> None:
    """Call dtpqrt; the last `n_triangular` of the rows are an upper triangle."""
    n, m = len(triangle), len(rows)
    panel = min(PANEL, n)
    factors, work = np.empty((panel, n), order="F"), np.empty(panel * n)
    info = ctypes.c_int(0)
    given = {"m": m, "n": n, "l": n_triangular, "nb": panel}
    sizes = {key: ctypes.byref(ctypes.c_int(value)) for key, value in given.items()}
    load_lapack()(
        *(sizes["m"], sizes["n"], sizes["l"], sizes["nb"]),
        *(triangle.ctypes.data, sizes["n"], rows.ctypes.data, sizes["m"], factors.ctypes.data, sizes["nb"]),
        *(work.ctypes.data, ctypes.byref(info)),
    )
    if info.value:
        raise ArithmeticError(f"QR of a block failed (LAPACK dtpqrt: {info.value})")
