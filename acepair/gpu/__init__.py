"""ACE on NVIDIA GPUs, by kernels that CuPy compiles for a model when it is first used.

`Evaluator` is what `ACECalculator(model, device="cuda")` runs; drivers that keep positions on the card use it, too.
Importing this package loads neither CuPy nor a driver.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._lazy import lazy_names

if TYPE_CHECKING:
    from .engine import Engine as Engine
    from .engine import System as System
    from .evaluate import Evaluator as Evaluator
    from .kept_list import Results as Results

__all__, __getattr__, __dir__ = lazy_names(
    __name__, {"engine": "Engine System", "evaluate": "Evaluator", "kept_list": "Results"}
)
