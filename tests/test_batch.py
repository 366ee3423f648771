"""Batches of structures give what one structure after the other does; lists are kept as long as they hold."""

import copy
from functools import cache

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.emt import EMT
from numpy.testing import assert_allclose, assert_array_equal
from reference import structures
from reference.cases import model_path
from reference.copper import crystal, own_copper

import acepair
from acepair import Batch, StackedCalculator, batch, convert2et_full, evaluate_batch
from acepair.io import read_acejax

SI_O = [14, 8]
BUILDERS = [
    structures.diamond, structures.rocksalt, structures.fcc_primitive, structures.triclinic, structures.tiny,
    structures.slab, structures.disordered,
]  # fmt: skip


@cache
def silica():
    return read_acejax(model_path("sio_tutorial"))


def mixed():
    """Structures of all kinds, among them none and one atom, some in a cell and some not."""
    molecule = Atoms("SiO2", [[0, 0, 0], [1.6, 0, 0], [-0.3, 1.5, 0.2]])
    return [build(SI_O) for build in BUILDERS] + [Atoms(), Atoms("O"), molecule, Atoms(cell=[3, 3, 3], pbc=True)]


def assert_as_one_by_one(result, atoms, model):
    assert len(result.energies) == len(result.forces) == len(result.virials) == len(atoms)
    for k, each in enumerate(atoms):
        single = acepair.energy_forces_virial(each, model)
        scale = max(1.0, np.abs(single.virial).max())
        assert result.energies[k] == pytest.approx(single.energy, rel=1e-13)
        assert_allclose(result.forces[k], single.forces, rtol=0, atol=1e-14 * np.abs(single.forces).max(initial=1))
        assert_allclose(result.virials[k], single.virial, rtol=0, atol=1e-13 * scale)


@pytest.mark.parametrize("case", ["sio_tutorial", "si_order4", "tial_ace1"])
@pytest.mark.parametrize("atoms_per_part", [1, 20, 10**6])
def test_as_one_by_one(case, atoms_per_part, monkeypatch):
    monkeypatch.setattr(batch, "ATOMS_PER_PART", atoms_per_part)
    model = read_acejax(model_path(case))
    numbers = acepair.evaluate.evaluator_of(model).table.numbers.tolist()
    atoms = [build(numbers) for build in BUILDERS]
    assert_as_one_by_one(evaluate_batch(iter(atoms), model, threads=1), atoms, model)


def test_mixed_structures():
    assert_as_one_by_one(evaluate_batch(mixed(), silica()), mixed(), silica())


def test_structures_for_vesin_among_small_ones(monkeypatch):
    monkeypatch.setattr(batch, "MAX_TESTS", 1000)
    atoms = mixed()
    assert_as_one_by_one(evaluate_batch(atoms, silica()), atoms, silica())


def test_far_from_the_origin():
    atoms = structures.triclinic(SI_O)
    far = atoms.copy()
    far.positions += 3e5
    near, there = evaluate_batch([atoms, far], silica()).virials
    assert_allclose(there, near, atol=1e-8 * np.abs(near).max())


def test_threads_do_not_change_a_bit():
    """Several parts, each with blocks of both species that are not full."""
    atoms = mixed() * 60
    one, three = (evaluate_batch(atoms, silica(), threads=n) for n in (1, 4))
    assert_array_equal(one.energies, three.energies)
    assert_array_equal(one.virials, three.virials)
    for a, b in zip(one.forces, three.forces, strict=True):
        assert_array_equal(a, b)


def test_energies_alone():
    atoms = mixed()
    alone = evaluate_batch(atoms, silica(), gradients=False)
    assert_array_equal(alone.energies, evaluate_batch(atoms, silica()).energies)
    assert alone.forces == []
    assert alone.virials.shape == (0, 3, 3)


def test_no_structures():
    for result in (evaluate_batch([], silica()), Batch([], silica()).evaluate()):
        assert result.energies.shape == (0,)
        assert result.forces == []
        assert result.virials.shape == (0, 3, 3)


