"""Plots of fits, models and data (matplotlib)."""

from __future__ import annotations

from itertools import combinations_with_replacement, product
from typing import TYPE_CHECKING, Any

import numpy as np

from .._types import FloatArray
from ..evaluate import Model, evaluator_of, potential_energy
from ..models.ace import ETACEPotential
from ..neighbors import find_neighbors
from .dataset import Dataset
from .errors import ErrorTable
from .problem import linear_potentials

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LABELS = {"E": "energy (eV/atom)", "F": "force component (eV/Å)", "V": "virial component (eV/atom)"}
_MAX_DENSE = 200  #: atoms of a configuration up to which its angles are counted


def parity(tables: dict[str, ErrorTable]) -> Figure:
    """Plot predictions over labels: a panel per quantity, a color per set ("train", "test")."""
    present = [q for q in LABELS if any(len(t.pairs(q).reference) for t in tables.values())]
    figure, axes = panels(len(present))
    for ax, q in zip(axes, present, strict=True):
        for name, table in tables.items():
            reference, predicted = table.pairs(q)
            ax.plot(reference, predicted, ".", markersize=2, label=name, rasterized=True)
        ends = np.array(ax.get_xlim())
        ax.plot(ends, ends, "k-", linewidth=0.5)
        ax.set(xlabel=f"{LABELS[q]}, label", ylabel="model")
        ax.legend()
    return figure


def error_histograms(tables: dict[str, ErrorTable]) -> Figure:
    """Plot how often errors of each size occur: a panel per quantity, a color per set."""
    present = [q for q in LABELS if any(len(t.pairs(q).reference) for t in tables.values())]
    figure, axes = panels(len(present))
    for ax, q in zip(axes, present, strict=True):
        for name, table in tables.items():
            reference, predicted = table.pairs(q)
            sizes = np.abs(predicted - reference)
            bins = np.geomspace(max(sizes.max(initial=1e-12) * 1e-5, 1e-15), max(sizes.max(initial=0), 1e-12), 51)
            ax.hist(sizes, bins=list(bins), histtype="step", label=name)
        ax.set(xscale="log", xlabel=f"|error| of {LABELS[q]}", ylabel="count")
        ax.legend()
    return figure


def dimer_curves(model: Model, data: Dataset | None = None) -> Figure:
    """Plot the energy of two atoms less that of each alone, and the shortest distances in the data."""
    from ase import Atoms

    calculator = evaluator_of(model).calculator
    d = np.linspace(0.2 * calculator.rcut / 2.5, calculator.rcut, 200)
    figure, (ax,) = panels(1)
    shortest = {} if data is None else _shortest(data)
    lowest = 0.0
    for k, pair in enumerate(combinations_with_replacement(calculator.elements, 2)):
        alone = sum(potential_energy(Atoms([e]), model) for e in pair)
        energies = [potential_energy(Atoms(pair, [[0, 0, 0], [0, 0, x]]), model) - alone for x in d]
        lowest = min(lowest, *energies)
        ax.plot(d, energies, f"C{k}", label="–".join(pair))
        if pair in shortest:
            ax.axvline(shortest[pair], color=f"C{k}", linestyle=":")
    depth = max(0.5, -lowest)
    ax.set(xlabel="distance (Å)", ylabel="dimer energy (eV)", ylim=(-1.5 * depth, 4 * depth))
    ax.legend()
    return figure


def trimer_curves(model: Model, distance: float | None = None) -> Figure:
    """Plot the energy of three atoms of one element over the angle between two bonds, each of length `distance` (Å)."""
    from ase import Atoms

    calculator = evaluator_of(model).calculator
    d = calculator.rcut / 2.5 if distance is None else distance
    angles = np.linspace(40, 180, 141)
    figure, (ax,) = panels(1)
    for element in calculator.elements:
        alone = 3 * potential_energy(Atoms([element]), model)
        energies = []
        for angle in np.radians(angles):
            positions = [[0, 0, 0], [d, 0, 0], [d * np.cos(angle), d * np.sin(angle), 0]]
            energies.append(potential_energy(Atoms([element] * 3, positions), model) - alone)
        ax.plot(angles, energies, label=f"{element}, {d:.2f} Å")
    ax.set(xlabel="angle (°)", ylabel="trimer energy (eV)")
    ax.legend()
    return figure


