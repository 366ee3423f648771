"""What reports remark on: odd data, references, and fits."""

import warnings
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.lj import LennardJones

import acepair
from acepair.cli import main
from acepair.fitting import fit, read_dataset

LJ = {"sigma": 2.0, "epsilon": 0.5, "rc": 4.0, "smooth": True}


def frames(n=8, seed=0, per_atom=0.0):
    made = []
    for k in range(n):
        atoms = bulk("Si", "diamond", 5.4 + 0.05 * k, cubic=True)
        atoms.rattle(0.1, seed=seed + k)
        atoms.calc = LennardJones(**LJ)
        atoms.info["virial"] = -atoms.get_volume() * atoms.get_stress(voigt=False)
        atoms.info["energy"] = atoms.get_potential_energy() + per_atom * len(atoms)
        atoms.arrays["forces"] = atoms.get_forces()
        atoms.calc = None
        made.append(atoms)
    return made


def isolated(element, energy):
    return Atoms(element, info={"energy": energy, "config_type": "IsolatedAtom"})


def model(elements="Si"):
    return acepair.ace1_model(elements=elements, order=2, totaldegree=5, rcut=4.0)


def found(data=None, elements="Si", **options):
    return fit(model(elements), frames() if data is None else data, threads=1, **options)


def the_remark(result, text):
    (remark,) = [r for r in result.remarks if text in r]
    assert f"Note: {remark}" in result.report
    return remark


def test_ordinary_fits_have_none():
    assert found().remarks == []
    assert found(frames(per_atom=-5.0), E0s="lsq", test=frames(seed=50)).remarks == []


def test_total_energies():
    the_remark(found(frames(per_atom=-100.0)), "about -1")
    assert not found(frames(per_atom=-100.0), E0s={"Si": -100.0}).remarks


def test_compositions_that_do_not_determine_energies():
    data = frames()
    for atoms in data:
        atoms.symbols[:4] = "Ge"
    result = found(data, ["Si", "Ge", "C"], E0s="lsq")
    the_remark(result, "do not determine the energies of Si, Ge one by one")
    the_remark(result, "no energy has C: taken as 0 eV")


def test_isolated_atoms_of_other_energies():
    data = [*frames(), isolated("Si", 0.7)]
    assert "configuration 8 (Si, +0.7 eV)" in the_remark(found(data), "no parameter changes the energy of isolated")
    assert not found(data, E0s={"Si": 0.7}).remarks


def test_fewer_rows_than_parameters():
    data = read_dataset(frames(1), forces_key=False, virial_key=False)
    the_remark(found(data), "1 rows for")


def test_keys_of_training_and_test_sets():
    test = frames(2, seed=30)
    for atoms in test:
        atoms.info["REF_energy"] = atoms.info.pop("energy")
    remark = the_remark(found(test=test), "give energy_key")
    assert "'energy' in the training set, 'REF_energy' in the test set" in remark


def test_copies():
    data = frames()
    the_remark(found(data + data[:2]), "2 configurations of the training set are copies of others")
    the_remark(found(data, test=data[:3] + frames(1, seed=40)), "3 configurations of the test set are in the training")


def test_virials_of_the_wrong_sign():
    data = frames()
    for atoms in data:
        atoms.info["virial"] *= -1
    the_remark(found(data), "virials are off by")
    the_remark(found(data, weights={"default": {"V": 0.01}}), "they have the opposite sign of the fit's")


def test_fits_relative_to_other_calculators(tmp_path, capsys):
    result = found(v_ref=LennardJones(**{**LJ, "epsilon": 0.2}))
    remark = the_remark(result, "the model is relative to v_ref")
    for text in ("LennardJones(", "epsilon=0.2", "in no file"):
        assert text in remark
    path = tmp_path / "a.acepair"
    result.save(path)
    assert main(["info", str(path)]) == 0
    assert "relative to v_ref: LennardJones(" in capsys.readouterr().out
    from ase.io import write

    write(tmp_path / "a.xyz", frames(2))
    assert main(["eval", str(path), str(tmp_path / "a.xyz")]) == 0
    assert "Note: the model is relative to LennardJones(" in capsys.readouterr().out
    pytest.importorskip("matplotlib")
    result.save_report(tmp_path / "a.html")
    assert "the model is relative to v_ref" in (tmp_path / "a.html").read_text()


def test_models_are_saved_as_they_were_fitted(tmp_path):
    result = found()
    acepair.set_linear_parameters(result.ace_model, np.zeros(len(result.theta)))
    result.save(tmp_path / "a.acepair")
    saved = acepair.load_model(tmp_path / "a.acepair")
    np.testing.assert_array_equal(acepair.get_linear_parameters(saved), result.theta)


def test_eval_of_files_with_gaps(tmp_path, capsys):
    from ase.io import write

    result = found()
    result.save(tmp_path / "a.acepair")
    data = frames(3)
    data[1].info["energy"] = np.nan
    data[2].pbc = False
    write(tmp_path / "a.xyz", data)
    command = ["eval", str(tmp_path / "a.acepair"), str(Path(tmp_path / "a.xyz"))]
    assert main(command) == 1
    assert "bad_labels='skip'" in capsys.readouterr().err
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert main([*command, "--bad-labels", "skip", "--open-virials", "use"]) == 0
    assert ["not finite" in str(w.message) for w in caught] == [True]