def test_arrays_belong_to_the_caller():
    atoms = mixed()
    kept = Batch(atoms, silica())
    first = kept.evaluate()
    before = copy.deepcopy(first)
    for array in (first.energies, first.virials, *first.forces):
        array += 1
    second = kept.evaluate()
    for a, b in zip([before.energies, *before.forces], [second.energies, *second.forces], strict=True):
        assert_array_equal(a, b)


def test_stack_with_one_body_and_ase_calculators():
    atoms = [crystal(), crystal(rattle=0.05), crystal(2, rattle=0.05)]
    model = StackedCalculator([convert2et_full(own_copper()), EMT()])
    assert_as_one_by_one(evaluate_batch(atoms, model), atoms, model)


def test_one_body_alone():
    model = acepair.ETOneBodyPotential(acepair.ETOneBody({"Si": -1.5, "O": 2.0}))
    atoms = mixed()
    assert_as_one_by_one(evaluate_batch(atoms, model), atoms, model)


# ---- errors name the structure


def bad_structures():
    good = structures.triclinic(SI_O)
    alien, nan, flat, same, image = (good.copy() for _ in range(5))
    alien.numbers[2] = 13
    nan.positions[1, 1] = np.nan
    flat.cell[2] = flat.cell[1]
    same.positions[3] = same.positions[1]
    image.positions[3] = image.positions[1] + image.cell[0]
    return {
        "model covers .* also has Al": alien,
        "positions must be finite .* for atom 1": nan,
        "cell must not be singular": flat,
        "atoms must be at least 1e-06 Å apart, got .* for atoms 1 and 3": same,
        "atoms must be at least 1e-06 Å apart, got .* for atoms [13] and [13]": image,
    }


@pytest.mark.parametrize("message", bad_structures())
@pytest.mark.parametrize("atoms_per_part", [1, 10**6])
def test_errors_name_the_structure(message, atoms_per_part, monkeypatch):
    monkeypatch.setattr(batch, "ATOMS_PER_PART", atoms_per_part)
    atoms = [*mixed()[:4], bad_structures()[message], *mixed()]
    for call in (lambda: evaluate_batch(atoms, silica(), threads=1), Batch(atoms, silica()).evaluate):
        with pytest.raises(ValueError, match=f"structure 4: {message}"):
            call()


def test_skewed_cell_is_named():
    skewed = Atoms("Si", cell=[[1, 0, 0], [5000, 1, 0], [-3, 2000, 0.5]], pbc=True)
    with pytest.raises(ValueError, match="structure 1: cell must not be so skewed"):
        evaluate_batch([Atoms("Si"), skewed], silica())


def test_arrays_of_other_types_are_converted_or_named():
    class Plain:
        positions, cell, pbc = [[0, 0, 0], [2, 0, 0]], np.zeros((3, 3)), [False] * 3

        def __init__(self, numbers):
            self.numbers = numbers

    atoms = [Atoms("SiO", [[0, 0, 0], [2, 0, 0]]), Plain([14, 8])]
    energies = evaluate_batch(atoms, silica()).energies
    assert energies[0] == energies[1]
    with pytest.raises(ValueError, match="structure 1: numbers must have one entry per position, got 1 for 2"):
        evaluate_batch([atoms[0], Plain([14])], silica())
    with pytest.raises(TypeError, match="structure 1: numbers must be int64"):
        evaluate_batch([atoms[0], Plain(["Si", "O"])], silica())


@pytest.mark.parametrize("threads", [0, -1])
def test_bad_threads(threads):
    with pytest.raises(ValueError, match="threads must be at least 1"):
        evaluate_batch(mixed(), silica(), threads=threads)
    with pytest.raises(ValueError, match="threads must be at least 1"):
        acepair.potential_energy(Atoms("Si"), silica(), threads=threads)


# ---- lists are kept


