"""The neighbour search on the device: atoms in cells, for one structure or many."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .._types import BoolArray, FloatArray, IntArray
from .arguments import Struct
from .backend import Backend, places_in, stable_order, to_device
from .geometry import complete_cells
from .launch import launch
from .layout import THREADS

_MAX_REACH = 1e9  # cells between an atom and the first of its structure
_MAX_VISITS = 1e9  # cells to look into for all atoms, per atom of a structure of at least so many
_GRID = np.dtype(
    [
        ("cell", np.float64, 9),
        ("inverse", np.float64, 9),
        ("origin", np.float64, 3),
        ("extent", np.float64, 3),
        ("n", np.int64, 3),
        ("reach", np.int64, 3),
        ("periodic", np.int64, 3),
        ("first_cell", np.int64),
    ]
)  #: as in kernels/search.hpp


class Found(NamedTuple):
    """A neighbour list as `DeviceList` takes it; arrays of the device."""

    first: Any
    neighbor: Any
    row_owner: Any
    row_shift: Any


def search_neighbors(
    backend: Backend, positions: Any, cells: FloatArray, pbc: BoolArray, structure_first: IntArray, cutoff: float
) -> Found:
    """Find all pairs closer than `cutoff`.

    Parameters
    ----------
    backend : Backend
    positions : array of float64 (n_atoms, 3), of the device
        Å, finite.
    cells : array of float64 (n_structures, 3, 3)
        Å.
    pbc : array of bool (n_structures, 3)
    structure_first : array of int64 (n_structures + 1,)
        Where the atoms of each structure begin.
    cutoff : float
        Å. A few pairs further apart by rounding are found, too.

    Returns
    -------
    Found
        Rows of atoms are wrapped into the cell that begins at the first atom: row_shift holds how far they were moved.

    Raises
    ------
    ValueError
        For positions some 1e9 cells away, and cells so skewed that a search would take minutes.
    """
    xp, n = backend.xp, len(positions)
    # covers rounding, here and in the use of the list
    cutoff += 1e-9 + 1e-14 * float(abs(positions).max()) if n else 0.0
    grids = _grids(backend, positions, cells, pbc, structure_first, cutoff)
    n_cells = int(grids["first_cell"][-1] + grids["n"][-1].prod()) if len(grids) else 0
    images = -(-grids["reach"] // grids["n"]) * grids["periodic"]
    image_reach = images.max(axis=0, initial=0)
    starts = xp.asarray(structure_first)
    structure = places_in(backend, starts, xp.arange(n), side="right") - 1
    atoms = Struct(
        backend,
        "Atoms",
        n_atoms=n,
        positions=positions,
        structure=to_device(backend, structure, np.int32),
        grid=xp.asarray(np.frombuffer(grids.tobytes(), dtype=np.int64)),
        structure_first=starts,
        cutoff=xp.asarray([cutoff]),
        image_reach=xp.asarray(image_reach),
    )
    state = {
        "cell": xp.empty(max(n, 1), dtype=xp.int64),
        "wrap": xp.empty((max(n, 1), 3), dtype=xp.int32),
        "order": None,
        "cell_first": None,
        "count": xp.zeros(n, dtype=xp.int64),
        "first": None,
        "packed": xp.empty((max(n, 1), 4)),
        "key": None,
        "sorted_key": None,
    }

    def run(name: str, *, fill: int = 0, per_block: int = THREADS) -> None:
        launch(backend, "search", name, n, atoms, Struct(backend, "Search", **state), per_block=per_block, count=fill)

    run("bin_atoms")
    cell = state["cell"][:n]
    state["order"] = to_device(backend, stable_order(backend, cell), np.int64)
    cell_first = places_in(backend, cell[state["order"][:n]], xp.arange(n_cells + 1))
    state["cell_first"] = to_device(backend, cell_first, np.int64)
    run("pack_atoms")
    run("find_neighbors")
    first = xp.zeros(n + 1, dtype=xp.int64)
    first[1:] = xp.cumsum(state["count"])
    n_edges = int(first[-1])
    state["first"] = first
    state["key"], state["sorted_key"] = (xp.empty(max(n_edges, 1), dtype=xp.int64) for _ in range(2))
    run("find_neighbors", fill=1)
    run("sort_neighbors", per_block=THREADS // 32)
    return _rows(backend, first, state["sorted_key"][:n_edges], state["wrap"], image_reach)


def _rows(backend: Backend, first: Any, key: Any, wrap: Any, image_reach: IntArray) -> Found:
    """Make a row of every image that is somebody's neighbour."""
    xp, n = backend.xp, len(first) - 1
    n_images = int((2 * image_reach + 1).prod())
    image_key = key[key % n_images != n_images // 2]  # the one in the middle is the atom itself
    if len(image_key):
        image_key = xp.unique(image_key)
    n_rows = n + len(image_key)
    owner, shift = xp.empty(n_rows, dtype=xp.int32), xp.empty((n_rows, 3), dtype=xp.int32)
    neighbor = xp.empty(len(key), dtype=xp.int32)
    rows = Struct(
        backend,
        "Rows",
        n_atoms=n,
        n_edges=len(key),
        n_rows=n_rows,
        n_images=n_images,
        key=key,
        image_key=image_key,
        image_reach=xp.asarray(image_reach),
        wrap=wrap,
        neighbor=neighbor,
        owner=owner,
        shift=shift,
    )
    launch(backend, "search", "find_rows", len(key), rows)
    launch(backend, "search", "describe_rows", n_rows, rows)
    return Found(first, neighbor, owner, shift)


def _grids(
    backend: Backend, positions: Any, cells: FloatArray, pbc: BoolArray, structure_first: IntArray, cutoff: float
) -> npt.NDArray[Any]:
    """Divide every structure into cells about as wide as the cutoff."""
    n_structures = len(cells)
    grids = np.zeros(n_structures, dtype=_GRID)
    if not n_structures:
        return grids
    whole = complete_cells(cells, pbc)
    inverse: FloatArray = np.linalg.inv(whole).astype(np.float64)
    heights = 1 / np.linalg.norm(inverse, axis=1)  # (n_structures, 3), of one cell vector
    counts = np.diff(structure_first)
    origin, extent = np.zeros((n_structures, 3)), np.ones((n_structures, 3))
    low, high = _fractional_bounds(backend, positions, inverse, structure_first)
    outside = np.flatnonzero(np.maximum(-low, high).max(axis=1) > _MAX_REACH * np.where(pbc, 1, cutoff).min(axis=1))
    if len(outside):
        raise ValueError(
            f"positions must lie within {_MAX_REACH:g} cells of each other (Å), not so structure {outside[0]}"
        )
    origin[~pbc] = low[~pbc]
    extent[~pbc] = np.maximum(high - low, 1e-3 * cutoff)[~pbc]
    n = np.maximum(np.floor(heights * extent / cutoff * (1 - 1e-9)), 1)
    most = np.maximum(64, 8 * counts)
    while (many := n.prod(axis=1) > most).any():  # sparse structures: fewer, larger cells
        rows = np.flatnonzero(many)
        widest = n[rows].argmax(axis=1)
        n[rows, widest] = np.ceil(n[rows, widest] / 2)
    reach = np.ceil(cutoff * n / (heights * extent) * (1 + 1e-9))
    reach = np.where(pbc, reach, np.minimum(reach, n - 1))
    visits = (2 * reach + 1).prod(axis=1) * np.minimum(counts, 1e5)
    if (visits > _MAX_VISITS).any():
        worst = int(visits.argmax())
        raise ValueError(
            f"cell must not be so skewed or small for a cutoff of {cutoff:.4g} Å, got {cells[worst].tolist()}; "
            "ase.build.minkowski_reduce gives the same lattice by short vectors"
        )
    grids["cell"], grids["inverse"] = np.where(pbc[:, :, None], cells, 0).reshape(-1, 9), inverse.reshape(-1, 9)
    grids["origin"], grids["extent"], grids["n"], grids["reach"], grids["periodic"] = origin, extent, n, reach, pbc
    grids["first_cell"] = np.cumsum(grids["n"].prod(axis=1)) - grids["n"].prod(axis=1)
    return grids


def _fractional_bounds(
    backend: Backend, positions: Any, inverse: FloatArray, structure_first: IntArray
) -> tuple[FloatArray, FloatArray]:
    """Least and greatest fractional coordinates of each structure, relative to its first atom."""
    low, high = np.zeros((len(inverse), 3)), np.zeros((len(inverse), 3))
    if len(inverse) == 1 and len(positions):
        xp = backend.xp
        f = ((positions - positions[0])[:, :, None] * xp.asarray(inverse)).sum(axis=1)
        bounds = backend.to_host(xp.stack((f.min(axis=0), f.max(axis=0))))
        return bounds[:1], bounds[1:]
    x = backend.to_host(positions)
    for s, (begin, end) in enumerate(pairwise(structure_first)):
        if begin < end:
            f = (x[begin:end] - x[begin]) @ inverse[s]
            low[s], high[s] = f.min(axis=0), f.max(axis=0)
    return low, high
