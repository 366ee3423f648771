"""Model files: this package's own and those of others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._lazy import lazy_names

if TYPE_CHECKING:
    from .acejax import read_acejax as read_acejax
    from .model_file import load_model as load_model
    from .model_file import read_metadata as read_metadata
    from .model_file import save_model as save_model

__all__, __getattr__, __dir__ = lazy_names(
    __name__, {"acejax": "read_acejax", "model_file": "load_model read_metadata save_model"}
)
