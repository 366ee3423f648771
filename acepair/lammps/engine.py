"""A model file's plans, run on neighbour lists that somebody else made."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from .. import _kernels
from .._types import FloatArray, Int32Array, IntArray
from ..engine_plan import make_engine_plan
from ..io import container
from ..io.plan_tensors import check_units, read_plans


class Results(NamedTuple):
    """What one pass gives; rows are those of the positions."""

    site_energies: FloatArray  #: (n_rows,) eV
    forces: FloatArray  #: (n_rows, 3) eV/Å
    edge_gradients: FloatArray | None  #: (n_edges, 3) ∂E_i/∂D, eV/Å


class CoincidentAtomsError(ValueError):
    """Two atoms are in the same place."""

    def __init__(self, i: int, j: int) -> None:
        super().__init__(f"atoms must not be in the same place, rows {i} and {j} are")
        self.rows = i, j


class Engine:
    """The lowered plans of a model file.

    Parameters
    ----------
    path : str or Path

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is no model file, or damaged, or of other units than eV and Å.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        metadata, tensors = container.read(Path(path))
        check_units(metadata)
        self.elements: tuple[str, ...] = tuple(metadata["elements"].split())
        self.plans = plans = read_plans(tensors, self.elements)
        self.engines = [make_engine_plan(plan) for plan in plans]
        self.rcut = max(float(plan.rcut.max()) for plan in plans)
        self._species = [np.array([plan.elements.index(e) for e in self.elements], np.int32) for plan in plans]
        self.memory = _kernels.Memory()

    def evaluate(
        self,
        positions: FloatArray,
        species: Int32Array,
        first: IntArray,
        neighbor: Int32Array,
        n_centres: int,
        *,
        edge_gradients: bool = False,
    ) -> Results:
        """Energies of the first `n_centres` rows and forces on all.

        Parameters
        ----------
        positions : (n_rows, 3)
            Å, images and ghosts included.
        species : (n_rows,)
            Index into `elements`, negative for atoms to ignore.
        first : (n_centres + 1,) int64
        neighbor : (n_edges,) int32
            Full neighbour list of the centres.
        edge_gradients : bool
            Whether those are wanted too.

        Raises
        ------
        CoincidentAtomsError
            If two atoms are in the same place.
        """
        n = len(positions)
        packed, forces, energies = np.empty((n, 4)), np.zeros((n, 4)), np.zeros(n)
        total = np.zeros((len(neighbor), 3)) if edge_gradients else None
        centres = np.arange(n_centres, dtype=np.int32)
        for engine, index in zip(self.engines, self._species, strict=True):
            own = np.where(species < 0, -1, index[species])
            packed[:, :3], packed[:, 3] = positions, own
            gradients = np.zeros_like(total) if total is not None else None
            arguments = (
                packed,
                first,
                neighbor,
                centres,
                energies,
                forces,
                np.zeros(9),
                None,
                gradients,
            )
            coincident = _kernels.evaluate(engine, self.memory, *arguments, 1)
            if coincident[0] >= 0:
                raise CoincidentAtomsError(*coincident)
            if total is not None and gradients is not None:
                total += gradients
        return Results(energies, forces[:, :3], total)

    def species_of(self, names: Sequence[str | None]) -> Int32Array:
        """Return the species index of each element, −1 for None and "NULL".

        Raises
        ------
        ValueError
            If the model lacks one.
        """
        unknown = [name for name in names if name not in (None, "NULL", *self.elements)]
        if unknown:
            raise ValueError(f"model covers {', '.join(self.elements)}; there is also {', '.join(map(str, unknown))}")
        index = {name: k for k, name in enumerate(self.elements)}
        return np.array([index.get(str(name), -1) for name in names], dtype=np.int32)
