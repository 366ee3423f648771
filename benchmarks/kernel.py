"""The kernels alone: positions packed and neighbour list given."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
from ase import Atoms

from acepair import _kernels
from acepair.evaluate import Evaluator
from acepair.structure import read_structure


def pointer(array: np.ndarray) -> ctypes.c_void_p:
    """Return where an array begins."""
    return ctypes.c_void_p(array.ctypes.data)


class BareKernel:
    """Energies, forces and virial of one structure by the kernels, nothing else done when called.

    Attributes
    ----------
    plan : _kernels.Plan
    packed, neighbors
        What the kernels read: positions and species, list.
    energies : (n_atoms,) eV
    forces : (n_atoms + n_images, 4) eV/Å
    """

    def __init__(
        self, model: Any, atoms: Atoms, *, threads: int = 1, dtype: str = "float64", skin: float = 0.0
    ) -> None:
        evaluator = Evaluator(model, threads=threads, skin=skin, dtype=dtype)
        self.single = dtype == "float32"
        structure = read_structure(atoms, evaluator.table)
        self.neighbors = evaluator.neighbors(structure)
        (plan,) = (plan for plan in evaluator.plans() if plan.has_edges)
        self.plan, self.threads, self.memory = plan.engine, threads, evaluator.memory
        self.packed = plan.pack(structure, self.neighbors, structure.species)
        self.energies, self.forces, self.virial = np.zeros(len(atoms)), np.zeros_like(self.packed), np.zeros(9)

    def arguments(self) -> list[Any]:
        """Return the plan, the system and its centres as the core takes them, by ctypes."""
        lists = (self.packed, self.neighbors.first, self.neighbors.neighbor, self.neighbors.centres)
        return [ctypes.c_void_p(self.plan.address), *map(pointer, lists), ctypes.c_int64(self.neighbors.n_atoms)]

    def __call__(self) -> None:
        """Evaluate once."""
        for array in (self.energies, self.forces, self.virial):
            array[:] = 0
        _kernels.evaluate(
            self.plan, self.memory, self.packed, self.neighbors.first, self.neighbors.neighbor, self.neighbors.centres,
            self.energies, self.forces, self.virial, None, None, self.threads, self.single,
        )  # fmt: skip
