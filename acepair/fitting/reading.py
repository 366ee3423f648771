"""Reading labelled structures from files and `ase.Atoms`."""

from __future__ import annotations

import inspect
import os
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from .._types import FloatArray
from .dataset import Configuration, Dataset
from .labels import Key, Keys, frame_of, listed, matrix, partly_there, per_atom, scalar, stale_results, unused_labels
from .weights import check_weight

BadLabels = Literal["error", "skip"]
OpenVirials = Literal["ignore", "use"]

#: keys of weights that a file may give for one configuration, each a factor on the weights of its type
_WEIGHT_KEYS = {"E": "energy_weight", "F": "forces_weight", "V": "virial_weight"}
_ASYMMETRY = 1e-3  #: of a virial's largest entry, from which on it is said


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
    source : path, ase.Atoms, or a sequence of them
        Any file that ASE reads, compressed or not; of ASE's databases key-value pairs and data count, too. Datasets,
        configurations and sequences of these are taken as they are, without other options.
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
        and warned about. Atoms keep what else they hold, charges say, for the calculators of `v_ref`, but no
        constraints.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If there are no configurations, if a key is in none of them (the message lists those there are), or if a label
        has the wrong shape or is not finite.
    """
    options = {name: value for name, value in locals().items() if name != "source"}
    for name, value, known in (("bad_labels", bad_labels, BadLabels), ("open_virials", open_virials, OpenVirials)):
        if value not in known.__args__:  # type: ignore[attr-defined]
            raise ValueError(f"{name} must be one of {', '.join(known.__args__)}, got {value!r}")  # type: ignore[attr-defined]
    ready = _ready(source)
    if ready is not None:
        _refuse(options)
        return ready
    named = list(_named_atoms(source, index))
    if not named:
        raise ValueError(f"data must hold at least one configuration, got none in {_describe(source)}")
    stale = sum(stale_results(atoms) for _, atoms in named)  # before calculators notice, and forget
    frames = [frame_of(atoms) for _, atoms in named]
    asked = Keys(energy_key, forces_key, virial_key, stress_key)
    keys = asked.resolve(frames, f"; {_STALE}: {stale}" if stale else "")
    _check_there(frames, type_key=type_key, weight_key=weight_key, atom_weight_key=atom_weight_key)
    reader = _Reader(keys, type_key, weight_key, atom_weight_key, bad_labels == "skip", open_virials == "use")
    configurations = [reader.read(name, atoms, f) for (name, atoms), f in zip(named, frames, strict=True)]
    remarks = reader.remarks + unused_labels(keys, frames) + partly_there(asked, frames) + Counter({_STALE: stale})
    notes = [f"{n} {what}" for what, n in remarks.items()]
    for note in notes:
        warnings.warn(note, stacklevel=2)
    return Dataset(configurations, notes, ((kind, key) for kind, key in keys.items() if key is not None))


_STALE = "structures whose calculator has results for others, before they were moved or wrapped, say: left out"


def _ready(source: Any) -> Dataset | None:
    """Return the dataset of datasets and configurations; None for what is to be read."""
    if isinstance(source, Dataset | Configuration):
        source = [source]
    if not (isinstance(source, list | tuple) and any(isinstance(item, Dataset | Configuration) for item in source)):
        return None
    data = Dataset(())
    for item in source:
        if not isinstance(item, Dataset | Configuration):
            raise TypeError(
                f"data must be datasets and configurations, or files and ase.Atoms, got both: {type(item).__name__} "
                "beside what has been read already"
            )
        data += item if isinstance(item, Dataset) else Dataset([item])
    return data


def _refuse(options: Mapping[str, Any]) -> None:
    """Refuse options for what has been read already."""
    defaults = inspect.signature(read_dataset).parameters
    for name, value in options.items():
        if value != defaults[name].default:
            raise ValueError(f"{name} must be given when files are read: a Dataset has been read already")


def _check_there(frames: Sequence[Mapping[str, Any]], **keys: str) -> None:
    """Raise a ValueError if a key other than the usual one is in no frame."""
    defaults = inspect.signature(read_dataset).parameters
    for name, key in keys.items():
        if not isinstance(key, str):
            raise TypeError(f"{name} must be a key, got {key!r}")
        if key != defaults[name].default and not any(key in frame for frame in frames):
            raise ValueError(f"{name} {key!r} is in no configuration; the keys there are: {listed(frames)}")


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
    if not path.exists():
        raise FileNotFoundError(f"there is no file {path}")
    if path.stat().st_size == 0:
        raise ValueError(f"{path} must hold at least one configuration, got an empty file")
    try:
        found = _read_database(path, index) if path.suffix in (".db", ".json") else _read_ase(path, index)
    except MemoryError:
        raise
    except Exception as error:  # ASE's readers raise all there is
        raise ValueError(
            f"{path} must be a file of structures that ASE can read: {type(error).__name__}: {error}"
        ) from error
    for k, atoms in enumerate(found):
        yield f"configuration {k} of {path.name}", atoms


def _read_ase(path: Path, index: str | slice) -> list[Any]:
    from ase.io import read

    found = read(path, index)
    return found if isinstance(found, list) else [found]


def _read_database(path: Path, index: str | slice) -> list[Any]:
    """Return the structures of an ASE database with their key-value pairs and data, which `ase.io.read` leaves out."""
    from ase.db import connect
    from ase.io.formats import string2index

    chosen = string2index(index) if isinstance(index, str) else index
    query = chosen if isinstance(chosen, str) else None
    rows = [row.toatoms(add_additional_information=True) for row in connect(path, serial=True).select(query)]
    if query is not None:
        return rows
    return rows[chosen] if isinstance(chosen, slice) else [rows[chosen]]


@dataclass
class _Reader:
    keys: Mapping[str, str | None]
    type_key: str
    weight_key: str
    atom_weight_key: str
    skip: bool
    open_virials: bool
    remarks: Counter[str] = field(default_factory=Counter)

    def read(self, name: str, atoms: Any, frame: Mapping[str, Any]) -> Configuration:
        bare = atoms.copy()
        bare.calc, n = None, len(atoms)
        bare.set_constraint()
        for key in {k for k in self.keys.values() if k is not None} - {"numbers", "positions"}:
            bare.info.pop(key, None)
            bare.arrays.pop(key, None)
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
        self.remarks[f"labels {key!r} left out: not finite"] += 1
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
            self.remarks[f"forces {key!r} on single atoms left out: not finite"] += int(bad.sum())
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
            self.remarks["virials left out: the structure is not periodic in three directions"] += 1
            return None
        if stress is not None:
            if atoms.cell.rank < 3:
                raise ValueError(f"{self.keys['stress']} of {name} needs a cell of three vectors: give virials instead")
            virial = -atoms.get_volume() * stress
        assert virial is not None
        if np.abs(virial - virial.T).max() > _ASYMMETRY * np.abs(virial).max():
            self.remarks["virials are not symmetric: the mean with their transposes is used"] += 1
        return (virial + virial.T) / 2

    def _factors(self, name: str, frame: Mapping[str, Any]) -> dict[str, float]:
        common = frame.get(self.weight_key, 1.0)
        factors = {q: scalar(f"weight of {name}", common) * scalar(f"{key} of {name}", frame.get(key, 1.0))
                   for q, key in _WEIGHT_KEYS.items()}  # fmt: skip
        return {q: check_weight(f"weights of {name}", value) for q, value in factors.items()}


def _first_bad(value: Any) -> float:
    array = np.atleast_1d(value)
    return float(array[~np.isfinite(array)][0])
