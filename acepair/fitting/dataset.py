"""Configurations with their labels: read, checked, sliced."""

from __future__ import annotations

import os
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, overload

import numpy as np

from .._types import FloatArray
from .labels import Key, Keys, frame_of, matrix, per_atom, scalar, unused_labels
from .weights import QUANTITIES, check_weight

BadLabels = Literal["error", "skip"]
OpenVirials = Literal["ignore", "use"]

#: keys of weights that a file may give for one configuration, each a factor on the weights of its type
_WEIGHT_KEYS = {"E": "energy_weight", "F": "forces_weight", "V": "virial_weight"}


@dataclass(frozen=True, eq=False)
class Configuration:
    """One structure and its labels; None where it has none."""

    atoms: Any  #: ase.Atoms without calculator
    config_type: str
    name: str  #: where it is from, for messages
    energy: float | None = None  #: eV
    forces: FloatArray | None = None  #: (n_atoms, 3) eV/Å
    virial: FloatArray | None = None  #: (3, 3) eV, −dE/dε for a strain ε
    factors: Mapping[str, float] = field(default_factory=lambda: dict.fromkeys(QUANTITIES, 1.0))  #: on E, F, V weights
    atom_factors: FloatArray | None = None  #: (n_atoms,) on the weights of forces

    def __len__(self) -> int:
        return len(self.atoms)

    def __repr__(self) -> str:
        labels = [n for n in ("energy", "forces", "virial") if getattr(self, n) is not None]
        return f"Configuration({self.atoms.symbols}, {self.config_type!r}: {', '.join(labels) or 'no labels'})"


class Dataset(Sequence[Configuration]):
    """Configurations in order; slices are datasets too.

    Attributes
    ----------
    notes : tuple of str
        What was left out in reading.
    """

    def __init__(self, configurations: Iterable[Configuration], notes: Iterable[str] = ()) -> None:
        self._configurations = tuple(configurations)
        self.notes = tuple(notes)

    @overload
    def __getitem__(self, index: int) -> Configuration: ...
    @overload
    def __getitem__(self, index: slice) -> Dataset: ...
    def __getitem__(self, index: int | slice) -> Configuration | Dataset:
        chosen = self._configurations[index]
        return Dataset(chosen, self.notes) if isinstance(chosen, tuple) else chosen

    def __len__(self) -> int:
        return len(self._configurations)

    def __iter__(self) -> Iterator[Configuration]:
        return iter(self._configurations)

    def __add__(self, other: Dataset) -> Dataset:
        return Dataset((*self, *other), dict.fromkeys((*self.notes, *other.notes)))

    def __repr__(self) -> str:
        counts = ", ".join(f"{t or 'no type'}: {n}" for t, n in self.types.items())
        return f"Dataset({len(self)} configurations, {self.n_atoms} atoms; {counts})"

    @property
    def n_atoms(self) -> int:
        """Number of atoms in all."""
        return sum(len(c) for c in self)

    @property
    def types(self) -> dict[str, int]:
        """Number of configurations of each type, in order of appearance."""
        return dict(Counter(c.config_type for c in self))

    @property
    def elements(self) -> tuple[str, ...]:
        """Symbols of the elements there are, by atomic number."""
        from ase.data import chemical_symbols

        numbers = sorted({int(z) for c in self for z in np.unique(c.atoms.numbers)})
        return tuple(chemical_symbols[z] for z in numbers)

    def of_type(self, *types: str) -> Dataset:
        """Return the configurations of the given types; case does not matter."""
        wanted = {t.lower() for t in types}
        return Dataset((c for c in self if c.config_type.lower() in wanted), self.notes)

    def with_factors(self, factors: Sequence[Mapping[str, float]] | Sequence[float]) -> Dataset:
        """Return a copy with a factor on the weights of every configuration, one number or one for each of E, F, V.

        Raises
        ------
        ValueError
            If there is not one per configuration, or if one is negative, not finite, or for something else.
        """
        if len(factors) != len(self):
            raise ValueError(f"factors must be one per configuration, got {len(factors)} for {len(self)}")
        new = []
        for c, f in zip(self, factors, strict=True):
            given: Mapping[str, Any] = f if isinstance(f, Mapping) else dict.fromkeys(QUANTITIES, f)
            for q in given:
                if q not in QUANTITIES:
                    raise ValueError(f"factors of {c.name} must be for E, F or V, got {q!r}")
            checked = {q: check_weight(f"factor {q} of {c.name}", given.get(q, 1.0)) for q in QUANTITIES}
            new.append(replace(c, factors={q: c.factors[q] * checked[q] for q in QUANTITIES}))
        return Dataset(new, self.notes)


