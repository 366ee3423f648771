"""Array modules whose fresh memory holds what no kernel may read, and which refuse what CuPy does not do."""

from __future__ import annotations

from typing import Any


class Poisoned:
    """NumPy or CuPy, but `empty` gives NaN, and integers out of any range."""

    def __init__(self, module: Any) -> None:
        self._module = module

    def __getattr__(self, name: str) -> Any:
        return getattr(self._module, name)

    def empty(self, shape: Any, dtype: Any = float) -> Any:
        array = self._module.empty(shape, dtype)
        array.fill(float("nan") if array.dtype.kind == "f" else -(2**30))
        return array

    def unique(self, array: Any) -> Any:
        assert len(array), "not for CuPy"
        return self._module.unique(array)

    def argsort(self, array: Any, **options: Any) -> Any:
        assert len(array), "not for CuPy"
        return self._module.argsort(array, **options)

    def bincount(self, array: Any, **options: Any) -> Any:
        assert len(array), "not for CuPy"
        return self._module.bincount(array, **options)

    def searchsorted(self, array: Any, values: Any, **options: Any) -> Any:
        assert len(array), "not for CuPy"
        return self._module.searchsorted(array, values, **options)
