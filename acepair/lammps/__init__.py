"""acepair in LAMMPS: the plugin that LAMMPS loads by itself, and helpers for LAMMPS in Python.

Every `lmp` of an environment imports this package when it starts: nothing is loaded before it is used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .library import make_lammps as make_lammps
    from .library import preload as preload
    from .pair_python import ACE as ACE
    from .pair_python import setup as setup
    from .plugin import plugin_path as plugin_path

_MODULE_OF = {
    "ACE": "pair_python",
    "make_lammps": "library",
    "plugin_path": "plugin",
    "preload": "library",
    "setup": "pair_python",
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
