"""Energies, forces and virials of many structures, usually small ones, in few calls of the kernels.

Structures are joined to parts of some thousand atoms. A part is to the kernels one system, in which atoms of different
structures have no neighbours in common; energies and virials are then summed by structure.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, pairwise
from typing import Any, NamedTuple

import numpy as np

from . import _joined, _kernels
from ._types import FloatArray, IntArray
from .engine_plan import ReadyPlan
from .evaluate import Evaluation, Evaluator, Model, add_ase, evaluator_of
from .models.stacked import StackedCalculator
from .neighbors import NeighborList
from .search import MAX_TESTS, search_by_vesin
from .structure import Structures, naming_structure, read_structures, refuse_coincident

#: bounds memory; all of a part stays in a cache of the CPU. Whatever the number of threads: sums depend on the parts
ATOMS_PER_PART = 1024


class BatchResult(NamedTuple):
    """Results of `evaluate_batch`, in the order of the structures."""

    energies: FloatArray  #: (n_structures,) eV
    forces: list[FloatArray]  #: (n_atoms, 3) for each structure, eV/Å, parts of larger arrays; empty without gradients
    virials: FloatArray  #: (n_structures, 3, 3) eV; (0, 3, 3) without gradients


def evaluate_batch(
    structures: Iterable[Any], calc: Model, *, gradients: bool = True, threads: int | None = None
) -> BatchResult:
    """Return energies, forces and virials of structures, as `energy_forces_virial` of each, but sooner.

    Parameters
    ----------
    structures : iterable of ase.Atoms
        Of any sizes and compositions; a generator is read part by part, so that memory beyond the results is bounded
        by the largest structure or some thousand atoms.
    calc : potential, StackedCalculator or ACEModel
    gradients : bool
        False leaves out forces and virials.
    threads : int, optional
        The CPUs this process may use, at most OMP_NUM_THREADS, unless given. Results do not depend on it.

    Raises
    ------
    ValueError
        If a structure cannot be evaluated, see `potential_energy`; the message begins with its index.

    See Also
    --------
    Batch : keeps neighbour lists for structures that are evaluated again.
    """
    evaluator = evaluator_of(calc)
    with evaluator.using(threads):
        parts = (_Part(group, begin) for begin, group in _groups(structures))
        return _gather(part.evaluate(evaluator, gradients) for part in parts)


class Batch:
    """Structures that are evaluated again and again: after changes of linear parameters, or of positions.

    Structures are read anew in every evaluation. Their neighbour lists are kept, and made anew (for a part of some
    thousand atoms at a time) when they no longer hold all pairs.

    Parameters
    ----------
    structures : iterable of ase.Atoms
        Kept, not copied: change their positions, cells or species in place.
    calc : potential, StackedCalculator or ACEModel
        Changes of its linear parameters take effect at the next evaluation.
    skin : float
        Neighbours are searched this much (Å) beyond the cutoff; 0 reuses lists for unchanged structures only.
    threads : int, optional
        As for `evaluate_batch`.

    Attributes
    ----------
    structures : tuple of ase.Atoms
    n_rebuilds, n_reuses : int
        How often the lists of a part were made and used again.

    Notes
    -----
    Lists take about 4 bytes a pair and 16 an image, 3 kB for 8 atoms with 34 neighbours each. Not to be used by two
    threads at the same time.

    Examples
    --------
    >>> batch = Batch(structures, model)
    >>> for theta in samples:
    ...     set_linear_parameters(model, theta)
    ...     energies = batch.evaluate(gradients=False).energies
    """

    def __init__(
        self, structures: Iterable[Any], calc: Model, *, skin: float = 0.0, threads: int | None = None
    ) -> None:
        self.structures = tuple(structures)
        self._evaluator = Evaluator(calc, skin=skin, threads=threads)
        self._parts = [_Part(group, begin) for begin, group in _groups(self.structures)]

    def __len__(self) -> int:
        return len(self.structures)

    @property
    def n_rebuilds(self) -> int:
        """How often the lists of a part were made."""
        return sum(part.n_rebuilds for part in self._parts)

    @property
    def n_reuses(self) -> int:
        """How often the lists of a part were used again."""
        return sum(part.n_reuses for part in self._parts)

    def evaluate(self, *, gradients: bool = True) -> BatchResult:
        """Return energies, forces and virials of the structures as they are now; errors as `evaluate_batch`."""
        return _gather(part.evaluate(self._evaluator, gradients) for part in self._parts)


class JoinedNeighborList(NeighborList):
    """Neighbour list of structures one after the other: all atoms, then all images."""

    __slots__ = ("atom_first", "image_first")

    atom_first: IntArray  #: (n_structures + 1,) where the atoms of each structure begin
    image_first: IntArray  #: (n_structures + 1,) where its images do, 0 being the first image

    def __init__(self, lists: _joined.Lists, atom_first: IntArray) -> None:
        first, neighbor, image_owner, image_shift, self.image_first = lists.join()
        super().__init__(first, neighbor, image_owner, image_shift)
        self.atom_first = atom_first

    def pack_joined(self, structures: Structures, species: Any, out: FloatArray) -> None:
        """Fill out with x, y, z (Å) relative to the first atom of a structure, and species, of atoms and images."""
        positions, first, cells, *_ = structures
        _joined.pack(positions, first, cells, species, self.image_owner, self.image_shift, self.image_first, out)


class _Part:
    """Structures that are evaluated together, the first of which has index `begin`, and their lists."""

    def __init__(self, atoms: Sequence[Any], begin: int) -> None:
        self.atoms, self.begin = atoms, begin
        self.n_rebuilds = self.n_reuses = 0
        self._lists: JoinedNeighborList | None = None
        self._made_for: _joined.References | None = None

    def evaluate(self, evaluator: Evaluator, gradients: bool) -> tuple[FloatArray, list[FloatArray], FloatArray]:
        """Return energies, forces and virials of the structures."""
        structures = read_structures(self.atoms, evaluator.table, self.begin)
        n, n_atoms = len(self.atoms), len(structures.positions)
        site_energies = np.zeros(n_atoms)
        forces, virials = (np.zeros((n_atoms, 3)), np.zeros((n, 3, 3))) if gradients else (None, None)
        for plan in evaluator.plans():
            if plan.has_edges and n_atoms:
                self._run(evaluator, plan, structures, site_energies, forces, virials)
            else:
                site_energies += plan.E0[plan.species(structures.species)]
        energies = np.zeros(n)
        _joined.add_energies(structures.first, site_energies, energies)
        first = structures.first.tolist()
        by_structure = [forces[a:b] for a, b in pairwise(first)] if forces is not None else []
        if isinstance(evaluator.calculator, StackedCalculator):
            for other in evaluator.calculator.ase_calculators:
                self._add_ase(other, energies, by_structure, virials)
        return energies, by_structure, np.zeros((0, 3, 3)) if virials is None else virials

    def _run(
        self,
        evaluator: Evaluator,
        plan: ReadyPlan,
        structures: Structures,
        site_energies: FloatArray,
        forces: FloatArray | None,
        virials: FloatArray | None,
    ) -> None:
        """Add a plan's results."""
        lists = self._neighbors(evaluator, structures)
        species = plan.species(structures.species)
        packed, extended = plan.rows(lists.n_atoms + lists.n_images)
        lists.pack_joined(structures, species, packed)
        extended.fill(0)
        coincident = _kernels.evaluate(
            plan.engine,
            evaluator.memory,
            packed,
            lists.first,
            lists.neighbor,
            lists.centres,
            site_energies,
            None if forces is None else extended,
            None,
            None,
            None,
            evaluator.threads,
        )
        if coincident[0] >= 0:
            self._refuse_coincident(coincident, packed, lists)
        if forces is not None and virials is not None:
            _joined.add_virials(structures.first, lists.image_first, packed, extended, virials)
            forces += lists.fold(extended)[:, :3]

    def _neighbors(self, evaluator: Evaluator, structures: Structures) -> JoinedNeighborList:
        """Return lists that hold all pairs within the cutoff."""
        cache = evaluator.cache
        assert cache is not None  # some plan has edges
        positions, first, cells, pbc, numbers, _ = structures
        if self._lists is not None and self._made_for is not None:
            if self._made_for.covers(positions, first, cells, pbc, numbers, cache.rcut, cache.skin):
                self.n_reuses += 1
                return self._lists
        self._lists = self._made_for = None  # first: not to hold two lists at a time
        self._lists = self._search(structures, cache.rcut + cache.skin, evaluator.threads)
        self._made_for = _joined.References(positions, first, cells, pbc, numbers)
        self.n_rebuilds += 1
        return self._lists

    def _search(self, structures: Structures, cutoff: float, threads: int) -> JoinedNeighborList:
        lists = _joined.Lists()
        positions, first, cells, pbc, _, _ = structures
        for k in lists.search(positions, first, cells, pbc, cutoff, MAX_TESTS, threads):
            one = structures.structure(k)
            with naming_structure(self.begin + k):
                lists.put(k, *search_by_vesin(one.positions, one.cell, one.pbc, cutoff, threads=threads))
        return JoinedNeighborList(lists, first)

    def _refuse_coincident(self, pair: tuple[int, int], packed: FloatArray, lists: JoinedNeighborList) -> None:
        i, j = pair
        k = int(np.searchsorted(lists.atom_first, i, side="right")) - 1
        distance = float(np.linalg.norm(packed[i, :3] - packed[j, :3]))
        begin = int(lists.atom_first[k])
        with naming_structure(self.begin + k):
            refuse_coincident(i - begin, int(lists.owner[j]) - begin, distance)

    def _add_ase(
        self, calculator: Any, energies: FloatArray, forces: list[FloatArray], virials: FloatArray | None
    ) -> None:
        """Add what an ASE calculator gives for each structure."""
        for k, atoms in enumerate(self.atoms):
            out = Evaluation(np.zeros(0), 0.0)
            if virials is not None:
                out.forces, out.virial = forces[k], virials[k]
            try:
                add_ase(calculator, atoms, out, virials is not None)
            except Exception as error:
                error.add_note(f"structure {self.begin + k}: in {type(calculator).__name__}")
                raise
            energies[k] += out.energy


def _groups(structures: Iterable[Any]) -> Iterator[tuple[int, list[Any]]]:
    """Return structures in groups of some thousand atoms, each with the index of its first."""
    begin, n_atoms = 0, 0
    group: list[Any] = []
    if hasattr(structures, "positions"):
        raise TypeError("structures must be many: give [atoms] for one")
    for k, atoms in enumerate(structures):
        if not hasattr(atoms, "positions"):
            raise TypeError(f"structure {k}: must be an ase.Atoms, got {atoms!r}")
        group.append(atoms)
        n_atoms += len(atoms.positions)
        if n_atoms >= ATOMS_PER_PART or len(group) >= ATOMS_PER_PART:
            yield begin, group
            begin, group, n_atoms = begin + len(group), [], 0
    if group:
        yield begin, group


def _gather(results: Iterable[tuple[FloatArray, list[FloatArray], FloatArray]]) -> BatchResult:
    parts = list(results)
    return BatchResult(
        np.concatenate([np.zeros(0), *(energies for energies, _, _ in parts)]),
        list(chain.from_iterable(forces for _, forces, _ in parts)),
        np.concatenate([np.zeros((0, 3, 3)), *(virials for _, _, virials in parts)]),
    )