def read_dataset(
    source: Any,
    *,
    energy_key: Key = None,
    forces_key: Key = None,
    virial_key: Key = None,
    stress_key: Key = None,
    type_key: str = "config_type",
    weight_key: str = "config_weight",
    atom_weight_key: str = "atom_weight",
    index: str | slice = ":",
    bad_labels: BadLabels = "error",
    open_virials: OpenVirials = "ignore",
) -> Dataset:
    """Read structures with energies, forces and virials.

    Parameters
    ----------
    source : path, ase.Atoms, Dataset, or a sequence of them
        Any file that ASE reads, compressed or not.
    energy_key, forces_key, virial_key, stress_key : str, None or False
        Where the labels stand, in eV, eV/Å, eV and eV/Å³: in info, in arrays, or among the results of a calculator, to
        which ASE moves `energy`, `forces` and `stress` in reading. None: the usual keys, `REF_energy` before `energy`
        and so on; False: not used. Virials are −dE/dε for a strain ε, stresses ASE's: virial = −volume · stress; either
        as 3 x 3, nine numbers, or six in the order xx, yy, zz, yz, xz, xy. A virial is preferred to a stress.
    type_key : str
        Info key of the configuration type; "" is the type of those without.
    weight_key, atom_weight_key : str
        Info key of a factor on all weights of a configuration, array key of factors on the weights of its forces.
        `energy_weight`, `forces_weight` and `virial_weight` in info are factors on one of them.
    index : str or slice
        Which of a file's structures.
    bad_labels : "error" or "skip"
        What to do about labels that are not finite: with "skip" they count as missing, and forces atom by atom.
    open_virials : "ignore" or "use"
        What to do about virials of structures that are not periodic in three directions, which are often placeholders.

    Returns
    -------
    Dataset
        Labels may be missing in some configurations; one key of each kind serves all. What was left out is in `notes`,
        and warned about.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If there are no configurations, if a key is in none of them (the message lists those there are), or if a label
        has the wrong shape or is not finite.
    """
    for name, value, known in (("bad_labels", bad_labels, BadLabels), ("open_virials", open_virials, OpenVirials)):
        if value not in known.__args__:  # type: ignore[attr-defined]
            raise ValueError(f"{name} must be one of {', '.join(known.__args__)}, got {value!r}")  # type: ignore[attr-defined]
    if isinstance(source, Dataset):
        return source
    named = list(_named_atoms(source, index))
    if not named:
        raise ValueError(f"data must hold at least one configuration, got none in {_describe(source)}")
    frames = [frame_of(atoms) for _, atoms in named]
    keys = Keys(energy_key, forces_key, virial_key, stress_key).resolve(frames)
    reader = _Reader(keys, type_key, weight_key, atom_weight_key, bad_labels == "skip", open_virials == "use")
    configurations = [reader.read(name, atoms, f) for (name, atoms), f in zip(named, frames, strict=True)]
    notes = [f"{n} {what}" for what, n in [*reader.left_out.items(), *unused_labels(keys, frames).items()]]
    for note in notes:
        warnings.warn(note, stacklevel=2)
    return Dataset(configurations, notes)


def as_dataset(data: Any) -> Dataset:
    """Return a dataset, read with the usual keys if it is something else."""
    return data if isinstance(data, Dataset) else read_dataset(data)


def _describe(source: Any) -> str:
    return f"{str(source)!r}" if isinstance(source, str | os.PathLike) else f"a {type(source).__name__}"


def _named_atoms(source: Any, index: str | slice) -> Iterator[tuple[str, Any]]:
    """Iterate over structures and where they are from."""
    if isinstance(source, str | os.PathLike):
        yield from _read_file(Path(source), index)
    elif hasattr(source, "positions") and hasattr(source, "numbers"):
        yield "configuration", source
    elif isinstance(source, Iterable):
        for k, item in enumerate(source):
            if hasattr(item, "positions"):
                yield f"configuration {k}", item
            elif isinstance(item, str | os.PathLike):
                yield from _read_file(Path(item), index)
            else:
                raise TypeError(f"data must be files or ase.Atoms, got {type(item).__name__}")
    else:
        raise TypeError(f"data must be a file, ase.Atoms or a sequence of them, got {type(source).__name__}")


