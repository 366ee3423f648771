"""Model files: this package's own and those of others."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .acejax import read_acejax as read_acejax
    from .model_file import load_model as load_model
    from .model_file import read_metadata as read_metadata
    from .model_file import save_model as save_model

_MODULE_OF = {
    "read_acejax": "acejax",
    "load_model": "model_file",
    "read_metadata": "model_file",
    "save_model": "model_file",
}

__all__ = sorted(_MODULE_OF)


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f".{_MODULE_OF[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
