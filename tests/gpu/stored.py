"""Plans, structures and what the CPU says of them, in files that NumPy alone can read.

python -m gpu.stored   (in tests/, with the built extension) writes the files anew
"""

from __future__ import annotations

from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from acepair.plan import BasisKind, Dag, Plan, RadialPlan

FOLDER = Path(__file__).parent.parent / "data" / "gpu"
CASES = ("sio_tutorial", "si_order4_large", "si_zuo_large", "tial_ace1")
_RESULTS = ("energy", "site_energies", "forces", "virial", "site_virials")


@cache
def load(case: str) -> tuple[tuple[Plan, ...], tuple[str, ...], list[dict[str, np.ndarray]]]:
    """Return plans, elements, and structures with their results."""
    with np.load(FOLDER / f"{case}.npz") as file:
        data = {key: file[key] for key in file.files}
    elements = tuple(data["elements"].tolist())
    plans = tuple(_plan(data, f"plan{k}", elements) for k in range(int(data["n_plans"])))
    structures = [
        {key.split("/")[1]: value for key, value in data.items() if key.startswith(f"structure{k}/")}
        for k in range(int(data["n_structures"]))
    ]
    return plans, elements, structures


def _flatten(prefix: str, part: Any) -> dict[str, np.ndarray]:
    flat = {}
    for field in fields(part):
        value = getattr(part, field.name)
        if isinstance(value, RadialPlan | Dag):
            flat |= _flatten(f"{prefix}/{field.name}", value)
        elif field.name == "pair_terms":
            flat[f"{prefix}/n_pair_terms"] = np.array(len(value))
            for k, term in enumerate(value):
                flat |= _flatten(f"{prefix}/pair_terms{k}", term)
        elif value is not None and field.name != "elements":
            flat[f"{prefix}/{field.name}"] = np.asarray(value)
    return flat


def _part(cls: type, data: dict[str, np.ndarray], prefix: str, **others: Any) -> Any:
    values = {}
    for field in fields(cls):
        if field.name not in others:
            value = data[f"{prefix}/{field.name}"]
            values[field.name] = value if value.ndim else value.item()
    return cls(**values, **others)


def _radial(data: dict[str, np.ndarray], prefix: str) -> RadialPlan:
    return _part(RadialPlan, data, prefix, kind=BasisKind(int(data[f"{prefix}/kind"])))


def _plan(data: dict[str, np.ndarray], prefix: str, elements: tuple[str, ...]) -> Plan:
    terms = tuple(_radial(data, f"{prefix}/pair_terms{k}") for k in range(int(data[f"{prefix}/n_pair_terms"])))
    has_many_body = int(data[f"{prefix}/lmax"]) >= 0
    return _part(
        Plan,
        data,
        prefix,
        elements=elements,
        pair_terms=terms,
        radial=_radial(data, f"{prefix}/radial") if has_many_body else None,
        dag=_part(Dag, data, f"{prefix}/dag") if has_many_body else None,
    )


def _write(case: str) -> None:
    from reference.cases import golden_structure, model_path

    from acepair.evaluate import Evaluator
    from acepair.io import read_acejax
    from acepair.lowering import lower
    from acepair.structure import read_structure

    evaluator = Evaluator(read_acejax(model_path(case)))
    plans = lower(evaluator.calculator)
    assert all(plan.elements == plans[0].elements for plan in plans)
    data = {"elements": np.array(plans[0].elements), "n_plans": np.array(len(plans)), "n_structures": np.array(2)}
    for k, plan in enumerate(plans):
        data |= _flatten(f"plan{k}", plan)
    for k in range(2):
        atoms = golden_structure(case, k)
        structure, done = read_structure(atoms, evaluator.table), evaluator.evaluate(atoms, site_virials=True)
        for name in ("positions", "cell", "pbc", "species"):
            data[f"structure{k}/{name}"] = getattr(structure, name)
        for name in _RESULTS:
            data[f"structure{k}/{name}"] = np.asarray(getattr(done, name))
    FOLDER.mkdir(exist_ok=True)
    np.savez_compressed(FOLDER / f"{case}.npz", **data)


if __name__ == "__main__":
    for name in CASES:
        _write(name)
