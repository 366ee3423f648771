"""Run files of `acepair fit`: YAML, every key checked."""

from __future__ import annotations

import difflib
import inspect
import os
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

from .priors import prior_by_name
from .result import FitResult
from .solver import is_number
from .solver_names import make_solver

MODELS = ("ace1_model", "ace_model")
SECTIONS = {
    "data": {
        "train", "test", "energy_key", "forces_key", "virial_key", "stress_key", "type_key", "weight_key",
        "atom_weight_key", "bad_labels", "open_virials",
    },
    "fit": {
        "solver", "solver_options", "prior", "prior_options", "E0s", "repulsion_restraint", "memory", "threads",
        "store", "folder", "scheduler",
    },
    "output": {"model", "report"},
}  # fmt: skip
_REQUIRED = ("model", "data", "output")


@dataclass(frozen=True)
class RunFile:
    """A run file, checked.

    Parameters
    ----------
    sections : mapping
        What the file holds.
    folder : Path
        Paths are relative to it.

    Raises
    ------
    ValueError
        If a key is unknown (the nearest is named) or missing, or a section is no mapping.
    """

    sections: Mapping[str, Mapping[str, Any]]
    folder: Path

    def __post_init__(self) -> None:
        if not isinstance(self.sections, Mapping):
            raise ValueError(f"a run file must hold sections model, data, weights, fit, output, got {self.sections!r}")
        _check_keys(self.sections, ("model", "data", "weights", "fit", "output"), "the run file")
        for name in _REQUIRED:
            if name not in self.sections:
                raise ValueError(f"the run file must have a section {name!r}")
        for name, section in self.sections.items():
            if section is not None and not isinstance(section, Mapping):
                raise ValueError(f"section {name!r} must be a mapping, got {section!r}")
        for name, known in SECTIONS.items():
            _check_keys(self._section(name), known, f"section {name!r}")
        for name, key in (("data", "train"), ("output", "model")):
            if key not in self._section(name):
                raise ValueError(f"section {name!r} must have a key {key!r}")
        for name, paths in (("data", "train test"), ("output", "model report"), ("fit", "folder")):
            for key in paths.split():
                self._check_paths(name, key)
        kind = self._section("model").get("kind", "ace1_model")
        if kind not in MODELS:
            raise ValueError(f"kind of model must be one of {', '.join(MODELS)}, got {kind!r}")
        keywords = [*_keywords(kind), "kind", "N", "species", "trans", "E0s", "Eref"]
        _check_keys(self._section("model"), keywords, "section 'model'")
        self._solver()
        self._prior()

    def run(self) -> FitResult:
        """Read the data, fit, write the model and the report."""
        import acepair

        from .reading import read_dataset
        from .run import fit

        model = dict(self._section("model"))
        build = getattr(acepair, model.pop("kind", "ace1_model"))
        made = build(**{key: _tuples(value) for key, value in model.items()})
        data, output, options = dict(self._section("data")), self._section("output"), dict(self._section("fit"))
        target = self._check_output()
        train, test = self._paths(data.pop("train")), self._paths(data.pop("test", None))
        for key in ("solver", "solver_options", "prior", "prior_options"):
            options.pop(key, None)
        if "folder" in options:
            options["folder"] = self.folder / options["folder"]
        result = fit(
            made,
            read_dataset(train, **data),
            test=read_dataset(test, **data) if test else None,
            weights=self.sections.get("weights"),
            solver=self._solver(),
            prior=self._prior(),
            **options,
        )
        result.save(target)
        if "report" in output:
            result.save_report(self.folder / str(output["report"]))
        return result

    def _check_output(self) -> Path:
        """Return the path of the model; refuse, before the fit, what could not be written after it."""
        output = self._section("output")
        target = self.folder / str(output["model"])
        if target.suffix != ".acepair":
            raise ValueError(f"model of section 'output' must end in .acepair, got {str(output['model'])!r}")
        for key, name in output.items():
            folder = (self.folder / str(name)).parent
            if not folder.is_dir() or not os.access(folder, os.W_OK):
                raise ValueError(f"{key} of section 'output' must be in a folder that can be written, got {name!r}")
        if "report" in output:
            from .html import check_matplotlib

            check_matplotlib()
        return target

    def _section(self, name: str) -> Mapping[str, Any]:
        """Return a section without the keys that are null, which are as good as not there."""
        section = self.sections.get(name) or {}
        return {key: value for key, value in section.items() if value is not None or key == "prior"}

    def _check_paths(self, name: str, key: str) -> None:
        value = self._section(name).get(key)
        listed = value if name == "data" and isinstance(value, list) else [] if value is None else [value]
        if not all(isinstance(item, str) and item for item in listed):
            raise ValueError(f"{key} of section {name!r} must be a path, got {value!r}")

    def _options(self, key: str) -> Mapping[str, Any]:
        options = self._section("fit").get(key, {})
        if not isinstance(options, Mapping):
            raise ValueError(f"{key} of section 'fit' must be a mapping, got {options!r}")
        return options

    def _paths(self, names: Any) -> list[Path]:
        listed = [] if names is None else names if isinstance(names, list) else [names]
        return [self.folder / str(name) for name in listed]

    def _solver(self) -> Any:
        section = self._section("fit")
        return make_solver(str(section.get("solver", "blr")), **self._options("solver_options"))

    def _prior(self) -> Any:
        name, options = str(self._section("fit").get("prior", "algebraic")), self._options("prior_options")
        prior = prior_by_name(name)
        if prior is None:
            return None
        known = [p for p in inspect.signature(prior).parameters if p != "model"]
        _check_keys(options, known, f"prior_options of the {name} prior")
        for key, value in options.items():
            if not is_number(value):
                raise ValueError(f"{key} of prior_options must be a number, got {value!r}")
        return partial(prior, **options)