def _read_file(path: Path, index: str | slice) -> Iterator[tuple[str, Any]]:
    from ase.io import read

    if path.stat().st_size == 0:
        raise ValueError(f"{path} must hold at least one configuration, got an empty file")
    try:
        found = read(path, index)
    except (ValueError, KeyError, IndexError, StopIteration, OSError) as error:
        raise ValueError(f"{path} must be a file of structures that ASE can read: {error}") from error
    for k, atoms in enumerate(found if isinstance(found, list) else [found]):
        yield f"configuration {k} of {path.name}", atoms


@dataclass
class _Reader:
    keys: Mapping[str, str | None]
    type_key: str
    weight_key: str
    atom_weight_key: str
    skip: bool
    open_virials: bool
    left_out: Counter[str] = field(default_factory=Counter)

    def read(self, name: str, atoms: Any, frame: Mapping[str, Any]) -> Configuration:
        bare = atoms.copy()
        bare.calc = None
        bare.info, n = {}, len(atoms)
        for key in set(bare.arrays) - {"numbers", "positions"}:
            del bare.arrays[key]
        energy = self._label("energy", frame, lambda label, v: scalar(label, v), name)
        forces, atom_factors = self._forces(name, frame, n)
        return Configuration(
            atoms=bare,
            config_type=str(frame.get(self.type_key, "")),
            name=name,
            energy=energy,
            forces=forces,
            virial=self._virial(name, atoms, frame),
            factors=self._factors(name, frame),
            atom_factors=atom_factors,
        )

    def _label(self, kind: str, frame: Mapping[str, Any], convert: Any, name: str) -> Any:
        key = self.keys[kind]
        if key is None or frame.get(key) is None:
            return None
        value = convert(f"{key} of {name}", frame[key])
        if np.isfinite(value).all():
            return value
        if not self.skip:
            raise ValueError(
                f"{key} of {name} must be finite, got {_first_bad(value)}; bad_labels='skip' leaves it out"
            )
        self.left_out[f"labels {key!r} left out: not finite"] += 1
        return None

    def _forces(self, name: str, frame: Mapping[str, Any], n: int) -> tuple[FloatArray | None, FloatArray | None]:
        key = self.keys["forces"]
        factors = None
        if self.atom_weight_key in frame:
            factors = np.asarray(frame[self.atom_weight_key], dtype=np.float64).reshape(-1)
            if factors.shape != (n,) or not np.isfinite(factors).all() or (factors < 0).any():
                raise ValueError(f"{self.atom_weight_key} of {name} must be {n} numbers, finite and not negative")
        if key is None or frame.get(key) is None:
            return None, factors
        forces = per_atom(f"{key} of {name}", frame[key], n)
        bad = ~np.isfinite(forces).all(axis=1)
        if bad.any():
            if not self.skip:
                atom = int(np.flatnonzero(bad)[0])
                raise ValueError(
                    f"{key} of {name} must be finite, got {forces[atom].tolist()} for atom {atom}; "
                    "bad_labels='skip' leaves it out"
                )
            self.left_out[f"forces {key!r} on single atoms left out: not finite"] += int(bad.sum())
            if bad.all():
                return None, factors
            forces[bad] = 0
            factors = np.where(bad, 0, 1 if factors is None else factors)
        return forces, factors

    def _virial(self, name: str, atoms: Any, frame: Mapping[str, Any]) -> FloatArray | None:
        virial: FloatArray | None = self._label("virial", frame, matrix, name)
        stress: FloatArray | None = self._label("stress", frame, matrix, name) if virial is None else None
        if virial is None and stress is None:
            return None
        if not (atoms.pbc.all() or self.open_virials):
            self.left_out["virials left out: the structure is not periodic in three directions"] += 1
            return None
        if stress is not None:
            if atoms.cell.rank < 3:
                raise ValueError(f"{self.keys['stress']} of {name} needs a cell of three vectors: give virials instead")
            virial = -atoms.get_volume() * stress
        assert virial is not None
        return (virial + virial.T) / 2

    def _factors(self, name: str, frame: Mapping[str, Any]) -> dict[str, float]:
        common = frame.get(self.weight_key, 1.0)
        factors = {q: scalar(f"weight of {name}", common) * scalar(f"{key} of {name}", frame.get(key, 1.0))
                   for q, key in _WEIGHT_KEYS.items()}  # fmt: skip
        return {q: check_weight(f"weights of {name}", value) for q, value in factors.items()}


def _first_bad(value: Any) -> float:
    array = np.atleast_1d(value)
    return float(array[~np.isfinite(array)][0])
