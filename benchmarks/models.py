"""The models benchmarks run: golden files of tests/data, and bases of any order, cutoff and size made on the spot."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from acepair import ace1_model, length_basis, set_linear_parameters
from acepair.io import read_acejax

GOLDEN = Path(__file__).parent.parent / "tests" / "data"


def read_model(name: str) -> Any:
    """Return a golden model by its name, or `ELEMENT:order=…,degree=…[,rcut=…]`: random parameters."""
    made = re.fullmatch(r"(\w+):order=(\d+),degree=([\d.]+)(?:,rcut=([\d.]+))?", name)
    if made is None:
        return read_acejax(GOLDEN / f"{name}.model.npz")
    element, order, degree, rcut = made[1], int(made[2]), float(made[3]), float(made[4] or 5.5)
    model = ace1_model(elements=element, order=order, totaldegree=degree, rcut=rcut)
    parameters = 1e-3 * np.random.default_rng(0).normal(size=length_basis(model))
    return set_linear_parameters(model, parameters)
