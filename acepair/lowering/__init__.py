"""Lowering: from components to plans. Nothing downstream knows transforms, bases or couplings."""

from .radial import has_formulas, tabulated
from .rows import lower_rows
from .stack import adopt_dag, lower

__all__ = ["adopt_dag", "has_formulas", "lower", "lower_rows", "tabulated"]
