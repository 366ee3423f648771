"""The neighbour search: all pairs of a structure within a cutoff, as compressed rows.

Small structures are searched by trying all images near the atoms (`_neighbors.search_images`), others by vesin. Both
give the same lists.
"""

from __future__ import annotations

import math

import numpy as np

from . import _neighbors
from ._types import BoolArray, FloatArray, Int32Array, IntArray

#: distances that are computed sooner than vesin gets started: about a thousand atoms of a crystal, or of a gas
MAX_TESTS = 3_000_000
_MAX_REACH = 1e9  # cells and shifts are int32 in vesin
_MAX_VISITS = 1e9  # pairs of cells of the grid; some seconds
_VESIN_MAX_CELLS = 1e5  # vesin coarsens larger grids
_MANY_CELLS = 1000  # a search that visits so many takes about 0.1 ms


def search_pairs(
    positions: FloatArray, cell: FloatArray, pbc: BoolArray, cutoff: float, *, threads: int = 1
) -> tuple[IntArray, Int32Array, Int32Array, Int32Array]:
    """Return the arguments of a `NeighborList` of all pairs closer than `cutoff`.

    Parameters
    ----------
    positions : array of float64 (n_atoms, 3)
        Å.
    cell : array of float64 (3, 3)
        Å.
    pbc : array of bool (3,)
    cutoff : float
        Å. A few pairs further apart by rounding are found, too.
    threads : int
        For large structures; they do not change the result.

    Raises
    ------
    ValueError
        For positions some 1e9 cutoffs away from the origin, a cell so skewed that a search would take minutes,
        and more than 2³¹ atoms and images.
    """
    if len(positions) == 0:
        none = np.empty(0, np.int32)
        return np.zeros(1, np.int64), none, none, none.reshape(0, 3)
    found = _neighbors.search_images(positions, cell, pbc, cutoff, MAX_TESTS)
    return search_by_vesin(positions, cell, pbc, cutoff, threads=threads) if found is None else found


def search_by_vesin(
    positions: FloatArray, cell: FloatArray, pbc: BoolArray, cutoff: float, *, threads: int = 1
) -> tuple[IntArray, Int32Array, Int32Array, Int32Array]:
    """As `search_pairs`, for at least one atom."""
    from vesin import NeighborList as Search  # takes as long to import as all of acepair

    box, fold, margin = _search_box(positions, cell, pbc, cutoff)
    search = Search(cutoff=cutoff + margin, full_list=True, n_threads=threads)
    # views of vesin's memory, 28 bytes per pair, which goes when `search` does, at the end of this function
    pairs, shifts = search.compute(points=positions, box=box, periodic=True, quantities="PS", copy=False)
    return _neighbors.build_csr(pairs, shifts, fold, len(positions))


def _search_box(
    positions: FloatArray, cell: FloatArray, pbc: BoolArray, cutoff: float
) -> tuple[FloatArray, Int32Array, float]:
    """Return the periodic box to search in, how often it is folded along each axis, and what to add to the cutoff.

    vesin compares every cell along a non-periodic axis with every other, and divides by zero (SIGFPE) where the box is
    much longer along one axis than along another, periodic or not. A periodic box with vacuum along the non-periodic
    axes avoids the former. For the latter the box is folded: a cell vector a is replaced by a/2, a/4, ... The search
    then finds all pairs D = x_j − x_i + S·box, of which those with S divisible by the fold are pairs of the structure.
    """
    box, inverse = _neighbors.complete_cell(cell, pbc)
    low, high = bounds = _neighbors.fractional_bounds(positions, inverse).tolist()
    heights = (1 / np.sqrt((inverse * inverse).sum(axis=0))).tolist()
    _check_reach(bounds, heights, pbc, cutoff, positions)
    margin = 1e-9 + 1e-14 * float(np.abs(positions).max())  # covers rounding, here and in the use of the list
    cutoff += margin

    fold = [1, 1, 1]
    for k in range(3):
        if not pbc[k]:
            # wide enough that no pair closer than the cutoff crosses the boundary, nor meets a cell twice
            heights[k] = max(high[k] - low[k] + cutoff, 3 * cutoff) * (1 + 1e-9)
            box[k] *= heights[k]
    cells = [max(1, math.trunc(height / cutoff)) for height in heights]
    while _too_many_cells(cells, len(positions)):
        k = cells.index(max(cells))
        box[k] /= 2
        heights[k] /= 2
        fold[k] *= 2
        cells[k] = max(1, math.trunc(heights[k] / cutoff))
    _check_visits(cells, heights, cutoff, cell)
    return box, np.where(pbc, fold, 0).astype(np.int32), margin


def _check_reach(
    bounds: list[list[float]], heights: list[float], pbc: BoolArray, cutoff: float, positions: FloatArray
) -> None:
    """Refuse positions whose shifts or places in vesin's grid would not fit into 32 bits."""
    for low, high, height, periodic in zip(*bounds, heights, pbc, strict=True):
        cells_per_unit = max(1.0, height / cutoff) if periodic else 1 / cutoff
        if not max(-low, high) * cells_per_unit <= _MAX_REACH:
            atom = int(np.abs(positions).max(axis=1).argmax())
            raise ValueError(
                f"positions must lie within {_MAX_REACH:g} cutoffs and cells of the origin (Å), got "
                f"{positions[atom].tolist()} for atom {atom}"
            )


def _check_visits(cells: list[int], heights: list[float], cutoff: float, cell: FloatArray) -> None:
    """Refuse a cell so flat that vesin would look for its neighbours among billions of images."""
    around = math.prod(2 * math.ceil(n * cutoff / height) + 1 for n, height in zip(cells, heights, strict=True))
    visits = around * min(math.prod(cells), _VESIN_MAX_CELLS)
    if visits > _MAX_VISITS:
        raise ValueError(
            f"cell must not be so skewed or small for a cutoff of {cutoff:.4g} Å, got {cell.tolist()}; "
            "ase.build.minkowski_reduce gives the same lattice by short vectors"
        )


def _too_many_cells(cells: list[int], n_atoms: int) -> bool:
    """Tell whether vesin would crash on a grid of so many cells, or spend its time on empty ones."""
    n_cells = math.prod(cells)
    if n_cells <= _MANY_CELLS:
        return False
    if n_atoms <= _MANY_CELLS:  # folding puts few others on top of so few atoms
        return True
    if n_cells <= _VESIN_MAX_CELLS:
        return False
    # how vesin 0.6.2 shrinks a larger grid (CellList::CellList); a result of 0 is what it would divide by
    x_y, y_z = cells[0] / cells[1], cells[1] / cells[2]
    z = math.trunc(math.cbrt(_VESIN_MAX_CELLS / (x_y * y_z * y_z)))
    y = math.trunc(y_z * z)
    x = math.trunc(x_y * y)
    return min(x, y, z) < 2  # not 1: its cells may differ from these by one
