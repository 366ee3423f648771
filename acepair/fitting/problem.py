"""The least-squares problem of a fit: which rows there are, and blocks of them."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, NamedTuple

import numpy as np

from .._types import FloatArray
from ..assembly import energy_forces_virial_basis
from ..evaluate import evaluator_of
from ..lowering import lower_rows
from ..models.ace import ETACEPotential
from ..models.base import Potential
from ..models.model import ACEModel
from ..models.pair import ETPairPotential
from ..models.parameters import length_basis
from ..models.stacked import StackedCalculator
from ..structure import SpeciesTable, read_structure
from .dataset import Configuration, Dataset
from .references import only_one_body, reference_potential
from .weights import Weights, check_weights, weights_of

Done = Callable[[int], object]

VOIGT = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))  #: entries of a virial that make rows: xx, yy, zz, yz, xz, xy
_I, _J = (list(c) for c in zip(*VOIGT, strict=True))


def _nothing(_: int) -> None:
    """Report nothing."""


class Block(NamedTuple):
    """Consecutive configurations whose rows are in memory at the same time."""

    start: int  #: first configuration
    stop: int
    n_rows: int


@dataclass(frozen=True)
class RowWeights:
    """Factors on the rows of a configuration; 0 for rows that are not there."""

    E: float
    F: float
    V: float

    def n_rows(self, n_atoms: int) -> int:
        """Return how many rows there are."""
        return int(self.E > 0) + 3 * n_atoms * int(self.F > 0) + 6 * int(self.V > 0)


class Problem:
    """Weighted rows of a model and a dataset: energy, forces (3 n_atoms), virial (xx, yy, zz, yz, xz, xy).

    Rows of energies and virials are divided by √n_atoms. Where there is no label, or its weight is 0, there is no row.

    Parameters
    ----------
    model : ACEModel, potential or StackedCalculator
    data : Dataset
    weights : mapping, optional
        See `check_weights`.
    others : iterable of ASE calculators
        To be subtracted from the labels, besides what of the model has no linear parameters.

    Raises
    ------
    ValueError
        If a configuration cannot be evaluated by the model, or if no rows are left.
    """

    def __init__(
        self,
        model: Potential | ACEModel,
        data: Dataset,
        weights: Weights | None = None,
        *,
        others: Iterable[Any] = (),
    ) -> None:
        self.model, self.data = model, data
        self.reference = reference_potential(model, others)
        self._energies_only = only_one_body(self.reference)
        self.n_columns = length_basis(model)
        if not self.n_columns:
            raise ValueError("model must have linear parameters, got one without")
        checked = check_weights(weights, data.types)
        self.row_weights = [_row_weights(c, weights_of(c.config_type, checked)) for c in data]
        self.n_rows = [w.n_rows(len(c)) for c, w in zip(data, self.row_weights, strict=True)]
        if not sum(self.n_rows):
            raise ValueError("no rows are left: all labels are missing or have weight 0")
        check_structures(model, data)
        for part in linear_potentials(model):  # once, before threads all do
            lower_rows(part)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the design matrix."""
        return sum(self.n_rows), self.n_columns

    def blocks(self, block_bytes: float, start: int = 0, stop: int | None = None) -> list[Block]:
        """Divide the configurations into blocks of at most `block_bytes`, and at least one configuration."""
        blocks, first, rows = [], start, 0
        stop = len(self.data) if stop is None else stop
        for k in range(start, stop):
            if rows and (rows + self.n_rows[k]) * (self.n_columns + 1) * 8 > block_bytes:
                blocks.append(Block(first, k, rows))
                first, rows = k, 0
            rows += self.n_rows[k]
        return [*blocks, Block(first, stop, rows)]

    def fill(
        self, block: Block, out: FloatArray, pool: ThreadPoolExecutor | None = None, done: Done = _nothing
    ) -> None:
        """Write the rows of a block, the right-hand side in the last column.

        Parameters
        ----------
        block : Block
        out : ndarray (n_rows, n_columns + 1)
        pool : ThreadPoolExecutor, optional
            Its threads share the configurations.
        done : callable
            Called with the number of atoms of every configuration that is done.
        """
        ends = np.cumsum(self.n_rows[block.start : block.stop])

        def fill_one(k: int) -> int:
            n_rows, end = self.n_rows[k], int(ends[k - block.start])
            if n_rows:
                self._fill_one(k, out[end - n_rows : end])
            return len(self.data[k])

        # largest first: the threads end together
        order = sorted(range(block.start, block.stop), key=lambda k: -self.n_rows[k])
        for n_atoms in map(fill_one, order) if pool is None else pool.map(fill_one, order):
            done(n_atoms)

    def _fill_one(self, k: int, out: FloatArray) -> None:
        c, w = self.data[k], self.row_weights[k]
        try:
            evaluator_of(self.model).threads = 1
            basis = energy_forces_virial_basis(c.atoms, self.model)
        except ValueError as error:
            raise ValueError(f"{c.name}: {error}") from error
        energy, forces, virial = self._targets(c)
        row = 0
        if w.E:
            out[0, :-1], out[0, -1] = basis.energy, energy
            out[0] *= w.E
            row = 1
        if w.F:
            rows = out[row : row + 3 * len(c)]
            rows[:, :-1], rows[:, -1] = basis.forces.reshape(3 * len(c), -1), forces.ravel()
            if c.atom_factors is not None:
                rows *= np.repeat(w.F * c.atom_factors, 3)[:, None]
            elif w.F != 1:
                rows *= w.F
            row += 3 * len(c)
        if w.V:
            out[row:, :-1], out[row:, -1] = basis.virial[_I, _J], virial[_I, _J]
            out[row:] *= w.V

    def _targets(self, c: Configuration) -> tuple[float, FloatArray, FloatArray]:
        """Return the labels less the reference; zeros where there are none."""
        energy = 0.0 if c.energy is None else c.energy
        forces = np.zeros((len(c), 3)) if c.forces is None else c.forces
        virial = np.zeros((3, 3)) if c.virial is None else c.virial
        if self.reference is None:
            return energy, forces, virial
        evaluator = evaluator_of(self.reference)
        evaluator.threads = 1
        if not self.reference.ase_calculators:
            found = evaluator.evaluate(c.atoms, gradients=not self._energies_only)
        else:
            with _ase_lock:  # most calculators are not made for threads
                found = evaluator.evaluate(c.atoms, virial=c.virial is not None)
        if found.forces is None or found.virial is None:
            return energy - found.energy, forces, virial
        return energy - found.energy, forces - found.forces, virial - found.virial

    def fingerprint(self, block_bytes: float) -> str:
        """Return a digest of all the rows depend on."""
        digest = hashlib.sha256(np.float64(block_bytes).tobytes())
        for part in linear_potentials(self.model):
            plan, rows = lower_rows(part)
            _feed(digest, {**_values(plan), "coefficients": None})
            _feed(digest, rows)
        for c, w in zip(self.data, self.row_weights, strict=True):
            _feed(digest, (c.atoms.numbers, c.atoms.positions, c.atoms.cell.array, c.atoms.pbc, c.energy, c.forces))
            _feed(digest, (c.virial, c.atom_factors, w))
        if self.reference is not None:
            _feed(digest, [repr(part) for part in self.reference.components])
        return digest.hexdigest()


