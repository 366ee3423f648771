"""Configurations with their labels."""

from __future__ import annotations

import operator
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, overload

import numpy as np
import numpy.typing as npt

from .._types import FloatArray
from .weights import QUANTITIES, check_weight


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
    """Configurations in order; slices, and choices by lists or arrays of indices or of bools, are datasets too.

    Attributes
    ----------
    notes : tuple of str
        What was left out in reading.
    keys : tuple of (str, str)
        Kinds of labels and the keys they were read from.
    """

    def __init__(
        self, configurations: Iterable[Configuration], notes: Iterable[str] = (), keys: Iterable[tuple[str, str]] = ()
    ) -> None:
        self._configurations = tuple(configurations)
        self.notes, self.keys = tuple(notes), tuple(keys)

    @overload
    def __getitem__(self, index: int) -> Configuration: ...
    @overload
    def __getitem__(self, index: slice | Sequence[int] | Sequence[bool] | npt.NDArray[Any]) -> Dataset: ...
    def __getitem__(self, index: Any) -> Configuration | Dataset:
        if isinstance(index, slice):
            return self._with(self._configurations[index])
        if isinstance(index, list | tuple | range | np.ndarray) and np.ndim(index):
            return self._with(self._configurations[k] for k in _chosen(index, len(self)))
        return self._configurations[operator.index(index)]

    def __len__(self) -> int:
        return len(self._configurations)

    def __iter__(self) -> Iterator[Configuration]:
        return iter(self._configurations)

    def __add__(self, other: Dataset) -> Dataset:
        return Dataset(
            (*self, *other), dict.fromkeys((*self.notes, *other.notes)), dict.fromkeys((*self.keys, *other.keys))
        )

    def _with(self, configurations: Iterable[Configuration]) -> Dataset:
        return Dataset(configurations, self.notes, self.keys)

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
        """Return the configurations of the given types; case does not matter.

        Raises
        ------
        ValueError
            If there are none of a type.
        """
        there = {t.lower() for t in self.types}
        for t in types:
            if t.lower() not in there:
                raise ValueError(f"type must be one of {', '.join(map(repr, self.types)) or 'none'}, got {t!r}")
        wanted = {t.lower() for t in types}
        return self._with(c for c in self if c.config_type.lower() in wanted)

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
        return self._with(new)


def _chosen(index: Any, n: int) -> list[int]:
    """Return indices given as such or as a mask."""
    array = np.asarray(index)
    if array.dtype == bool and array.shape == (n,):
        return [int(k) for k in np.flatnonzero(array)]
    if array.ndim == 1 and (np.issubdtype(array.dtype, np.integer) or not array.size):
        return [int(k) for k in array]
    raise IndexError(f"index must be integers, or a bool for each of {n} configurations, got {index!r}")