def test_lists_are_reused_while_they_hold():
    atoms = [structures.triclinic(SI_O), structures.slab(SI_O)]
    kept = Batch(atoms, silica(), skin=1.0)
    for step, counts in ((0.0, (1, 0)), (0.4, (1, 1)), (0.2, (2, 1)), (0.0, (2, 2))):
        atoms[1].positions[2, 0] += step
        result = kept.evaluate()
        assert (kept.n_rebuilds, kept.n_reuses) == counts
        for k, each in enumerate(atoms):
            single = acepair.energy_forces_virial(each, silica())
            assert result.energies[k] == pytest.approx(single.energy, rel=1e-12)
            assert_allclose(result.forces[k], single.forces, atol=1e-11)


@pytest.mark.parametrize("change", ["positions", "cell", "pbc", "numbers"])
def test_what_changes_results_is_never_missed(change):
    atoms = mixed()
    kept = Batch(atoms, silica())
    kept.evaluate()
    slab = atoms[5]
    if change == "positions":
        slab.positions[0, 0] += 1e-9
    elif change == "cell":
        slab.cell *= 1.01
    elif change == "pbc":
        slab.pbc = False
    else:
        slab.numbers[:] = 8
    assert_as_one_by_one(kept.evaluate(), atoms, silica())
    assert kept.n_rebuilds == 2


def test_atoms_added_between_evaluations():
    atoms = [structures.triclinic(SI_O), Atoms("Si")]
    kept = Batch(atoms, silica())
    kept.evaluate()
    atoms[1].append("O")
    atoms[1].positions[1] = [1.7, 0, 0]
    assert_as_one_by_one(kept.evaluate(), atoms, silica())


def test_parameters_changed_between_evaluations():
    model = copy.deepcopy(silica())
    atoms = mixed()
    kept = Batch(atoms, model)
    kept.evaluate()
    acepair.set_linear_parameters(model, 1.1 * acepair.get_linear_parameters(model))
    assert_as_one_by_one(kept.evaluate(), atoms, model)
    assert (kept.n_rebuilds, kept.n_reuses) == (1, 1)
    assert len(kept) == len(atoms)


# ---- threads of the functions for one structure


def test_threads_of_functions_count_for_one_call(monkeypatch):
    seen = []
    kernel = acepair.evaluate._kernels.evaluate
    monkeypatch.setattr(
        acepair.evaluate._kernels, "evaluate", lambda *args, **rest: seen.append(args[-1]) or kernel(*args, **rest)
    )
    atoms, model = structures.triclinic(SI_O), silica()
    default = acepair.threads.default_threads()
    for function in (
        acepair.potential_energy, acepair.forces, acepair.virial, acepair.energy_forces_virial,
        acepair.site_energies, acepair.site_grads,
    ):  # fmt: skip
        seen.clear()
        function(atoms, model, threads=7)
        function(atoms, model)
        assert seen == [7, default]


def test_threads_of_rows_count_for_one_call(monkeypatch):
    seen = []
    kernel = acepair.assembly._kernels.basis_rows
    monkeypatch.setattr(acepair.assembly._kernels, "basis_rows", lambda *args: seen.append(args[-1]) or kernel(*args))
    atoms, model = structures.triclinic(SI_O), acepair.ace_model(elements=["Si", "O"], order=2, max_level=5, seed=1)
    for function in (
        acepair.energy_forces_virial_basis, acepair.potential_energy_basis, acepair.site_basis,
        acepair.site_basis_jacobian,
    ):  # fmt: skip
        seen.clear()
        function(atoms, model, threads=5)
        assert set(seen) == {5}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: [structures.tiny(SI_O), None], r"^structure 1: must be an ase.Atoms, got None$"),
        (lambda: structures.tiny(SI_O), r"^structures must be many: give \[atoms\] for one$"),
    ],
)
def test_what_are_no_structures(make, message):
    with pytest.raises(TypeError, match=message):
        acepair.evaluate_batch(make(), silica())
