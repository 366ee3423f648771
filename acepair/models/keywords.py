"""Complaints about keywords a function does not have."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any


def reject_unknown(function: Callable[..., Any], unknown: Iterable[str], aliases: Iterable[str] = ()) -> None:
    """Raise TypeError naming the nearest known keyword if there is an unknown one."""
    for name in unknown:
        parameters = inspect.signature(function).parameters.values()
        known = [p.name for p in parameters if p.kind is not inspect.Parameter.VAR_KEYWORD] + list(aliases)
        lower = {k.lower(): k for k in known}
        nearest = difflib.get_close_matches(name.lower(), lower, n=1)
        hint = f"the nearest is {lower[nearest[0]]!r}" if nearest else f"it has {', '.join(known)}"
        raise TypeError(f"{function.__name__} has no keyword {name!r}; {hint}")


def take_alias(value: Any, name: str, alias: str, given: dict[str, Any]) -> Any:
    """Return `value`, or what is given under its alias, which is removed from `given`."""
    if alias not in given:
        return value
    if value is not None:
        raise TypeError(f"{alias!r} is another name of {name!r}: only one of them can be given")
    return given.pop(alias)


def require(values: Mapping[str, Any]) -> None:
    """Raise TypeError for keywords that are None but must be given."""
    missing = [name for name, value in values.items() if value is None]
    if missing:
        raise TypeError(f"missing keyword {', '.join(map(repr, missing))}")
