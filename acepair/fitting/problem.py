"""The least-squares problem of a fit: which rows there are, and blocks of them."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from ase import Atoms

from .._types import FloatArray, IntArray
from ..assembly import EnergyForcesVirialBasis, basis_of_parts
from ..evaluate import Evaluator, evaluator_of
from ..lowering import lower_rows
from ..models.ace import ETACEPotential
from ..models.base import Potential
from ..models.convert import as_calculator
from ..models.model import ACEModel
from ..models.pair import ETPairPotential
from ..models.parameters import length_basis
from ..models.stacked import StackedCalculator
from ..structure import SpeciesTable, read_structure
from .dataset import Configuration, Dataset
from .references import References, Targets
from .weights import QUANTITIES, Weights, check_weights, weights_of

VOIGT = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))  #: entries of a virial that make rows: xx, yy, zz, yz, xz, xy
VOIGT_I, VOIGT_J = (list(c) for c in zip(*VOIGT, strict=True))
_LAYOUT = 2  #: of what a folder keeps


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
    atoms: IntArray | None = None  #: those whose forces have rows; all unless given
    n_forces: int = 0  #: rows of forces

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return int(self.E > 0) + self.n_forces + 6 * int(self.V > 0)


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
    restraint : Dataset, optional
        More configurations, see `restraint_dimers`, from which `others` are not subtracted, weighted by their own
        factors alone.

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
        restraint: Dataset | None = None,
    ) -> None:
        self.model = model
        self.n_columns = length_basis(model)
        if not self.n_columns:
            raise ValueError("model must have linear parameters, got one without")
        checked = check_weights(weights, data.types)
        self._calculator = as_calculator(model)  # one for all threads, which lower it once
        self.references = References(model, others)
        self.row_weights = [_row_weights(c, weights_of(c.config_type, checked)) for c in data]
        self._n_free = len(data)
        if restraint is not None:
            data = data + restraint
            self.row_weights += [_row_weights(c, dict.fromkeys(QUANTITIES, 1.0)) for c in restraint]
        self.data = data
        self.n_rows = [w.n_rows for w in self.row_weights]
        if not sum(self.n_rows):
            raise ValueError("no rows are left: all labels are missing or have weight 0")
        check_structures(model, data)
        self._known_targets: dict[int, Targets] = {}
        self._local = threading.local()
        atom = Atoms(self._calculator.elements[0])  # lowers the model once, before threads all do
        list(basis_of_parts(atom, self._evaluator()))

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_local"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._local = threading.local()

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the design matrix."""
        return sum(self.n_rows), self.n_columns

    def n_atoms(self, block: Block) -> int:
        """Return the number of atoms of a block."""
        return sum(len(self.data[k]) for k in range(block.start, block.stop))

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

    def fill(self, block: Block, out: FloatArray) -> None:
        """Write the rows of a block, the right-hand side in the last column, into `out` (n_rows, n_columns + 1)."""
        end = 0
        for k in range(block.start, block.stop):
            begin, end = end, end + self.n_rows[k]
            if end > begin:
                self._fill_one(k, out[begin:end])

    def _fill_one(self, k: int, out: FloatArray) -> None:
        c, w, target = self.data[k], self.row_weights[k], self.targets(k)
        kept = slice(None) if w.atoms is None else w.atoms
        forces, virial = slice(int(w.E > 0), int(w.E > 0) + w.n_forces), slice(len(out) - 6, None)
        factors = w.F if c.atom_factors is None else np.repeat(w.F * c.atom_factors[kept], 3)[:, None]

        def write(columns: FloatArray, basis: EnergyForcesVirialBasis | Targets) -> None:
            if w.E:
                np.multiply(basis.energy, w.E, out=columns[0])
            if w.n_forces:
                np.multiply(basis.forces[kept].reshape(w.n_forces, -1), factors, out=columns[forces])
            if w.V:
                np.multiply(basis.virial[VOIGT_I, VOIGT_J].reshape(6, -1), w.V, out=columns[virial])

        write(out[:, -1:], target)
        end = 0
        try:
            for basis in basis_of_parts(c.atoms, self._evaluator()):
                begin, end = end, end + len(basis.energy)
                write(out[:, begin:end], basis)
        except ValueError as error:
            raise ValueError(f"{c.name}: {error}") from error

    def _evaluator(self) -> Evaluator:
        """Return this thread's evaluator of the model."""
        evaluator: Evaluator | None = getattr(self._local, "evaluator", None)
        if evaluator is None:
            evaluator = self._local.evaluator = Evaluator(self._calculator, threads=1)
        return evaluator

    def targets(self, k: int) -> Targets:
        """Return the labels of a configuration less the reference; zeros where there are none.

        Restraints are of the fitted potential without `others`, whose repulsion nobody knows.
        """
        known = self._known_targets.get(k)
        return self.references.subtracted(self.data[k], others=k < self._n_free) if known is None else known

    def fingerprint(self, block_bytes: float) -> str:
        """Return a digest of all the rows depend on: the functions, structures, labels less the reference, weights.

        What the reference gives is in it, rather than the reference: calculators have no names that tell.
        """
        digest = _Digest()
        digest.add((_LAYOUT, block_bytes))
        for part in linear_potentials(self._calculator):
            plan, rows = lower_rows(part)
            digest.add(({**_values(plan), "coefficients": None}, rows))
        for k, (c, w) in enumerate(zip(self.data, self.row_weights, strict=True)):
            self._known_targets[k] = self.targets(k)  # others may be slow
            digest.add((c.atoms.numbers, c.atoms.positions, c.atoms.cell.array, c.atoms.pbc, c.atom_factors, w))
            digest.add(tuple(self._known_targets[k]))
        return digest.hexdigest()


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
    calculator = as_calculator(model)
    parts: Sequence[Any] = calculator.potentials if isinstance(calculator, StackedCalculator) else (calculator,)
    return [part for part in parts if isinstance(part, ETACEPotential | ETPairPotential)]


