"""acepair in LAMMPS: the plugin that LAMMPS loads by itself, and helpers for LAMMPS in Python.

Every `lmp` of an environment imports this package when it starts: nothing is loaded before it is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._lazy import lazy_names

if TYPE_CHECKING:
    from .library import make_lammps as make_lammps
    from .library import preload as preload
    from .pair_python import ACE as ACE
    from .pair_python import setup as setup
    from .plugin import plugin_path as plugin_path

__all__, __getattr__, __dir__ = lazy_names(
    __name__, {"library": "make_lammps preload", "pair_python": "ACE setup", "plugin": "plugin_path"}
)
