"""Neighbour lists: when to search (`NeighborCache`) and what was found (`NeighborList`)."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from . import _neighbors
from ._types import BoolArray, FloatArray, Int32Array, IntArray
from .search import search_pairs
from .structure import MIN_DISTANCE, check_arrays


class Edges(NamedTuple):
    """Pairs (i, j, S) of neighbours, sorted in that order."""

    i: IntArray  #: (n_edges,) centre
    j: IntArray  #: (n_edges,) neighbour
    S: Int32Array  #: (n_edges, 3) shift of the neighbour in cell vectors
    D: FloatArray  #: (n_edges, 3) r_j + S·cell − r_i, Å
    d: FloatArray  #: (n_edges,) |D|, Å


class NeighborList:
    """Neighbours of every atom in compressed rows, and the periodic images they are.

    Neighbours are indices into the atoms followed by their images; image k is atom `image_owner[k]` displaced by
    `image_shift[k] @ cell`. The list depends on the structure it was made for only through which pairs it holds:
    positions and cell are given anew wherever they are needed. A list from elsewhere, as LAMMPS's with its ghost atoms
    for images, is made by this constructor. The arrays are read-only.

    Parameters
    ----------
    first : array of int64 (n_atoms + 1,)
        Where the neighbours of each atom begin in `neighbor`.
    neighbor : array of int32 (n_edges,)
        Those of one atom sorted by (j, S), j being the owner of an image and S its shift; 0 for the atoms themselves.
    image_owner : array of int32 (n_images,)
    image_shift : array of int32 (n_images, 3)

    Raises
    ------
    ValueError
        If the arrays do not fit one another.
    """

    __slots__ = ("centres", "first", "image_owner", "image_shift", "max_neighbors", "neighbor")

    first: IntArray
    neighbor: Int32Array
    image_owner: Int32Array
    image_shift: Int32Array
    centres: Int32Array  #: (n_atoms,) 0, 1, ...: every atom, as kernels take their centres
    max_neighbors: int  #: greatest number of neighbours of an atom

    def __init__(self, first: IntArray, neighbor: Int32Array, image_owner: Int32Array, image_shift: Int32Array) -> None:
        self.first = _frozen("first", first, np.int64)
        self.neighbor = _frozen("neighbor", neighbor, np.int32)
        self.image_owner = _frozen("image_owner", image_owner, np.int32)
        self.image_shift = _frozen("image_shift", image_shift, np.int32)
        if self.image_shift.shape != (len(self.image_owner), 3):
            raise ValueError(f"image_shift must be ({len(self.image_owner)}, 3), got {self.image_shift.shape}")
        if len(self.first) == 0:
            raise ValueError("first must have n_atoms + 1 entries, got none")
        self.max_neighbors = _neighbors.check_csr(self.first, self.neighbor, self.image_owner)
        if self.max_neighbors < 0:
            raise ValueError(
                "first must ascend from 0 to the length of neighbor, neighbor lie within atoms and images, and "
                f"image_owner within atoms, got {len(self.first) - 1} atoms, {len(self.image_owner)} images and "
                f"{len(self.neighbor)} neighbours"
            )
        self.centres = _frozen("centres", np.arange(self.n_atoms, dtype=np.int32), np.int32)

    @property
    def n_atoms(self) -> int:
        """Number of atoms."""
        return len(self.first) - 1

    @property
    def n_images(self) -> int:
        """Number of periodic images that are somebody's neighbours."""
        return len(self.image_owner)

    @property
    def n_edges(self) -> int:
        """Number of pairs, each counted from both of its atoms."""
        return len(self.neighbor)

    @property
    def owner(self) -> Int32Array:
        """Atom that every index of `neighbor` stands for, (n_atoms + n_images,)."""
        return np.concatenate((np.arange(self.n_atoms, dtype=np.int32), self.image_owner))

    def pack(
        self, positions: FloatArray, cell: FloatArray, species: Int32Array, out: FloatArray | None = None
    ) -> FloatArray:
        """Return x, y, z (Å) relative to the first atom and species of the atoms, then of the images.

        Parameters
        ----------
        positions : array of float64 (n_atoms, 3)
            Å.
        cell : array of float64 (3, 3)
            Å.
        species : array of int32 (n_atoms,)
        out : array of float64 (n_atoms + n_images, 4), optional
            Result of an earlier call, to be filled again; ignored if its shape does not fit.

        Returns
        -------
        array of float64 (n_atoms + n_images, 4)
            Aligned to 64 bytes.
        """
        self._check(positions, cell)
        if len(species) != self.n_atoms:
            raise ValueError(f"species must have {self.n_atoms} entries, one per atom, got {len(species)}")
        shape = (self.n_atoms + self.n_images, 4)
        packed = out if out is not None and out.shape == shape else aligned_empty(shape)
        _neighbors.pack(positions, cell, species, self.image_owner, self.image_shift, packed)
        return packed

    def fold(self, extended: FloatArray) -> FloatArray:
        """Return what images have added to what their owners have, always in the same order.

        Parameters
        ----------
        extended : array of float64 (n_atoms + n_images, m)
            Forces, say, on atoms and images.

        Returns
        -------
        array of float64 (n_atoms, m)
        """
        if extended.ndim != 2 or len(extended) != self.n_atoms + self.n_images:
            raise ValueError(
                f"extended must have {self.n_atoms + self.n_images} rows, one per atom and image, got {extended.shape}"
            )
        folded = np.empty((self.n_atoms, extended.shape[1]))
        _neighbors.fold(extended, self.image_owner, folded)
        return folded

    def edges(
        self,
        positions: FloatArray,
        cell: FloatArray,
        rcut: float | FloatArray,
        species: Int32Array | None = None,
    ) -> Edges:
        """Return the pairs closer than `rcut`, exactly: d < rcut.

        Parameters
        ----------
        positions : array of float64 (n_atoms, 3)
            Å.
        cell : array of float64 (3, 3)
            Å.
        rcut : float or array of float64 (n_species, n_species)
            Å; an array is indexed by the species of centre and neighbour. No more than the list was made for.
        species : array of int32 (n_atoms,), optional
            Needed for an array.
        """
        cutoffs = np.ascontiguousarray(np.atleast_2d(rcut), dtype=np.float64)
        if np.ndim(rcut) == 0:
            species = np.zeros(self.n_atoms, np.int32)
        elif species is None:
            raise ValueError("species must be given where rcut is an array")
        elif cutoffs.shape[0] != cutoffs.shape[1]:
            raise ValueError(f"rcut must be a number or (n_species, n_species), got {cutoffs.shape}")
        elif len(species) and not 0 <= species.min() <= species.max() < len(cutoffs):
            raise ValueError(f"species must lie in 0..{len(cutoffs) - 1}, got {species.min()}..{species.max()}")
        packed = self.pack(np.ascontiguousarray(positions), np.ascontiguousarray(cell), species)
        n = _neighbors.count_edges(self.first, self.neighbor, packed, cutoffs)
        edges = Edges(
            np.empty(n, np.int64), np.empty(n, np.int64), np.empty((n, 3), np.int32), np.empty((n, 3)), np.empty(n)
        )
        _neighbors.fill_edges(self.first, self.neighbor, self.image_owner, self.image_shift, packed, cutoffs, *edges)
        return edges

    def _check(self, positions: FloatArray, cell: FloatArray) -> None:
        if positions.shape != (self.n_atoms, 3):
            raise ValueError(f"positions must have shape ({self.n_atoms}, 3), got {positions.shape}")
        if cell.shape != (3, 3):
            raise ValueError(f"cell must have shape (3, 3), got {cell.shape}")