def _row_weights(c: Configuration, weights: Mapping[str, float]) -> RowWeights:
    if not len(c):
        return RowWeights(0.0, 0.0, 0.0)  # rows of zeros would count as labels without noise
    scale = 1 / np.sqrt(len(c))
    atoms = None if c.atom_factors is None else np.flatnonzero(c.atom_factors)
    weighted = RowWeights(
        E=0.0 if c.energy is None else weights["E"] * c.factors["E"] * scale,
        F=0.0 if c.forces is None else weights["F"] * c.factors["F"],
        V=0.0 if c.virial is None else weights["V"] * c.factors["V"] * scale,
        atoms=atoms,
    )
    n_forces = 3 * (len(c) if atoms is None else len(atoms)) if weighted.F else 0
    return replace(weighted, n_forces=n_forces)


def _values(instance: Any) -> dict[str, Any]:
    return {f.name: getattr(instance, f.name) for f in fields(instance)}


class _Digest:
    """SHA-256 of arrays and numbers, however nested; every piece has its kind and length before it."""

    def __init__(self) -> None:
        self._sha = hashlib.sha256()
        self.hexdigest = self._sha.hexdigest

    def add(self, value: Any) -> None:
        if isinstance(value, np.ndarray):
            self._put(f"{value.dtype}{value.shape}".encode())
            self._put(np.ascontiguousarray(value).tobytes())
        elif isinstance(value, Mapping):
            self.add(list(value.items()))
        elif is_dataclass(value):
            self.add(_values(value))
        elif isinstance(value, tuple | list):
            self._put(f"[{len(value)}]".encode())
            for item in value:
                self.add(item)
        else:
            self._put(f"{type(value).__name__} {value!r}".encode())

    def _put(self, piece: bytes) -> None:
        self._sha.update(len(piece).to_bytes(8, "little"))
        self._sha.update(piece)
