"""Structs for kernels: pointers and numbers as int64 in the order of the headers, passed by value."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import numpy as np

from .backend import KERNELS, Backend


class Struct:
    """An argument of kernels, fields being arrays, numbers, None or lists of structs. It keeps alive what it points to.

    Pointers that a kernel gets by value are known to be global; through a pointer to the struct they would have to be
    loaded first and could be anything.

    Attributes
    ----------
    value : array of one element
        What a kernel is given: CuPy passes it by value.
    """

    def __init__(self, backend: Backend, name: str, **fields: Any) -> None:
        order = field_names(name)
        if set(order) != fields.keys():
            raise TypeError(f"{name} has the fields {', '.join(order)}, got {', '.join(fields)}")
        self.fields = fields
        self.words: list[int] = []
        for name in order:
            value = fields[name]
            self.words += (
                [w for part in value for w in part.words] if isinstance(value, list) else [_word(backend, value)]
            )
        self.value = np.array(self.words, dtype=np.int64).view(np.dtype((np.void, 8 * len(self.words))))


def _word(backend: Backend, value: Any) -> int:
    if value is None:
        return 0
    return int(value) if isinstance(value, int | np.integer) else backend.pointer(value)


@cache
def field_names(struct: str) -> tuple[str, ...]:
    """Names of a struct's fields as the headers have them."""
    header = "".join((KERNELS / name).read_text() for name in ("arguments.hpp", "search.hpp", "lists.hpp"))
    body = re.search(rf"^struct {struct} {{\n(.*?)^}};", header, re.MULTILINE | re.DOTALL)
    assert body is not None
    declarations = re.sub(r"//.*", "", body[1]).replace("const ", "").split(";")
    names = [text.split(None, 1)[1].split(",") for text in declarations if text.strip()]
    return tuple(name.split("[")[0].strip(" *") for of_type in names for name in of_type)