_ase_lock = threading.Lock()


def check_structures(model: Potential | ACEModel, data: Dataset) -> None:
    """Raise a ValueError that names the first configuration which a model cannot evaluate."""
    table = SpeciesTable(evaluator_of(model).calculator.elements)
    for c in data:
        try:
            read_structure(c.atoms, table)
        except (ValueError, TypeError) as error:
            raise ValueError(f"{c.name}: {error}") from error


def linear_potentials(model: Potential | ACEModel) -> list[ETACEPotential | ETPairPotential]:
    """Return the parts of a model that have linear parameters, in the order of those."""
    calculator = evaluator_of(model).calculator
    parts: Sequence[Any] = calculator.potentials if isinstance(calculator, StackedCalculator) else (calculator,)
    return [part for part in parts if isinstance(part, ETACEPotential | ETPairPotential)]


def _row_weights(c: Configuration, weights: Mapping[str, float]) -> RowWeights:
    scale = 1 / np.sqrt(max(len(c), 1))
    return RowWeights(
        E=0.0 if c.energy is None else weights["E"] * c.factors["E"] * scale,
        F=0.0 if c.forces is None else weights["F"] * c.factors["F"],
        V=0.0 if c.virial is None else weights["V"] * c.factors["V"] * scale,
    )


def _values(instance: Any) -> dict[str, Any]:
    return {f.name: getattr(instance, f.name) for f in fields(instance)}


def _feed(digest: Any, value: Any) -> None:
    """Add arrays and numbers, however nested, to a digest."""
    if isinstance(value, np.ndarray):
        digest.update(f"{value.dtype}{value.shape}".encode())
        digest.update(np.ascontiguousarray(value).tobytes())
    elif isinstance(value, Mapping):
        for key in value:
            digest.update(str(key).encode())
            _feed(digest, value[key])
    elif is_dataclass(value):
        _feed(digest, _values(value))
    elif isinstance(value, tuple | list):
        digest.update(f"[{len(value)}]".encode())
        for item in value:
            _feed(digest, item)
    else:
        digest.update(repr(value).encode())
