"""Model files: one file that holds all of a model, for this package and for engines that know no Python.

The format is described in docs/model_file.md.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..lowering import adopt_dag, lower
from ..models.base import Potential
from ..models.model import ACEModel
from ..plan import int32
from . import container
from .declaration import build, describe, many_body_bases
from .plan_tensors import MAX_EXPONENT, UNITS, check_units, forms_products, plan_tensors, read_plans, take

Model = Potential | ACEModel

SUFFIX = ".acepair"

#: what constructors may raise about values of another kind than they expect
_UNFIT = (ArithmeticError, AssertionError, AttributeError, LookupError, RecursionError, TypeError, ValueError)


def save_model(model: Model, path: str | os.PathLike[str], *, provenance: Mapping[str, Any] | None = None) -> None:
    """Write a model to a file that holds all of it and can be opened safely.

    Equal models make equal files. Python callables among the radial functions are stored as the tables that engines
    see of them: energies and forces of the loaded model are the same.

    Parameters
    ----------
    model : ACEModel, potential or StackedCalculator
        With its present parameters.
    path : str or Path
        Must end in `.acepair`. A file that is there is replaced, in one step: whoever reads it sees the old or the new
        one.
    provenance : mapping, optional
        What should be remembered about the model's origin: anything JSON can hold. acepair's version is added.

    Raises
    ------
    TypeError
        If `model` is something else, or a stack that has an ASE calculator among its components.
    ValueError
        If the suffix is another or a parameter is not finite.
    """
    if not isinstance(path, str | os.PathLike):
        raise TypeError(f"path must be a str or a Path, got {type(path).__name__}; the model comes first")
    path = Path(path)
    if path.suffix != SUFFIX:
        raise ValueError(f"path must end in {SUFFIX}, got {str(path)!r}")
    _replace(path, _encode(model, provenance))


def load_model(path: str | os.PathLike[str]) -> Model:
    """Read a model file.

    Parameters
    ----------
    path : str or Path
        Of any name.

    Returns
    -------
    ACEModel, potential or StackedCalculator
        What was saved. It shares nothing with other models loaded from the same file.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is no model file, is damaged or incomplete, or was written by a newer version of acepair.
    """
    path = Path(path)
    try:
        metadata, tensors = container.read(path)
        return _decode(metadata, tensors)
    except _UNFIT as error:
        said = str(error) if isinstance(error, ValueError) else f"the model cannot be built: {error!r}"
        raise ValueError(f"{path}: {said}") from error


def read_metadata(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return what a model file says about itself, without building the model.

    Parameters
    ----------
    path : str or Path
        Of a model file.

    Returns
    -------
    dict
        `format_version`, `elements`, `units`, `provenance`, and `spec`, the model's declaration, where arrays are
        given by the names of their tensors.

    Raises
    ------
    FileNotFoundError, ValueError
        As `load_model`.
    """
    path = Path(path)
    try:
        metadata, _ = container.read(path)
        parsed = {name: _parse_json(metadata[name]) for name in ("units", "provenance", "spec")}
        version = int(metadata["format_version"])
        return {"format_version": version, "elements": tuple(metadata["elements"].split()), **parsed}
    except _UNFIT as error:
        raise ValueError(f"{path}: {error}") from error


def _encode(model: Model, provenance: Mapping[str, Any] | None) -> bytes:
    from ..models.convert import as_calculator

    tensors: dict[str, npt.NDArray[Any]] = {}
    spec = _without_arrays(describe(model), "model", tensors)
    calculator = as_calculator(model)
    tensors |= plan_tensors(lower(calculator), calculator.elements)
    metadata = {
        "elements": " ".join(calculator.elements),
        "units": _json(UNITS),
        "provenance": _json({"acepair": _version(), **(provenance or {})}),
        "spec": _json(spec),
    }
    _decode(metadata, tensors)  # complains now rather than when the model is needed
    return container.encode(metadata, tensors)


def _decode(metadata: Mapping[str, str], tensors: Mapping[str, npt.NDArray[Any]]) -> Model:
    check_units(metadata)
    model = build(_with_arrays(_parse_json(metadata["spec"]), tensors))
    elements = metadata["elements"].split()
    if elements != list(model.elements):
        raise ValueError(f"elements must be those of the model, {', '.join(model.elements)}, got {', '.join(elements)}")
    plans = read_plans(tensors, elements)
    for k, basis in enumerate(many_body_bases(model)):
        dag = plans[k].dag
        if dag is None or not forms_products(dag, len(basis.A_radial), basis.coupling.products):
            raise ValueError(f"plan {k} must form the products of the model's basis")
        adopt_dag(basis, dag)
    return model


def _without_arrays(value: Any, name: str, tensors: dict[str, npt.NDArray[Any]]) -> Any:
    """Replace arrays by the names under which they are added to `tensors`."""
    match value:
        case dict():
            return {key: _without_arrays(item, f"{name}/{key}", tensors) for key, item in value.items()}
        case list() | tuple():
            return [_without_arrays(item, f"{name}/{k}", tensors) for k, item in enumerate(value)]
        case np.ndarray():
            tensors[name] = int32(value) if value.dtype.kind == "i" else value
            return {"tensor": name}
    return value


def _with_arrays(value: Any, tensors: Mapping[str, npt.NDArray[Any]]) -> Any:
    """Undo `_without_arrays`."""
    match value:
        case {"tensor": name, **others} if not others:
            return take(tensors, name)
        case dict():
            return {key: _with_arrays(item, tensors) for key, item in value.items()}
        case list():
            return [_with_arrays(item, tensors) for item in value]
        case int() if not 0 <= value <= MAX_EXPONENT:
            raise ValueError(f"integers of the declaration must lie in 0 ... {MAX_EXPONENT}, got {value}")
    return value


def _json(value: Any) -> str:
    """Canonical JSON."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _parse_json(text: str) -> Any:
    return json.loads(text, parse_constant=_refuse_constant)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"numbers must be finite, got {name}")


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("acepair")
    except PackageNotFoundError:  # run from a source tree
        return "unknown"


def _replace(path: Path, content: bytes) -> None:
    """Write a file beside the final one and rename it when all of it is on the disk."""
    target = Path(os.path.realpath(path))  # a link stays a link
    temporary = target.with_name(f".{target.name}.{os.urandom(8).hex()}.tmp")
    try:
        with temporary.open("xb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
