"""Finding energies, forces and virials among the keys of a structure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from .._types import FloatArray

Key = str | bool | None  #: a key; None looks for the usual ones, False means "do not use"

#: where labels are looked for unless keys are given, best first; without case
USUAL_KEYS = {
    "energy": ("REF_energy", "dft_energy", "energy", "free_energy"),
    "forces": ("REF_forces", "REF_force", "dft_forces", "dft_force", "forces", "force"),
    "virial": ("REF_virial", "dft_virial", "virial", "virials"),
    "stress": ("REF_stress", "dft_stress", "stress"),
}
_FULL = [[0, 5, 4], [5, 1, 3], [4, 3, 2]]  # places of xx, yy, zz, yz, xz, xy in a 3 x 3 matrix


@dataclass(frozen=True)
class Keys:
    """Names under which the labels stand; see `read_dataset`."""

    energy: Key = None
    forces: Key = None
    virial: Key = None
    stress: Key = None

    def __post_init__(self) -> None:
        for name in USUAL_KEYS:
            key = getattr(self, name)
            if key is True or not (key is None or isinstance(key, str | bool)):
                raise TypeError(f"{name}_key must be a key, None (look for the usual ones) or False, got {key!r}")

    def resolve(self, frames: Iterable[Mapping[str, Any]], hint: str = "") -> dict[str, str | None]:
        """Return the key of each kind of label in frames given as what they hold; None for labels there are not.

        `hint` is added to the message if there are none.

        Raises
        ------
        ValueError
            If a key that was asked for is in none of the frames, or if there are no labels at all.
        """
        there = list(dict.fromkeys(key for frame in frames for key in frame))
        found = {name: self._resolve(name, there) for name in USUAL_KEYS}
        if isinstance(self.virial, str) and isinstance(self.stress, str):
            raise ValueError(
                f"only one of virial_key and stress_key can be given, got {self.virial!r}, {self.stress!r}"
            )
        if (found["virial"] and self.stress is None) or (self.virial is False and self.stress is None):
            found["stress"] = None
        elif found["stress"] and isinstance(self.stress, str):
            found["virial"] = None
        if not any(found.values()):
            raise ValueError(
                f"configurations must have energies, forces or virials; the keys there are: {_listed(there)}{hint}"
            )
        return found

    def _resolve(self, name: str, there: list[str]) -> str | None:
        key = getattr(self, name)
        if key is False:
            return None
        if isinstance(key, str):
            if key not in there:
                raise ValueError(f"{name}_key {key!r} is in no configuration; the keys there are: {_listed(there)}")
            return key
        lower = {k.lower(): k for k in reversed(there)}
        return next((lower[usual.lower()] for usual in USUAL_KEYS[name] if usual.lower() in lower), None)


def unused_labels(keys: Mapping[str, str | None], frames: Iterable[Mapping[str, Any]]) -> Counter[str]:
    """Count the frames whose labels stand under another of the usual keys than the one that is used, by a remark."""
    found: Counter[str] = Counter()
    kinds = {kind: {usual.lower() for usual in names} for kind, names in USUAL_KEYS.items()}
    kinds["virial"] |= kinds.pop("stress")
    used = {"energy": (keys["energy"],), "forces": (keys["forces"],), "virial": (keys["virial"], keys["stress"])}
    for frame in frames:
        for kind, usual in kinds.items():
            chosen = [key for key in used[kind] if key is not None]
            if not chosen or any(frame.get(key) is not None for key in chosen):
                continue
            other = next((key for key in frame if key.lower() in usual and frame[key] is not None), None)
            if other is not None:
                found[f"labels {other!r} left out: {chosen[0]!r} is used for the {kind} ({kind}_key=...)"] += 1
    return found


def partly_there(asked: Keys, frames: Iterable[Mapping[str, Any]]) -> Counter[str]:
    """Count the frames that lack an energy or forces of a key that was asked for, by a remark."""
    found: Counter[str] = Counter()
    for kind in ("energy", "forces"):
        key = getattr(asked, kind)
        if isinstance(key, str):
            found[f"configurations are without {key!r} ({kind}_key)"] = sum(f.get(key) is None for f in frames)
    return +found


def listed(frames: Iterable[Mapping[str, Any]]) -> str:
    """Return the keys there are in frames, for messages."""
    return _listed({key for frame in frames for key in frame})


def _listed(keys: Iterable[str]) -> str:
    return ", ".join(sorted(keys)) or "none"


def frame_of(atoms: Any) -> dict[str, Any]:
    """Return everything a structure holds by key: info, arrays and the results of its calculator.

    Key-value pairs and data of rows of ASE databases count as info. ASE moves `energy`, `forces` and `stress` of
    extended XYZ into a calculator. Results for other positions than the present ones do not count.
    """
    frame: dict[str, Any] = {}
    calculator = atoms.calc
    if calculator is not None:
        for key in tuple(getattr(calculator, "results", ())):
            value = calculator.get_property(key, atoms, allow_calculation=False)
            if value is not None:
                frame[key] = value
    for nested in (atoms.info.get("data"), atoms.info.get("key_value_pairs")):
        if isinstance(nested, Mapping):
            frame |= nested
    frame |= {k: v for k, v in atoms.info.items() if not isinstance(v, Mapping)}
    frame |= {k: v for k, v in atoms.arrays.items() if k not in ("numbers", "positions")}
    return frame


def stale_results(atoms: Any) -> bool:
    """Say whether a structure's calculator has results for another structure."""
    results = getattr(atoms.calc, "results", None) or {}
    return any(
        results.get(key) is not None and atoms.calc.get_property(key, atoms, allow_calculation=False) is None
        for key in ("energy", "free_energy", "forces", "stress")
    )


def scalar(name: str, value: Any) -> float:
    """Return a label that is one number."""
    array = _numbers(name, value)
    if array.size != 1:
        raise ValueError(f"{name} must be one number (eV), got shape {array.shape}")
    return float(array.ravel()[0])


def per_atom(name: str, value: Any, n_atoms: int) -> FloatArray:
    """Return a label of shape (n_atoms, 3)."""
    array = _numbers(name, value)
    if array.shape != (n_atoms, 3):
        raise ValueError(f"{name} must have shape ({n_atoms}, 3) (eV/Å), got {array.shape}")
    return array


def matrix(name: str, value: Any) -> FloatArray:
    """Return a 3 x 3 label given as such, as nine numbers, or as six: xx, yy, zz, yz, xz, xy."""
    array = _numbers(name, value)
    if array.size == 6:
        full: FloatArray = array.ravel()[np.array(_FULL)]
        return full
    if array.size == 9:
        return array.reshape(3, 3)
    raise ValueError(f"{name} must be 3 x 3, or six numbers xx, yy, zz, yz, xz, xy, got shape {array.shape}")


def _numbers(name: str, value: Any) -> FloatArray:
    try:
        return np.array(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise ValueError(f"{name} must be numbers, got {value!r}") from None
