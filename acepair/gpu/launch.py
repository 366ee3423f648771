"""Launches of the kernels that are the same for all models: those that make lists."""

from __future__ import annotations

from .arguments import Struct
from .backend import Backend
from .layout import THREADS
from .source import unit_source


def launch(
    backend: Backend, unit: str, name: str, n: int, *structs: Struct, per_block: int = THREADS, count: int = 0
) -> None:
    """Launch a kernel of kernels/UNIT.cu for `n` items, of which a block takes `per_block`; for none do nothing."""
    if n:
        arguments = [struct.value for struct in structs] + [None] * (3 - len(structs))
        backend.kernel(unit_source(unit), name)(-(-n // per_block), THREADS, 0, arguments, 0, count)
