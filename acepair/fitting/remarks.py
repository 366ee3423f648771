"""What looks odd about data, references and fits: remarks for the report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ..models.convert import as_calculator
from ..models.onebody import ETOneBodyPotential
from .dataset import Configuration, Dataset
from .errors import ErrorTable
from .labels import USUAL_KEYS
from .problem import Problem
from .references import is_isolated

_LARGE_ENERGY = 15.0  #: eV/atom, more than any cohesive energy
_UNREACHED = 1e-3  #: eV
_NAMED = 5  #: so many configurations by name
_WRONG_VIRIALS = 0.5  #: error, relative to the labels'


def remarks(problem: Problem, train: Dataset, test: Dataset | None, table: ErrorTable, how: Any) -> tuple[str, ...]:
    """Return the notes of the data and remarks on a fit.

    Parameters
    ----------
    problem : Problem
    train, test : Dataset
    table : ErrorTable
        Of the training set.
    how : mapping, "isolated", "lsq" or None
        Where the one-body energies are from.
    """
    notes = [*train.notes, *(() if test is None else test.notes)]
    notes += _of_keys(train, test) + _of_copies(train, test)
    notes += _of_lsq(train, as_calculator(problem.model).elements) if how == "lsq" else _of_totals(problem, train)
    notes += _of_isolated(problem, train)
    n_rows, L = problem.shape
    if n_rows < L:
        notes.append(f"{n_rows} rows for {L} parameters: most of them follow from the prior, not from the data")
    return tuple(dict.fromkeys([*notes, *_of_virials(table)]))


def described(calculators: Iterable[Any]) -> tuple[str, ...]:
    """Return ASE calculators by class and parameters."""
    found = []
    for calculator in calculators:
        parameters = dict(getattr(calculator, "parameters", None) or {})
        text = ", ".join(f"{k}={v!r}" for k, v in parameters.items())
        found.append(f"{type(calculator).__name__}({text[:300]}{' ...' if len(text) > 300 else ''})")
    return tuple(found)


def _of_keys(train: Dataset, test: Dataset | None) -> list[str]:
    """Say where training and test labels are from different keys."""
    notes = []
    for kind in USUAL_KEYS:
        keys = [[key for k, key in d.keys if k == kind] for d in (train, test) if d is not None]
        if len(keys) == 2 and all(keys) and keys[0] != keys[1]:
            names = (", ".join(map(repr, k)) for k in keys)
            notes.append(f"the {kind} is {' in the training set, '.join(names)} in the test set: give {kind}_key")
    return notes


def _of_copies(train: Dataset, test: Dataset | None) -> list[str]:
    known = Counter(_structure(c) for c in train)
    again = sum(known.values()) - len(known)
    notes = [f"{again} configurations of the training set are copies of others"] if again else []
    shared = 0 if test is None else sum(_structure(c) in known for c in test)
    return [*notes, f"{shared} configurations of the test set are in the training set, too"] if shared else notes


def _structure(c: Configuration) -> bytes:
    atoms = c.atoms
    return b"".join(np.asarray(a).tobytes() for a in (atoms.numbers, atoms.positions, atoms.cell.array, atoms.pbc))


def _of_lsq(train: Dataset, elements: Sequence[str]) -> list[str]:
    """Say which one-body energies compositions do not determine."""
    labelled = [c for c in train if c.energy is not None and len(c)]
    there = [e for e in elements if any(e in c.atoms.symbols for c in labelled)]
    counts = np.array([[np.mean(np.array(list(c.atoms.symbols)) == e) for e in there] for c in labelled])
    notes = []
    if np.linalg.matrix_rank(counts, 1e-9) < len(there):
        notes.append(
            f"E0s='lsq': the compositions do not determine the energies of {', '.join(there)} one by one: they are the "
            "shortest of many solutions, and mean nothing for other compositions"
        )
    absent = [e for e in elements if e not in there]
    if absent:
        notes.append(f"E0s='lsq': no energy has {', '.join(absent)}: taken as 0 eV")
    return notes


def _of_totals(problem: Problem, train: Dataset) -> list[str]:
    """Say that energies look like total energies, from which no one-body energies were subtracted."""
    calculator = as_calculator(problem.model)
    E0: Counter[str] = Counter()
    for part in getattr(calculator, "components", (calculator,)):
        if isinstance(part, ETOneBodyPotential):
            E0.update(part.layer.E0)
    if problem.references.others:
        return []
    energies = [
        (c.energy - sum(E0[s] for s in c.atoms.symbols)) / len(c) for c in train if c.energy is not None and len(c)
    ]
    usual = float(np.median(energies)) if energies else 0.0
    if abs(usual) <= _LARGE_ENERGY:
        return []
    return [
        f"energies less the one-body energies are about {usual:.0f} eV per atom: are they total energies? E0s='lsq', "
        "'isolated' or a mapping subtracts those of the atoms"
    ]


def _of_isolated(problem: Problem, train: Dataset) -> list[str]:
    """Name the isolated atoms whose energies no parameter can change."""
    missed = []
    for k, (c, w) in enumerate(zip(train, problem.row_weights, strict=False)):
        if w.E and is_isolated(c):
            missing = problem.targets(k).energy
            if abs(missing) > _UNREACHED:
                missed.append(f"{c.name} ({c.atoms.symbols[0]}, {missing:+.4g} eV)")
    if not missed:
        return []
    more = f" and {len(missed) - _NAMED} more" if len(missed) > _NAMED else ""
    return [
        f"no parameter changes the energy of isolated atoms, which are off by what the one-body energies miss: "
        f"{', '.join(missed[:_NAMED])}{more}; E0s='isolated' takes theirs"
    ]


def _of_virials(table: ErrorTable) -> list[str]:
    """Say that virials may have another sign or unit."""
    labels, found = table.pairs("V")
    size, error = (float(np.sqrt(np.mean(v**2))) if v.size else 0.0 for v in (labels, found - labels))
    if error <= _WRONG_VIRIALS * size:
        return []
    sign = "they have the opposite sign of the fit's" if labels @ found < 0 else "have they another sign or unit?"
    return [
        f"virials are off by {error / size:.0%} of their size: {sign} (eV, −dE/dε; stresses eV/Å³, "
        "virial = −volume · stress)"
    ]