class NeighborCache:
    """Neighbour lists of a structure that moves: searched at `rcut + skin`, and reused while they hold all pairs.

    Let a list have been made for positions x0 and cell h0 and be asked for at x and h. Let F be the strain that takes
    the periodic vectors of h0 to those of h and leaves alone what is orthogonal to them (F = h0⁻¹h if all are
    periodic), and u = x − x0 F the motion that remains. A pair's vector D0 = x0_j − x0_i + S h0 has become

        D = x_j − x_i + S h = D0 F + u_j − u_i ,  so that  |D| ≥ σ_min(F) |D0| − 2 max|u| .

    A pair not in the list has |D0| ≥ rcut + skin. Hence as long as σ_min(F) (rcut + skin) − 2 max|u| ≥ rcut, it is
    no closer than rcut, and nothing is missing. S has no entries along non-periodic axes, so neither the proof nor the
    list depends on the cell vectors there. Rounding is covered by a search radius a little above `rcut + skin`.
    Atoms wrapped back into the cell move by a cell vector: the list is made anew. So it is when the volume has grown by
    more than the skin does: the list would hold all pairs, but many too far apart.

    Parameters
    ----------
    rcut : float
        Largest cutoff of all components, Å.
    skin : float
        Å; 0 reuses a list only for the same positions and cell.
    threads : int
        For the search.

    Attributes
    ----------
    n_rebuilds, n_reuses : int
        How often `update` made a list and returned the last one.
    """

    def __init__(self, rcut: float, skin: float = 1.0, threads: int = 1) -> None:
        if not MIN_DISTANCE < rcut < math.inf:
            raise ValueError(f"rcut must be finite and above {MIN_DISTANCE:g} Å, got {rcut}")
        try:
            within = 0 <= skin < math.inf
        except TypeError:
            raise TypeError(f"skin must be a number (Å), got {skin!r}") from None
        if not within:
            raise ValueError(f"skin must be finite and not negative (Å), got {skin}")
        if threads < 1:
            raise ValueError(f"threads must be at least 1, got {threads}")
        self.rcut, self.skin, self.threads = float(rcut), float(skin), threads
        self.n_rebuilds = self.n_reuses = 0
        self._made_for: _neighbors.Reference | None = None
        self._list: NeighborList | None = None

    def update(
        self, positions: npt.ArrayLike, cell: npt.ArrayLike, pbc: npt.ArrayLike, numbers: npt.ArrayLike
    ) -> NeighborList:
        """Return a list that holds all pairs closer than `rcut`, and usually others.

        Parameters
        ----------
        positions : array of float64 (n_atoms, 3)
            Å.
        cell : array of float64 (3, 3)
            Å.
        pbc : array of bool (3,)
        numbers : array of int64 (n_atoms,)
            Atomic numbers, or any other labels of species.

        Raises
        ------
        ValueError
            For arrays that `acepair.structure.check_arrays` refuses.
        """
        x, h, periodic, z = check_arrays(positions, cell, pbc, numbers)
        if self._list is not None and self._made_for is not None:
            if self._made_for.covers(x, h, periodic, z, self.rcut, self.skin):
                self.n_reuses += 1
                return self._list
        self.clear()  # first: not to hold two lists of a big system at a time
        self._list = find_neighbors(x, h, periodic, self.rcut + self.skin, threads=self.threads)
        self._made_for = _neighbors.Reference(x.copy(), h.copy(), periodic.copy(), z.copy())
        self.n_rebuilds += 1
        return self._list

    def clear(self) -> None:
        """Forget the list; the next `update` makes one."""
        self._list = self._made_for = None

    def __reduce__(self) -> tuple[type[NeighborCache], tuple[float, float, int]]:
        """Copy and pickle as an empty cache: a list is cheaper to make than to send."""
        return NeighborCache, (self.rcut, self.skin, self.threads)


def find_neighbors(
    positions: FloatArray, cell: FloatArray, pbc: BoolArray, cutoff: float, *, threads: int = 1
) -> NeighborList:
    """Return the list of all pairs closer than `cutoff`; see `acepair.search.search_pairs`."""
    return NeighborList(*search_pairs(positions, cell, pbc, cutoff, threads=threads))


def _frozen(name: str, array: npt.NDArray[Any], dtype: type[np.generic]) -> npt.NDArray[Any]:
    if array.dtype != dtype:
        raise TypeError(f"{name} must be an array of {dtype.__name__}, got {array.dtype}")
    view = np.ascontiguousarray(array).view()
    view.flags.writeable = False
    return view


def aligned_empty(shape: tuple[int, int], alignment: int = 64) -> FloatArray:
    """Return an uninitialised C array that begins at a multiple of `alignment` bytes."""
    size = 8 * math.prod(shape)
    raw = np.empty(size + alignment, np.uint8)
    offset = -raw.ctypes.data % alignment
    return raw[offset : offset + size].view(np.float64).reshape(shape)
