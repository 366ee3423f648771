"""ACE on NVIDIA GPUs, by kernels that CuPy compiles for a model when it is first used.

`Evaluator` is what `ACECalculator(model, device="cuda")` runs; drivers that keep positions on the card use it, too.
Importing this package loads neither CuPy nor a driver.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .engine import Engine as Engine
    from .engine import Results as Results
    from .engine import System as System
    from .evaluate import Evaluator as Evaluator

_MODULE_OF = {"Engine": "engine", "Evaluator": "evaluate", "Results": "engine", "System": "engine"}

__all__ = sorted(_MODULE_OF)


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f".{_MODULE_OF[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
