"""What a solver is."""

from __future__ import annotations

import importlib.util
import numbers
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from .._types import FloatArray
from .blr import Posterior
from .system import LinearSystem


@dataclass(frozen=True, eq=False)
class Solution:
    """What a solver found."""

    theta: FloatArray  #: (L,)
    details: Mapping[str, Any] = field(default_factory=dict)  #: numbers, and text, for the report
    posterior: Posterior | None = None


@dataclass(frozen=True)
class Solver:
    """How a system is solved. Solvers of users derive from this class."""

    needs_rows: ClassVar[bool] = False  #: whether the matrix itself is needed
    needs_module: ClassVar[str] = ""  #: that must be installed besides SciPy

    def solve(self, system: LinearSystem) -> Solution:
        """Return the solution of a system whose columns are divided by the prior.

        Raises
        ------
        LinAlgError, ValueError
            If the system has no solution of this kind; the message says what does.
        """
        raise NotImplementedError

    def check_installed(self) -> None:
        """Raise an ImportError if a module is missing, before anything is assembled."""
        if self.needs_module and importlib.util.find_spec(self.needs_module) is None:
            raise ImportError(f"solver {self.name} needs {self.needs_module}: pip install 'acepair[fit]'")

    @property
    def name(self) -> str:
        """Name for reports."""
        return type(self).__name__


def is_number(value: Any) -> bool:
    """Say whether an option or a detail of a solver is one number."""
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def check_option(name: str, value: float, valid: bool, rule: str) -> None:
    """Refuse an option of a solver that is not finite or breaks a rule."""
    if not (valid and np.isfinite(value)):
        raise ValueError(f"{name} must {rule}, got {value}")
