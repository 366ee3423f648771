"""`ase.Atoms` to validated arrays and species indices; every complaint about a structure is raised here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, NoReturn

import numpy as np
import numpy.typing as npt

from . import _joined, _neighbors
from ._types import Elements, FloatArray, IntArray
from .elements import numbers_of, parse_elements

MIN_DISTANCE = 1e-6  #: Å; two atoms closer than this are at the same place
MIN_INDEPENDENCE = 1e-10  # of periodic vectors; rounding leaves about 1e-16 of a truly singular cell
_FLOAT, _INT, _BOOL = np.dtype(np.float64), np.dtype(np.int64), np.dtype(np.bool_)
_CONVERTED_KINDS = {_FLOAT: "fiu", _INT: "iu", _BOOL: "biu"}
_MAX_NUMBER = 255  # above any atomic number, so that the table of species stays small


class Structure(NamedTuple):
    """A structure as the engines read it: C-contiguous arrays, checked."""

    positions: FloatArray  #: (n_atoms, 3) Å
    cell: FloatArray  #: (3, 3) vectors in rows, Å; what stands in a non-periodic row has no meaning
    pbc: npt.NDArray[np.bool_]  #: (3,)
    numbers: IntArray  #: (n_atoms,) atomic numbers
    species: npt.NDArray[np.int32]  #: (n_atoms,) index into the elements of the model


class Structures(NamedTuple):
    """Structures one after the other, as the engines read them: C-contiguous arrays, checked."""

    positions: FloatArray  #: (n_atoms, 3) Å, n_atoms of all
    first: IntArray  #: (n_structures + 1,) where the atoms of each begin
    cells: FloatArray  #: (n_structures, 3, 3) as those of a Structure
    pbc: npt.NDArray[np.bool_]  #: (n_structures, 3)
    numbers: IntArray  #: (n_atoms,)
    species: npt.NDArray[np.int32]  #: (n_atoms,)

    def structure(self, k: int) -> Structure:
        """Return structure k: views."""
        atoms = slice(self.first[k], self.first[k + 1])
        return Structure(self.positions[atoms], self.cells[k], self.pbc[k], self.numbers[atoms], self.species[atoms])


class SpeciesTable:
    """Species indices of a model's elements, looked up by atomic number.

    Parameters
    ----------
    elements : str, int or sequence of them
        Chemical symbols or atomic numbers in the model's order.
    """

    def __init__(self, elements: Elements) -> None:
        self.elements = parse_elements(elements)
        self.numbers = numbers_of(self.elements)
        #: species index by atomic number, −1 for other elements
        self.index = np.full(_MAX_NUMBER + 1, -1, dtype=np.int32)
        self.index[self.numbers] = np.arange(len(self.elements), dtype=np.int32)

    def species(self, numbers: IntArray) -> npt.NDArray[np.int32]:
        """Return the species index of every atomic number of an (n_atoms,) array.

        Raises
        ------
        ValueError
            If there are others than the model's elements; it lists them and the atoms that have them.
        """
        species = np.empty(len(numbers), dtype=np.int32)
        if not _neighbors.species_of(numbers, self.index, species):
            self._refuse(numbers, species)
        return species

    def _refuse(self, numbers: IntArray, species: npt.NDArray[np.int32]) -> NoReturn:
        unknown = [_describe(z, np.flatnonzero(numbers == z)) for z in np.unique(numbers[species < 0]).tolist()]
        raise ValueError(f"model covers {', '.join(self.elements)}; the structure also has {', '.join(unknown)}")


def read_structure(atoms: Any, table: SpeciesTable) -> Structure:
    """Return the arrays of a structure, checked.

    Parameters
    ----------
    atoms : ase.Atoms
        Or any object with `positions`, `cell`, `pbc` and `numbers` like it.
    table : SpeciesTable
        The elements of the model.

    Returns
    -------
    Structure
        Arrays that may share memory with `atoms`.

    Raises
    ------
    TypeError
        If `atoms` is something else.
    ValueError
        For wrong shapes, values that are not finite, a cell that is singular along its periodic axes, elements that the
        model does not cover.
    """
    try:
        arrays = atoms.positions, atoms.cell, atoms.pbc, atoms.numbers
    except AttributeError:
        raise TypeError(f"atoms must be an ase.Atoms, got {type(atoms).__name__}") from None
    positions, cell, pbc, numbers = check_arrays(*arrays)
    return Structure(positions, cell, pbc, numbers, table.species(numbers))


def read_structures(structures: Sequence[Any], table: SpeciesTable, numbered_from: int = 0) -> Structures:
    """Return the arrays of structures, checked.

    Parameters
    ----------
    structures : sequence of ase.Atoms
    table : SpeciesTable
        The elements of the model.
    numbered_from : int
        Index of the first structure in messages.

    Returns
    -------
    Structures
        Arrays of their own.

    Raises
    ------
    ValueError, TypeError
        As `read_structure`, with the index of the structure.
    """
    joined = _join(structures)
    if joined is not None:
        positions, first, cells, pbc, numbers = joined
        sound = _neighbors.first_not_finite(positions) < 0
        if sound and _joined.first_unsound_cell(cells, pbc, MIN_INDEPENDENCE) < 0:
            species = np.empty(len(numbers), np.int32)
            if _neighbors.species_of(numbers, table.index, species):
                return Structures(positions, first, cells, pbc, numbers, species)
    return _read_one_by_one(structures, table, numbered_from)


def _join(
    structures: Sequence[Any],
) -> tuple[FloatArray, IntArray, FloatArray, npt.NDArray[np.bool_], IntArray] | None:
    """Return positions, first, cells, pbc and numbers if they are as in ase.Atoms."""
    try:
        lengths = [len(atoms.positions) for atoms in structures]
        if lengths != [len(atoms.numbers) for atoms in structures]:
            return None
        positions = np.concatenate([atoms.positions for atoms in structures])
        cells = np.concatenate([atoms.cell.array for atoms in structures])
        pbc = np.concatenate([atoms.pbc for atoms in structures])
        numbers = np.concatenate([atoms.numbers for atoms in structures])
    except (ValueError, TypeError, AttributeError):
        return None
    n, n_atoms = len(structures), sum(lengths)
    shapes = [array.shape for array in (positions, cells, pbc, numbers)]
    dtypes = [array.dtype for array in (positions, cells, pbc, numbers)]
    if shapes != [(n_atoms, 3), (3 * n, 3), (3 * n,), (n_atoms,)] or dtypes != [_FLOAT, _FLOAT, _BOOL, _INT]:
        return None
    first = np.zeros(n + 1, np.int64)
    np.cumsum(lengths, out=first[1:])
    return positions, first, cells.reshape(n, 3, 3), pbc.reshape(n, 3), numbers


def _read_one_by_one(structures: Sequence[Any], table: SpeciesTable, numbered_from: int) -> Structures:
    read = []
    for k, atoms in enumerate(structures, start=numbered_from):
        with naming_structure(k):
            read.append(read_structure(atoms, table))
    first = np.zeros(len(read) + 1, np.int64)
    np.cumsum([len(one.positions) for one in read], out=first[1:])
    return Structures(
        np.concatenate([one.positions for one in read]),
        first,
        np.stack([one.cell for one in read]),
        np.stack([one.pbc for one in read]),
        np.concatenate([one.numbers for one in read]),
        np.concatenate([one.species for one in read]),
    )


@contextmanager
def naming_structure(k: int) -> Iterator[None]:
    """Put the index of a structure before the messages of errors."""
    try:
        yield
    except (ValueError, TypeError) as error:
        raise type(error)(f"structure {k}: {error}") from error


def check_arrays(
    positions: npt.ArrayLike, cell: npt.ArrayLike, pbc: npt.ArrayLike, numbers: npt.ArrayLike
) -> tuple[FloatArray, FloatArray, npt.NDArray[np.bool_], IntArray]:
    """Return positions (n_atoms, 3), cell (3, 3), pbc (3,) and numbers (n_atoms,) as C arrays, checked.

    Raises
    ------
    ValueError
        As `read_structure`, apart from the elements.
    """
    x = _as_array("positions", positions, _FLOAT, (-1, 3))
    h = _as_array("cell", getattr(cell, "array", cell), _FLOAT, (3, 3))
    periodic = _as_array("pbc", pbc, _BOOL, (3,))
    z = _as_array("numbers", numbers, _INT, (-1,))
    if len(z) != len(x):
        raise ValueError(f"numbers must have one entry per position, got {len(z)} for {len(x)} positions")
    if not _neighbors.is_sound(x, h, periodic, MIN_INDEPENDENCE):
        _refuse(x, h, periodic)
    return x, h, periodic, z


def refuse_coincident(i: int, j: int, distance: float) -> NoReturn:
    """Raise the ValueError for two atoms at the same place.

    Parameters
    ----------
    i, j : int
        Indices of the atoms; the same for an atom and its own periodic image.
    distance : float
        Between them, Å.
    """
    pair = f"atoms {i} and {j}" if i != j else f"atom {i} and its own periodic image"
    raise ValueError(f"atoms must be at least {MIN_DISTANCE:g} Å apart, got {distance:.3g} Å for {pair}")


def _as_array(name: str, values: npt.ArrayLike, dtype: np.dtype[Any], shape: tuple[int, ...]) -> npt.NDArray[Any]:
    """Return `values` as a C array of the shape, where −1 stands for any length."""
    array = values if isinstance(values, np.ndarray) else _to_numpy(name, values)
    if array.ndim != len(shape) or array.shape[1:] != shape[1:] or shape[0] not in (-1, len(array)):
        wanted = ", ".join("n_atoms" if n < 0 else str(n) for n in shape) + ("," if len(shape) == 1 else "")
        raise ValueError(f"{name} must have shape ({wanted}), got {array.shape}")
    if array.dtype is not dtype and array.size and array.dtype.kind not in _CONVERTED_KINDS[dtype]:
        raise TypeError(f"{name} must be {dtype.name}, got an array of {array.dtype.name}")
    return np.ascontiguousarray(array, dtype)


def _to_numpy(name: str, values: npt.ArrayLike) -> npt.NDArray[Any]:
    try:
        return np.asarray(values)
    except ValueError:  # rows of different lengths
        raise ValueError(f"{name} must be an array of numbers, got {values!r}") from None


def _refuse(positions: FloatArray, cell: FloatArray, pbc: npt.NDArray[np.bool_]) -> NoReturn:
    """Say what is wrong with a structure that is not sound."""
    atom, vector = _neighbors.first_not_finite(positions), _neighbors.first_not_finite(cell)
    if atom >= 0:
        raise ValueError(f"positions must be finite (Å), got {positions[atom].tolist()} for atom {atom}")
    if vector >= 0:
        raise ValueError(f"cell must be finite (Å), got {cell[vector].tolist()} for vector {vector}")
    for k in np.flatnonzero(pbc):
        if not cell[k].any():
            raise ValueError(f"cell vectors of periodic axes must not be zero, got zero for vector {k}")
    raise ValueError(f"cell must not be singular along its periodic axes {pbc.tolist()}, got {cell.tolist()}")


def _describe(number: int, atoms: Iterable[int], shown: int = 2) -> str:
    """Return "Al (atoms 3, 17, ... 5 in all)"."""
    from ase.data import chemical_symbols

    indices = [str(i) for i in atoms]
    name = chemical_symbols[number] if 0 <= number < len(chemical_symbols) else f"atomic number {number}"
    if len(indices) <= shown + 1:
        return f"{name} (atom{'s' if len(indices) > 1 else ''} {', '.join(indices)})"
    return f"{name} (atoms {', '.join(indices[:shown])}, ... {len(indices)} in all)"
