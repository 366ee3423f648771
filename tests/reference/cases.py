"""Golden files by name."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
from ase import Atoms

from .naive import NaiveModel

DATA = Path(__file__).parent.parent / "data"
CASES = sorted(path.name.removesuffix(".ref.npz") for path in DATA.glob("*.ref.npz"))


@cache
def golden(case: str) -> dict[str, np.ndarray]:
    with np.load(DATA / f"{case}.ref.npz") as file:
        return {key: file[key] for key in file.files}


def model_path(case: str) -> Path:
    return DATA / f"{case}.model.npz"


@cache
def naive_model(case: str, dtype: type = np.float64) -> NaiveModel:
    return NaiveModel.read(model_path(case), dtype)


def golden_structure(case: str, k: int) -> Atoms:
    ref = golden(case)
    return Atoms(ref[f"{k}_numbers"], ref[f"{k}_positions"], cell=ref[f"{k}_cell"], pbc=ref[f"{k}_pbc"])


STRUCTURES = [(case, k) for case in CASES for k in range(int(golden(case)["n_structures"]))]
