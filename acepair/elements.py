"""Chemical elements as users write them: symbols, atomic numbers, a single symbol."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping
from typing import TypeVar

import numpy as np
from ase.data import atomic_numbers, chemical_symbols

from ._types import Elements, IntArray

V = TypeVar("V")


def symbol(element: str | int) -> str:
    """Return the chemical symbol of a symbol or an atomic number.

    Raises
    ------
    ValueError
        If there is no such element.
    """
    if isinstance(element, str):
        if atomic_numbers.get(element, 0) < 1:
            raise ValueError(f"element must be a chemical symbol, got {element!r}")
        return str(element)
    try:
        number = operator.index(element)
    except TypeError:
        raise ValueError(f"element must be a chemical symbol or an atomic number, got {element!r}") from None
    if not 0 < number < len(chemical_symbols):
        raise ValueError(f"atomic number must lie in 1..{len(chemical_symbols) - 1}, got {number}")
    return str(chemical_symbols[number])


def parse_elements(elements: Elements) -> tuple[str, ...]:
    """Return the symbols of `elements` in their own order.

    Parameters
    ----------
    elements : str, int or sequence of them
        "Si", 14, ("Si", "O"), [14, 8].

    Raises
    ------
    ValueError
        For no element, an unknown one, or one given twice.
    """
    if isinstance(elements, set | frozenset):
        raise ValueError(f"elements must be in an order, which is that of the parameters; got a set: {elements}")
    items: Iterable[str | int] = (elements,) if isinstance(elements, str | int | np.integer) else elements
    symbols = tuple(symbol(item) for item in items)
    if not symbols:
        raise ValueError("elements must name at least one element, got none")
    if len(set(symbols)) < len(symbols):
        raise ValueError(f"elements must differ from one another, got {', '.join(symbols)}")
    return symbols


def numbers_of(symbols: Iterable[str]) -> IntArray:
    """Return the atomic numbers of chemical symbols."""
    return np.array([atomic_numbers[s] for s in symbols], dtype=np.int64)


def by_symbol(values: Mapping[str, V] | Mapping[int, V] | Mapping[str | int, V], what: str) -> dict[str, V]:
    """Return a mapping with its keys (symbols or atomic numbers) turned into symbols; `what` names it in errors."""
    if not isinstance(values, Mapping):
        raise TypeError(f"{what} must be a mapping of elements to values, got {values!r}")
    result: dict[str, V] = {}
    for key, value in values.items():
        if symbol(key) in result:
            raise ValueError(f"{what} must give each element once, got {symbol(key)} twice")
        result[symbol(key)] = value
    return result
