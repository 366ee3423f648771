"""Neighbour lists on the device: columns, edges by column, and edges by the atom that is neighbour in them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from .arguments import Struct
from .backend import Backend, places_in, stable_order, to_device
from .launch import launch
from .layout import PAD, THREADS

_SEGMENT, _MOST_SEGMENTS = (
    1024,
    256,
)  # atoms whose energies one block sums, unless that makes too many blocks of a structure


class DeviceList:
    """Who is whose neighbour, as kernels/arguments.hpp describes it.

    Parameters
    ----------
    backend : Backend
    first : array of int64 (n_centres + 1,), of the device
        Edges of every centre; centres are the first rows.
    neighbor : array of int32 (n_edges,), of the device
        Rows.
    row_owner : array of int32 (n_rows,), of the device
        Atom to which a row's forces belong; that of the first n_owners rows is the row itself.
    row_shift : array of int32 (n_rows, 3), of the device
        Cell vectors between a row and its owner.
    row_species : array of int32 (n_rows,), of the device
        −1 for atoms to be ignored.
    structure_first : array of int64 (n_structures + 1,), of the host
        Owners of each structure.
    n_species : int
    """

    def __init__(
        self,
        backend: Backend,
        first: Any,
        neighbor: Any,
        row_owner: Any,
        row_shift: Any,
        row_species: Any,
        structure_first: npt.NDArray[np.int64],
        n_species: int,
    ) -> None:
        xp, self._backend = backend.xp, backend
        n_centres, self.n_rows = len(first) - 1, len(row_owner)
        self.n_owners, self.n_structures = int(structure_first[-1]), len(structure_first) - 1
        column_atom, column_species = _columns(backend, row_species[:n_centres], n_species)
        self.n_columns = len(column_atom)
        counts = xp.where(column_atom >= 0, (first[1:] - first[:-1])[column_atom], 0) if n_centres else column_atom
        column_first = xp.zeros(self.n_columns + 1, dtype=xp.int64)
        column_first[1:] = xp.cumsum(counts)
        self.n_edges = int(column_first[-1])
        starts = xp.asarray(structure_first)
        segment_first, structure_segment = _segments(structure_first)
        self.n_segments = len(segment_first) - 1
        arrays = {
            "column_atom": (column_atom, np.int32),
            "column_species": (column_species, np.int32),
            "first": (column_first, np.int64),
            "row_owner": (row_owner, np.int32),
            "row_shift": (row_shift, np.int32),
            "row_species": (row_species, np.int32),
            "row_structure": (places_in(backend, starts, row_owner, side="right") - 1, np.int32),
            "structure_first": (starts, np.int64),
            "segment_first": (segment_first, np.int64),
            "structure_segment": (structure_segment, np.int64),
        }
        self.arrays = {name: to_device(backend, array, dtype) for name, (array, dtype) in arrays.items()}
        self.arrays |= self._order_edges(to_device(backend, first, np.int64), to_device(backend, neighbor, np.int32))
        self.struct = Struct(
            backend,
            "List",
            n_columns=self.n_columns,
            n_owners=self.n_owners,
            n_rows=self.n_rows,
            n_edges=self.n_edges,
            n_structures=self.n_structures,
            n_segments=self.n_segments,
            **self.arrays,
        )

    def _order_edges(self, found_first: Any, found: Any) -> dict[str, Any]:
        """Order edges by column and species, and by the owners of their neighbours."""
        backend, xp = self._backend, self._backend.xp
        n_edges, n_owners = self.n_edges, self.n_owners
        names = ("neighbor", "centre", "incoming_centre", "incoming_neighbor")
        ordered = {name: xp.empty(max(n_edges, 1), dtype=xp.int32) for name in names}
        incoming_first = ordered["incoming_first"] = xp.zeros(n_owners + 1, dtype=xp.int64)
        ordered["incoming"], unsorted = (xp.empty(max(n_edges, 1), dtype=xp.int64) for _ in range(2))
        if not n_edges:
            return ordered
        place = xp.zeros(n_owners, dtype=xp.int64)
        ordering = Struct(
            backend,
            "Ordering",
            n_columns=self.n_columns,
            n_owners=n_owners,
            n_edges=n_edges,
            found_first=found_first,
            found=found,
            **{name: self.arrays[name] for name in ("row_species", "row_owner", "column_atom", "first")},
            **ordered,
            unsorted=unsorted,
            place=place,
        )

        launch(backend, "lists", "order_edges", self.n_columns, ordering, per_block=THREADS // 32)
        incoming_first[1:] = xp.cumsum(place)
        place[:] = incoming_first[:-1]
        launch(backend, "lists", "place_incoming", n_edges, ordering)
        launch(backend, "lists", "sort_incoming", n_owners, ordering, per_block=THREADS // 32)
        return ordered


def _columns(backend: Backend, species: Any, n_species: int) -> tuple[Any, Any]:
    """Centres sorted by species, every species filled up with −1 to whole tiles; and the species of every column."""
    xp = backend.xp
    counts = backend.to_host(xp.bincount(species + 1, minlength=n_species + 1))
    padded = -(-counts[1:] // PAD) * PAD
    offset = np.concatenate(([0], np.cumsum(padded)))
    order = stable_order(backend, species)[int(counts[0]) :]  # without ignored ones
    sorted_species = species[order].astype(xp.int64)
    shift = xp.asarray(offset[:-1] - np.concatenate(([0], np.cumsum(counts[1:])[:-1])))
    column_atom = xp.full(int(offset[-1]), -1, dtype=xp.int64)
    column_atom[xp.arange(len(order)) + shift[sorted_species]] = order
    column_species = xp.asarray(np.repeat(np.arange(n_species), padded))
    return column_atom, column_species


def _segments(structure_first: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Cut structures into segments; where each begins, and the first segment of every structure."""
    n_atoms = np.diff(structure_first)
    length = np.maximum(_SEGMENT, -(-n_atoms // _MOST_SEGMENTS))
    n_segments = -(-n_atoms // length)
    structure_segment = np.concatenate(([0], np.cumsum(n_segments)))
    segment = np.arange(structure_segment[-1])
    structure = np.searchsorted(structure_segment, segment, side="right") - 1
    begin = structure_first[structure] + (segment - structure_segment[structure]) * length[structure]
    return np.append(begin, structure_first[-1]), structure_segment
