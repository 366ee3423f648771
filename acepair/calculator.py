"""ASE calculator."""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from ase.calculators.calculator import Calculator, PropertyNotImplementedError, all_changes

from .evaluate import Evaluation, Evaluator, Model
from .models.base import Potential
from .models.convert import as_calculator
from .models.stacked import StackedCalculator
from .neighbors import NeighborCache
from .structure import MIN_INDEPENDENCE, read_structure

if TYPE_CHECKING:
    from ase import Atoms

    from .gpu import Evaluator as DeviceEvaluator

_PROPERTIES = ["energy", "free_energy", "energies", "forces", "stress", "stresses"]
_WITH_GRADIENTS = {"forces", "stress", "stresses"}
_DEVICES, _DTYPES = ("cpu", "cuda"), ("float64", "float32")
_ROW, _COLUMN = [0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]  #: of ASE's Voigt order xx, yy, zz, yz, xz, xy


class _State(NamedTuple):
    """What results depend on, as bytes: compared exactly and fast, and nobody can change them afterwards."""

    positions: bytes
    numbers: bytes
    cell: bytes
    pbc: bytes
    versions: tuple[int, ...]  #: of the linear parameters


class ACECalculator(Calculator):  # type: ignore[misc]
    """ASE calculator of a model: energies, forces, stresses.

    Parameters
    ----------
    model : str, Path, ACEModel, potential or StackedCalculator
        A model file, or the model itself. Changes of a model's linear parameters take effect at the next call.
    skin : float
        Neighbours are searched this much (Å) beyond the cutoff, and again when atoms or the cell have moved too far.
    threads : int, optional
        The CPUs this process may use, at most OMP_NUM_THREADS, unless given. Results do not depend on it.
    device : {"cpu", "cuda"}
        "cuda" runs on the current CUDA device, see docs/gpu.md.
    dtype : {"float64", "float32"}
        float32 is faster and gives forces to some 1e-6 of the largest, 3e-5 with spline tables, less where large
        contributions cancel: r_j − r_i and sums over atoms are in double precision, all between them in single.

    Attributes
    ----------
    model : ACEModel, potential or StackedCalculator
    neighbors : NeighborCache or None
        Counts searches in `n_rebuilds` and steps without in `n_reuses`; None if no component has neighbours.
    results : dict
        Properties of the last structure, in ASE's names and units (eV, Å, Voigt order xx, yy, zz, yz, xz, xy).

    Raises
    ------
    ImportError, RuntimeError
        If `device` is "cuda" and CuPy, the driver or a device is missing.
    ValueError
        If there is no such `device` or `dtype`, for a model file that cannot be read, and for a structure that cannot
        be evaluated, see `potential_energy`.

    Notes
    -----
    `stresses` are site virials over the volume of the cell and add up to `stress`; the virial −D ⊗ ∂E/∂D of an edge
    belongs to the neighbour, symmetrised. Without three cell vectors there is neither.

    Properties of ASE calculators in a stack are added to those of its potentials. A property which one of them lacks,
    such as `energies`, raises PropertyNotImplementedError.

    Threads that share a calculator wait for each other: give each its own to gain time.
    """

    implemented_properties = _PROPERTIES
    default_parameters = {"skin": 1.0, "threads": None, "device": "cpu", "dtype": "float64"}  # noqa: RUF012

    def __init__(
        self,
        model: Model | str | os.PathLike[str],
        *,
        skin: float = 1.0,
        threads: int | None = None,
        device: str = "cpu",
        dtype: str = "float64",
    ) -> None:
        self._name_of_model = os.fspath(model) if isinstance(model, str | os.PathLike) else type(model).__name__
        self._lock = threading.RLock()
        self._model = _load(model) if isinstance(model, str | os.PathLike) else model
        self._state: _State | None = None
        self._own_results: dict[str, Any] = {}
        potential = as_calculator(self.model)
        self._ase_parts = potential.ase_calculators if isinstance(potential, StackedCalculator) else ()
        if self._ase_parts:
            self.implemented_properties = [name for name in _PROPERTIES if all(map(_has(name), self._ase_parts))]
        super().__init__(skin=skin, threads=threads, device=device, dtype=dtype)

    def __repr__(self) -> str:
        return f"ACECalculator({self.model!r})"

    def get_property(self, name: str, atoms: Atoms | None = None, allow_calculation: bool = True) -> Any:
        """Return a property of a structure, calculated only if it is not known.

        Parameters
        ----------
        name : str
            One of `implemented_properties`.
        atoms : ase.Atoms, optional
            That of the last calculation unless given.
        allow_calculation : bool
            If False, return None for what is not known.

        Raises
        ------
        PropertyNotImplementedError
            For other names, and for stresses without three cell vectors.
        """
        if name not in self.implemented_properties:
            raise PropertyNotImplementedError(f"{name} property not implemented")
        with self._lock:
            atoms = self._given_or_last(atoms)
            if not allow_calculation and self.calculation_required(atoms, [name]):
                return None
            self._begin(atoms)
            self._provide(name, atoms)
            value = self.results[name]
            return value.copy() if isinstance(value, np.ndarray) else value

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Iterable[str] = ("energy",),
        system_changes: Iterable[str] = all_changes,
    ) -> None:
        """Fill `results` with those of the properties that the structure has, as far as they are not known.

        Parameters
        ----------
        atoms : ase.Atoms, optional
            That of the last calculation unless given.
        properties : iterable of str
            Others than `implemented_properties` are left out.
        system_changes : iterable of str
            Not used: what has changed is found out here.
        """
        with self._lock:
            atoms = self._given_or_last(atoms)
            self._begin(atoms)
            for name in properties:
                if name in self.implemented_properties:
                    try:
                        self._provide(name, atoms)
                    except PropertyNotImplementedError:
                        self.results.pop(name, None)

    def check_state(self, atoms: Atoms, tol: float = 0.0) -> list[str]:
        """Return what has changed since the last calculation, everything if parameters have.

        Positions, cell, periodicity and numbers are compared exactly, whatever `tol`; nothing else matters.
        """
        old, new = self._state, self._state_of(atoms)
        if old is None or old.versions != new.versions:
            return list(all_changes)
        names = ("positions", "numbers", "cell", "pbc")
        return [name for name in names if getattr(old, name) != getattr(new, name)]

    def calculation_required(self, atoms: Atoms, properties: Iterable[str]) -> bool:
        """Tell whether one of the properties is not known for the structure."""
        return self._state != self._state_of(atoms) or any(self._is_missing(name, atoms) for name in properties)

    def reset(self) -> None:
        """Forget the results. The neighbour list stays as long as it holds all pairs."""
        self._state = None
        self.results: dict[str, Any] = {}
        self._own_results = {}

    @property
    def atoms(self) -> Atoms | None:
        """The structure of the last calculation, without what does not matter for it; None before there was one."""
        if self._state is None:
            return None
        from ase import Atoms

        positions = np.frombuffer(self._state.positions).reshape(-1, 3)
        numbers = np.frombuffer(self._state.numbers, dtype=np.int64)
        cell, pbc = np.frombuffer(self._state.cell).reshape(3, 3), np.frombuffer(self._state.pbc, dtype=np.bool_)
        return Atoms(numbers=numbers, positions=positions, cell=cell, pbc=pbc)

    @atoms.setter
    def atoms(self, atoms: Atoms | None) -> None:
        """Forget the results; those of a structure given here are calculated when they are asked for."""
        self.reset()
        self._state = None if atoms is None else self._state_of(atoms)

    @property
    def model(self) -> Model:
        """What is evaluated."""
        return self._model

    @property
    def neighbors(self) -> NeighborCache | DeviceEvaluator | None:
        """The neighbour list and how often it was made."""
        return self._evaluator.cache

    @property
    def threads(self) -> int:
        """Number of threads in use."""
        return self._evaluator.threads

    def _state_of(self, atoms: Atoms) -> _State:
        return _State(
            np.asarray(atoms.positions, dtype=np.float64).tobytes(),
            np.asarray(atoms.numbers, dtype=np.int64).tobytes(),
            atoms.cell.array.tobytes(),
            atoms.pbc.tobytes(),
            self._evaluator.versions(),
        )

    def _given_or_last(self, atoms: Atoms | None) -> Atoms:
        atoms = self.atoms if atoms is None else atoms
        if atoms is None:
            raise ValueError("atoms must be given, as nothing has been calculated yet")
        return atoms

    def _begin(self, atoms: Atoms) -> None:
        """Forget the results unless they are those of the structure and the present parameters."""
        state = self._state_of(atoms)
        if state != self._state:
            self.reset()
            self._state = state

    def _is_missing(self, name: str, atoms: Atoms) -> bool:
        return name not in self.results or any(part.calculation_required(atoms, [name]) for part in self._ase_parts)

    def _provide(self, name: str, atoms: Atoms) -> None:
        """Put a property into `results`."""
        if name not in self._own_results:
            if name.startswith("stress") and _volume(atoms) == 0:
                read_structure(atoms, self._evaluator.table)  # a structure that cannot be is the first complaint
                cell = atoms.cell.array.tolist()
                raise PropertyNotImplementedError(f"{name} needs three independent cell vectors, got {cell}")
            self._evaluate(name, atoms)
        value = self._own_results[name]
        if self._ase_parts:
            # asked every time: they know best whether they have changed
            for part in self._ase_parts:
                value = value + _voigt(name, part.get_property(name, atoms))
            self.results[name] = value

    def _evaluate(self, name: str, atoms: Atoms) -> None:
        """Evaluate the potentials, no more than `name` takes."""
        try:
            done = self._evaluator.evaluate(atoms, gradients=name in _WITH_GRADIENTS, site_virials=name == "stresses")
        except BaseException:
            self.reset()  # nothing is known of a structure that cannot be evaluated
            raise
        # a value that is known stays as it is, to the last bit
        self._own_results |= _results(done, atoms) | self._own_results
        if not self._ase_parts:
            self.results = self._own_results

    def set(self, **kwargs: Any) -> dict[str, Any]:
        """Change `skin`, `threads`, `device` or `dtype`; return what has changed.

        Raises
        ------
        TypeError
            For other names.
        """
        unknown = sorted(kwargs.keys() - self.default_parameters.keys())
        if unknown:
            raise TypeError(f"parameters are {', '.join(self.default_parameters)}, got {', '.join(unknown)}")
        evaluator = self._make_evaluator(self.default_parameters | self.parameters | kwargs)
        changed: dict[str, Any] = super().set(**kwargs)
        self._evaluator = evaluator
        if changed.keys() & {"device", "dtype"}:
            self.reset()  # known values are of another precision
        return changed

    def todict(self, skip_default: bool = True) -> dict[str, Any]:
        """Return the parameters and what the model is, as JSON has it."""
        potential = self._evaluator.calculator
        described = {"elements": list(potential.elements), "rcut": potential.rcut}
        n_parameters = sum(readout.n_parameters for readout in potential.readouts)
        parameters: dict[str, Any] = super().todict(skip_default=skip_default)
        return {"model": self._name_of_model, **described, "n_parameters": n_parameters, **parameters}

    def __getstate__(self) -> dict[str, Any]:
        """Workspaces and neighbours stay behind: they are cheap to make again."""
        return {key: value for key, value in self.__dict__.items() if key not in ("_evaluator", "_lock")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._lock = threading.RLock()
        self._evaluator = self._make_evaluator(self.parameters)

    def _make_evaluator(self, parameters: dict[str, Any]) -> Evaluator | DeviceEvaluator:
        device, dtype = parameters["device"], parameters["dtype"]
        _check_choice("device", device, _DEVICES)
        _check_choice("dtype", dtype, _DTYPES)
        potential = _without_ase(as_calculator(self.model))
        if device == "cuda":
            from .gpu import Evaluator as DeviceEvaluator

            return DeviceEvaluator(potential, skin=parameters["skin"], dtype=dtype)
        return Evaluator(potential, skin=parameters["skin"], threads=parameters["threads"], dtype=dtype)

    def _get_name(self) -> str:
        return "acepair"


def _load(path: str | os.PathLike[str]) -> Model:
    from .io.model_file import load_model

    model: Model = load_model(path)
    return model


def _has(name: str) -> Any:
    """Return a function that tells whether an ASE calculator has a property, if it says which it has."""
    return lambda calculator: name in getattr(calculator, "implemented_properties", _PROPERTIES)


def _without_ase(potential: Potential) -> Potential:
    if isinstance(potential, StackedCalculator) and potential.ase_calculators:
        return StackedCalculator(potential.potentials)
    return potential


def _results(done: Evaluation, atoms: Atoms) -> dict[str, Any]:
    """Return an evaluation in ASE's names; stresses only if the cell has a volume."""
    results: dict[str, Any] = {"energy": done.energy, "free_energy": done.energy, "energies": done.site_energies}
    if done.forces is None or done.virial is None:
        return results
    results["forces"] = done.forces
    volume = _volume(atoms)
    if volume > 0:
        results["stress"] = np.array(_stress(done.virial.ravel().tolist(), volume))
        if done.site_virials is not None:
            results["stresses"] = np.stack(_stress(done.site_virials.reshape(-1, 9).T, volume), axis=1)
    return results


def _stress(virial: Iterable[Any], volume: float) -> list[Any]:
    """ASE's stress of a virial given as xx, xy, xz, yx, ...: numbers (six take NumPy longer than Python) or arrays."""
    xx, xy, xz, yx, yy, yz, zx, zy, zz = virial
    return [x / -volume for x in (xx, yy, zz, (yz + zy) / 2, (xz + zx) / 2, (xy + yx) / 2)]


def _volume(atoms: Atoms) -> float:
    """Volume (Å³) of the cell, 0 if its vectors are not independent."""
    a, b, c = atoms.cell.array.tolist()
    bc = b[1] * c[2] - b[2] * c[1], b[2] * c[0] - b[0] * c[2], b[0] * c[1] - b[1] * c[0]
    volume = abs(a[0] * bc[0] + a[1] * bc[1] + a[2] * bc[2])
    return volume if volume > MIN_INDEPENDENCE * math.hypot(*a) * math.hypot(*b) * math.hypot(*c) else 0.0


def _voigt(name: str, value: Any) -> Any:
    """Return the Voigt form of a stress given as a matrix, anything else as it is."""
    is_matrix = name.startswith("stress") and np.shape(value)[-2:] == (3, 3)
    return value[..., _ROW, _COLUMN] if is_matrix else value


def _check_choice(name: str, value: object, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ValueError(f"{name} must be {' or '.join(map(repr, known))}, got {value!r}")
