"""Spec objects to plain dictionaries and back.

Every spec class that can be written to a file registers the name under which it is written. The dictionaries hold
JSON values, and NumPy arrays where the object holds arrays, so that a file writer can store those as tensors.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from .._types import Dict

C = TypeVar("C")

_CLASSES: dict[str, type] = {}


def register(kind: str) -> Callable[[type[C]], type[C]]:
    """Decorate a class with `kind`, the name of its objects in a file."""

    def add(cls: type[C]) -> type[C]:
        _CLASSES[kind] = cls
        cls.kind = kind  # type: ignore[attr-defined]
        return cls

    return add


def to_dict(spec: Any) -> Dict:
    """Return the dictionary from which `from_dict` makes an equal object.

    Raises
    ------
    TypeError
        For Python callables and other objects no file can hold.
    """
    if not hasattr(type(spec), "to_dict"):
        raise TypeError(f"a {type(spec).__name__} cannot be written as data, only built-in specs can: got {spec!r}")
    result: Dict = spec.to_dict()
    return result


def from_dict(data: Mapping[str, Any]) -> Any:
    """Build the object described by a dictionary of `to_dict`.

    Raises
    ------
    TypeError
        If `data` is no mapping.
    ValueError
        If its "kind" is none that this version knows.
    """
    from . import angular, polynomials, radial, tabulated, transforms  # noqa: F401  (they register their classes)

    if not isinstance(data, Mapping):
        raise TypeError(f"a serialised spec must be a mapping, got {type(data).__name__}")
    kind = data.get("kind")
    if kind not in _CLASSES:
        raise ValueError(f"kind of a serialised spec must be one of {', '.join(sorted(_CLASSES))}, got {kind!r}")
    cls: Any = _CLASSES[kind]
    values = {key: value for key, value in data.items() if key != "kind"}
    return cls.from_values(**values) if hasattr(cls, "from_values") else cls(**values)
