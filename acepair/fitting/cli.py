"""Commands `acepair fit`, `acepair eval`, `acepair info`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

_ERRORS = (ArithmeticError, ImportError, MemoryError, OSError, TypeError, ValueError)


def add_commands(commands: Any) -> None:
    """Add the commands to those of `acepair`."""
    fit = commands.add_parser("fit", help="fit a model as a run file says")
    fit.add_argument("run_file", type=Path, nargs="?", metavar="FILE", help="YAML")
    fit.add_argument("--template", action="store_true", help="print a run file with all keys, commented")
    fit.set_defaults(run=_guarded(_fit))

    evaluate = commands.add_parser("eval", help="errors of a model on labelled structures")
    evaluate.add_argument("model", type=Path, metavar="MODEL.acepair")
    evaluate.add_argument("data", type=Path, nargs="+", metavar="DATA", help="any file ASE reads")
    for label in ("energy", "forces", "virial", "stress"):
        evaluate.add_argument(f"--{label}-key", metavar="KEY", help="found without, if it is a usual one")
    evaluate.add_argument("--type-key", default="config_type", metavar="KEY")
    evaluate.add_argument("--bad-labels", choices=("error", "skip"), default="error", help="labels that are not finite")
    evaluate.add_argument(
        "--open-virials", choices=("ignore", "use"), default="ignore", help="virials of structures that are not bulk"
    )
    evaluate.add_argument("--threads", type=int, metavar="N")
    evaluate.set_defaults(run=_guarded(_eval))

    info = commands.add_parser("info", help="what a model file holds")
    info.add_argument("model", type=Path, metavar="MODEL.acepair")
    info.set_defaults(run=_guarded(_info))
    for command in (fit, evaluate, info):
        command.add_argument("--traceback", action="store_true", help="show where in the code an error arose")


def _guarded(run: Callable[[argparse.Namespace], int]) -> Callable[[argparse.Namespace], int]:
    """Turn errors of users into a line on standard error and status 1, unless the traceback is asked for."""

    def guarded(arguments: argparse.Namespace) -> int:
        try:
            return run(arguments)
        except _ERRORS as error:
            if arguments.traceback:
                raise
            print(f"acepair: {error}", file=sys.stderr)
            return 1

    return guarded


def _fit(arguments: argparse.Namespace) -> int:
    from .runfile import read_runfile, template

    if arguments.template:
        print(template(), end="")
        return 0
    if arguments.run_file is None:
        raise ValueError("acepair fit needs a run file; `acepair fit --template` prints one")
    result = read_runfile(arguments.run_file).run()
    print(result.report)
    return 0


def _eval(arguments: argparse.Namespace) -> int:
    from ..io import load_model, read_metadata
    from .errors import error_table
    from .reading import read_dataset

    keys = {f"{label}_key": getattr(arguments, f"{label}_key") for label in ("energy", "forces", "virial", "stress")}
    model = load_model(arguments.model)
    data = read_dataset(
        arguments.data,
        type_key=arguments.type_key,
        bad_labels=arguments.bad_labels,
        open_virials=arguments.open_virials,
        **keys,
    )
    table = error_table(model, data, threads=arguments.threads)
    print(table)
    relative = read_metadata(arguments.model)["provenance"].get("relative to v_ref")
    if relative:
        print(f"Note: the model is relative to {', '.join(relative)}, which is not in these errors")
    for line in table.outliers():
        print(f"Note: {line}")
    return 0


def _info(arguments: argparse.Namespace) -> int:
    from ..io import load_model, read_metadata
    from ..models.parameters import length_basis

    model = load_model(arguments.model)
    print(model)
    print(f"elements: {', '.join(model.elements)}")
    print(f"cutoff: {model.rcut:g} Å")
    print(f"linear parameters: {length_basis(model)}")
    for key, value in read_metadata(arguments.model).items():
        if key not in ("spec", "model", "plans", "tensors"):
            _print_nested(key, value)
    return 0


def _print_nested(key: str, value: Any, indent: str = "") -> None:
    if isinstance(value, dict):
        print(f"{indent}{key}:")
        for name, item in value.items():
            _print_nested(str(name), item, indent + "  ")
    elif isinstance(value, float):
        print(f"{indent}{key}: {value:.6g}")
    else:
        text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
        print(f"{indent}{key}: {text if len(text) <= 500 else text[:500] + ' ...'}")