def radial_basis(model: Model, n_shown: int = 6) -> Figure:
    """Plot the first radial functions, many-body and pair, that there are between two atoms of the first element."""
    parts = linear_potentials(model)
    figure, axes = panels(len(parts))
    for ax, part in zip(axes, parts, strict=True):
        rembed, rcut = part.layer.rembed, float(part.rcuts[0, 0])
        d = np.linspace(0.02 * rcut, rcut, 400)
        values = rembed.evaluate(d, 0, 0)
        present = np.flatnonzero(values.any(axis=0))[:n_shown]
        for k in present.tolist():
            ax.plot(d, values[:, k], label="n = {}, l = {}".format(*rembed.spec[k]))
        inside = np.abs(values[d > 0.3 * rcut][:, present])
        limit = 1.2 * float(inside.max(initial=1e-3))
        kind = "many-body" if isinstance(part, ETACEPotential) else "pair"
        ax.set(xlabel="distance (Å)", ylabel=f"{kind} radial function", ylim=(-limit, limit))
        ax.legend(fontsize="small")
    return figure


def distributions(data: Dataset, rcut: float) -> Figure:
    """Plot the radial (per pair of elements) and angular distribution of neighbors within `rcut` (Å)."""
    figure, (radial, angular) = panels(2)
    edges = np.linspace(0, rcut, 151)
    centres = (edges[1:] + edges[:-1]) / 2
    counts: dict[tuple[str, str], FloatArray] = {}
    cosines = []
    for c in data:
        i, j, D, d = _pairs(c.atoms, rcut)
        symbols = np.array(c.atoms.get_chemical_symbols())
        for pair in product(sorted(set(symbols.tolist())), repeat=2):
            chosen = (symbols[i] == pair[0]) & (symbols[j] == pair[1])
            if pair[0] <= pair[1] and chosen.any():
                histogram = np.histogram(d[chosen], edges)[0].astype(np.float64)
                counts[pair] = counts.get(pair, np.zeros(len(centres))) + histogram
        if len(c) <= _MAX_DENSE:
            cosines.append(_cosines(i, D, d, len(c), 0.6 * rcut))
    for pair, histogram in counts.items():
        shells = 4 * np.pi * centres**2 * (edges[1] - edges[0])
        radial.plot(centres, histogram / (shells * data.n_atoms), label="–".join(pair))
    radial.set(xlabel="distance (Å)", ylabel="neighbors per atom and volume (Å⁻³)")
    if counts:
        radial.legend()
    angles = np.degrees(np.arccos(np.clip(np.concatenate([np.zeros(0), *cosines]), -1, 1)))
    angular.hist(angles, bins=list(np.linspace(0, 180, 91)), histtype="step", density=bool(len(angles)))
    angular.set(xlabel=f"angle (°), bonds up to {0.6 * rcut:.1f} Å", ylabel="density")
    return figure


def panels(n: int) -> tuple[Figure, list[Axes]]:
    """Return a figure of n panels side by side, which no window shows."""
    from matplotlib.figure import Figure

    n = max(n, 1)
    figure = Figure(figsize=(4.6 * n, 3.8), layout="constrained")
    return figure, [figure.add_subplot(1, n, k + 1) for k in range(n)]


def _pairs(atoms: Any, rcut: float) -> tuple[Any, Any, FloatArray, FloatArray]:
    cell = np.ascontiguousarray(atoms.cell.array)
    found = find_neighbors(np.ascontiguousarray(atoms.positions), cell, atoms.pbc, rcut)
    i, j, _, D, d = found.edges(atoms.positions, cell, rcut)
    return i, j, D, d


def _cosines(i: Any, D: FloatArray, d: FloatArray, n_atoms: int, rcut: float) -> FloatArray:
    """Return the cosines between all bonds of the same centre, each pair once."""
    near = d < rcut
    unit, centre = D[near] / d[near, None], i[near]
    parts = [np.zeros(0)]
    for atom in range(n_atoms):
        bonds = unit[centre == atom]
        upper = np.triu_indices(len(bonds), 1)
        parts.append((bonds @ bonds.T)[upper])
    return np.concatenate(parts)


def _shortest(data: Dataset) -> dict[tuple[str, str], float]:
    """Return the shortest distance of each pair of elements."""
    shortest: dict[tuple[str, str], float] = {}
    for c in data:
        i, j, _, d = _pairs(c.atoms, 4.0)
        symbols = c.atoms.get_chemical_symbols()
        order = np.argsort(-d)  # the shortest last
        found = {(symbols[i[k]], symbols[j[k]]): float(d[k]) for k in order}
        for pair, distance in found.items():
            shortest[pair] = min(distance, shortest.get(pair, np.inf))
    return shortest
