"""Structs for kernels: pointers and numbers as int64 in device memory, in the order of the headers."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import numpy as np

from .backend import KERNELS, Backend


class Struct:
    """A struct on the device. It keeps the arrays alive that it points to."""

    def __init__(self, backend: Backend, name: str, **fields: Any) -> None:
        order = field_names(name)
        if set(order) != fields.keys():
            raise TypeError(f"{name} has the fields {', '.join(order)}, got {', '.join(fields)}")
        self.fields = fields
        self.array = backend.xp.asarray(np.array([_number(backend, fields[name]) for name in order], dtype=np.int64))


def _number(backend: Backend, value: Any) -> int:
    if value is None:
        return 0
    if isinstance(value, int | np.integer):
        return int(value)
    return backend.pointer(value.array if isinstance(value, Struct) else value)


@cache
def field_names(struct: str) -> tuple[str, ...]:
    """Names of a struct's fields as the headers have them."""
    header = "".join((KERNELS / name).read_text() for name in ("arguments.hpp", "search.hpp"))
    body = re.search(rf"^struct {struct} {{\n(.*?)^}};", header, re.MULTILINE | re.DOTALL)
    assert body is not None
    declarations = re.sub(r"//.*", "", body[1]).replace("const ", "").split(";")
    names = [text.split(None, 1)[1].split(",") for text in declarations if text.strip()]
    return tuple(name.strip(" *") for of_type in names for name in of_type)