def read_runfile(path: str | os.PathLike[str]) -> RunFile:
    """Read a run file.

    Raises
    ------
    FileNotFoundError
        If there is none.
    ValueError
        If it is no YAML or has other keys than it may; see `RunFile`.
    """
    import yaml

    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    try:
        sections = yaml.load(path.read_text(encoding="utf-8"), _loader())
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} must be a YAML file: {error}") from error
    return RunFile(sections, path.parent)


@cache
def _loader() -> Any:
    """Return a loader that refuses keys given twice, and takes 1e-9 for a number as YAML 1.2 does."""
    import yaml

    class Loader(yaml.SafeLoader):
        def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
            keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode) and key.value != "<<"]
            for key in keys:
                if keys.count(key) > 1:
                    raise yaml.constructor.ConstructorError(None, None, f"key {key!r} is given twice", node.start_mark)
            made: dict[Any, Any] = super().construct_mapping(node, deep)
            return made

    number = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)[eE][-+]?[0-9]+")
    Loader.add_implicit_resolver("tag:yaml.org,2002:float", number, list("-+.0123456789"))
    return Loader


def template() -> str:
    """Return a run file with all keys, commented."""
    return Path(__file__).with_name("template.yaml").read_text(encoding="utf-8")


def _keywords(kind: str) -> list[str]:
    import acepair

    parameters = inspect.signature(getattr(acepair, kind)).parameters.values()
    return [p.name for p in parameters if p.kind is not inspect.Parameter.VAR_KEYWORD]


def _check_keys(given: Mapping[str, Any], known: Collection[str], where: str) -> None:
    for key in given:
        if key not in known:
            lower = {k.lower(): k for k in known}
            nearest = difflib.get_close_matches(str(key).lower(), lower, n=1, cutoff=0)
            raise ValueError(f"{where} has no key {key!r}; the nearest is {lower[nearest[0]]!r}")


def _tuples(value: Any) -> Any:
    """Turn lists that begin with a word, as [agnesi, 2, 4], into the tuples that models take."""
    if isinstance(value, list) and value and isinstance(value[0], str) and any(not isinstance(v, str) for v in value):
        return tuple(value)
    return value
