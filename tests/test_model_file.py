"""Model files: what is saved comes back bit for bit."""

import json
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from ase.calculators.lj import LennardJones
from numpy.testing import assert_allclose, assert_array_equal
from reference import structures
from reference.model_zoo import DIGEST, MODELS, sealed, small, trained, tutorial, with_callables

import acepair
from acepair.basis.tabulated import TabulatedRadialEmbedding
from acepair.io import container, read_metadata
from acepair.io.plan_tensors import plan_tensors, read_plans
from acepair.lowering import lower
from acepair.models.convert import as_calculator

ATOMS = ("triclinic", "slab", "molecule", "axes", "far_apart", "empty")


@pytest.fixture(scope="module")
def small_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("small") / "small.acepair"
    acepair.save_model(small(), path)
    return path


# ----------------------------------------------------------------------------------------------------- round trips


def saved(model, path):
    acepair.save_model(model, path)
    return acepair.load_model(path)


def assert_same_results(a, b, elements):
    for name in ATOMS:
        atoms = structures.ALL[name](acepair.elements.numbers_of(elements).tolist())
        for mine, theirs in zip(
            acepair.energy_forces_virial(atoms, a), acepair.energy_forces_virial(atoms, b), strict=True
        ):
            assert_array_equal(mine, theirs)
        assert_array_equal(acepair.site_energies(atoms, a), acepair.site_energies(atoms, b))


@pytest.mark.parametrize("name", MODELS)
def test_comes_back_bit_for_bit(tmp_path, name):
    model = MODELS[name](tmp_path)
    loaded = saved(model, tmp_path / "model.acepair")
    assert type(loaded) is type(model)
    assert loaded.elements == model.elements
    assert_array_equal(loaded.rcuts, model.rcuts)
    assert_array_equal(acepair.get_linear_parameters(loaded), acepair.get_linear_parameters(model))
    assert_same_results(model, loaded, model.elements)
    # after a change of parameters all coefficients are lowered anew
    if acepair.length_basis(model):
        assert_same_results(trained(model, 8), trained(loaded, 8), model.elements)


@pytest.mark.parametrize("name", MODELS)
def test_saving_again_gives_the_same_file(tmp_path, name):
    loaded = saved(MODELS[name](tmp_path), tmp_path / "first.acepair")
    saved(loaded, tmp_path / "second.acepair")
    assert (tmp_path / "first.acepair").read_bytes() == (tmp_path / "second.acepair").read_bytes()


@pytest.mark.parametrize("name", MODELS)
def test_plans_of_the_file_are_those_of_the_model(tmp_path, name):
    model = MODELS[name](tmp_path)
    acepair.save_model(model, tmp_path / "model.acepair")
    _, tensors = container.read(tmp_path / "model.acepair")
    expected = plan_tensors(lower(as_calculator(model)), model.elements)
    assert {key for key in tensors if key.startswith("plan/")} == set(expected)
    again = plan_tensors(read_plans(tensors, model.elements), model.elements)
    for key, array in expected.items():
        assert_array_equal(tensors[key], array, strict=True)
        assert_array_equal(again[key], array, strict=True)


def test_basis_functions_and_declaration(tmp_path):
    model = tutorial(max_level=7)
    loaded = saved(model, tmp_path / "model.acepair")
    assert loaded.rembed == model.rembed
    assert loaded.pair_rembed == model.pair_rembed
    assert loaded.yembed == model.yembed
    assert loaded.E0s == model.E0s
    mine, theirs = model.basis.coupling, loaded.basis.coupling
    assert mine.mb_spec_of_B == theirs.mb_spec_of_B
    assert loaded.basis.radial_spec == model.basis.radial_spec
    assert_array_equal(mine.A_spec, theirs.A_spec)
    atoms = structures.triclinic([14, 8])
    for a, b in zip(
        acepair.energy_forces_virial_basis(atoms, model), acepair.energy_forces_virial_basis(atoms, loaded), strict=True
    ):
        assert_array_equal(a, b)


def test_callables_become_tables(tmp_path):
    model = with_callables()
    loaded = saved(model, tmp_path / "model.acepair")
    r = np.linspace(0.3, 3.99, 200)
    for mine, theirs in ((model.rembed, loaded.rembed), (model.pair_rembed, loaded.pair_rembed)):
        assert isinstance(theirs, TabulatedRadialEmbedding)
        assert theirs.n_parameters == 0
        assert theirs.splinify() is theirs
        for zi, zj in np.ndindex(2, 2):
            R = mine.evaluate(r, zi, zj)
            assert_allclose(theirs.evaluate(r, zi, zj), R, rtol=0, atol=1e-11 * np.abs(R).max())
            dR = (mine.evaluate(r + 1e-5, zi, zj) - mine.evaluate(r - 1e-5, zi, zj)) / 2e-5
            assert_allclose(theirs.derivative(r, zi, zj), dR, rtol=0, atol=1e-7 * np.abs(dR).max())
            assert not theirs.evaluate(theirs.rcut[zi, zj], zi, zj).any()
    assert_array_equal(loaded.rembed.rcut, model.rcuts)
    again = saved(loaded, tmp_path / "again.acepair")
    assert again.rembed == loaded.rembed
    assert hash(again.rembed) == hash(loaded.rembed)
    assert again.rembed != loaded.pair_rembed
    assert "9 functions" in repr(loaded.rembed)


def test_loaded_models_are_independent(small_file):
    first, second = acepair.load_model(small_file), acepair.load_model(str(small_file))
    acepair.set_linear_parameters(first, [1.0, 2.0])
    assert_array_equal(acepair.get_linear_parameters(second), [0.3, -0.7])


def test_models_of_one_session_do_not_matter(tmp_path):
    """A file must not depend on what was evaluated before it was written, nor on who lowered the model."""
    acepair.save_model(tutorial(max_level=6), tmp_path / "fresh.acepair")
    used = tutorial(max_level=6)
    acepair.potential_energy(structures.triclinic([14, 8]), used)
    acepair.save_model(used, tmp_path / "used.acepair")
    assert (tmp_path / "fresh.acepair").read_bytes() == (tmp_path / "used.acepair").read_bytes()


# -------------------------------------------------------------------------------------------------------- metadata


def test_metadata(tmp_path):
    path = tmp_path / "model.acepair"
    acepair.save_model(tutorial(max_level=6), path, provenance={"fitted to": ["a.xyz"], "rmse (meV)": 3.5, "by": "Å"})
    found = read_metadata(path)
    assert found["format_version"] == 1
    assert found["elements"] == ("Si", "O")
    assert found["units"] == {"energy": "eV", "length": "Angstrom"}
    assert found["provenance"].pop("acepair")
    assert found["provenance"] == {"fitted to": ["a.xyz"], "rmse (meV)": 3.5, "by": "Å"}
    assert found["spec"]["many_body"]["rembed"]["transform"][0][1]["kind"] == "agnesi"
    with pytest.raises(FileNotFoundError):
        read_metadata(tmp_path / "nothing.acepair")


@pytest.mark.parametrize("provenance", [{"x": np.zeros(2)}, {"x": np.nan}, {"x": {1, 2}}])
def test_provenance_that_json_cannot_hold(tmp_path, provenance):
    with pytest.raises((TypeError, ValueError)):
        acepair.save_model(small(), tmp_path / "model.acepair", provenance=provenance)
    assert not list(tmp_path.iterdir())


def test_safetensors_reads_the_file(small_file):
    safetensors = pytest.importorskip("safetensors")
    from safetensors.numpy import load_file

    metadata, tensors = container.read(small_file)
    with safetensors.safe_open(small_file, "np") as file:
        assert file.metadata() == metadata
    theirs = load_file(small_file)
    assert theirs.keys() == tensors.keys()
    for name, array in theirs.items():
        assert_array_equal(tensors[name], array, strict=True)


def test_layout_is_as_documented(small_file):
    content = small_file.read_bytes()
    n_header = int.from_bytes(content[:8], "little")
    assert n_header % 8 == 0
    assert content[8:].startswith(b'{"__metadata__":{"format":"acepair","format_version":"1","sha256":"')
    assert content == sealed(content)
    header = json.loads(content[8 : 8 + n_header])
    assert header.pop("__metadata__")["sha256"] == content[DIGEST].decode()
    ends = [0]
    for entry in header.values():
        begin, end = entry["data_offsets"]
        size = {"F64": 8, "I32": 4}[entry["dtype"]]
        assert begin == ends[-1]
        assert begin % size == 0
        assert end - begin == size * np.prod(entry["shape"], dtype=int)
        ends.append(end)
    assert 8 + n_header + ends[-1] == len(content)


# --------------------------------------------------------------------------------------------------- what is saved


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (acepair.StackedCalculator([small(), LennardJones()]), "component 1 .* LennardJones is an ASE calculator"),
        (small().layer, "not a ETACE; wrap the layer"),
        (LennardJones(), "not a LennardJones"),
        ("model.acepair", "not a str"),
    ],
)
def test_what_no_file_can_hold(tmp_path, model, message):
    with pytest.raises(TypeError, match=message):
        acepair.save_model(model, tmp_path / "model.acepair")
    assert not list(tmp_path.iterdir())


def test_arguments_in_the_wrong_order(tmp_path):
    with pytest.raises(TypeError, match="path must be a str or a Path, got ETACEPotential; the model comes first"):
        acepair.save_model(tmp_path / "model.acepair", small())


@pytest.mark.parametrize("name", ["model", "model.npz", "acepair", ".acepair", "model.acepair.txt"])
def test_suffix(tmp_path, name):
    with pytest.raises(ValueError, match=r"path must end in \.acepair, got .*" + name):
        acepair.save_model(small(), tmp_path / name)


def test_exponents_that_no_reader_accepts(tmp_path):
    radial = acepair.RadialEmbedding(
        acepair.AgnesiTransform(2, 2, 0.0, 2.0, 4.0),
        acepair.PolyEnvelope2sX(2, 2000),
        acepair.legendre(2),
        [(1, 0)],
        "Si",
    )
    layer = acepair.ETPairModel(radial, acepair.SelectLinear(1, "Si"))
    with pytest.raises(ValueError, match=r"0 \.\.\. 1000, got 2000"):
        acepair.save_model(acepair.ETPairPotential(layer, 4.0), tmp_path / "model.acepair")


# ----------------------------------------------------------------------------------------------------- atomic writes


@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()])
def test_interrupted_save_leaves_the_old_file(tmp_path, monkeypatch, error):
    path = tmp_path / "model.acepair"
    acepair.save_model(small(), path)
    before = path.read_bytes()

    def fail(descriptor):
        raise error

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(type(error)):
        acepair.save_model(tutorial(max_level=5), path)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["model.acepair"]


def test_readers_see_whole_files_only(tmp_path):
    path, models = tmp_path / "model.acepair", (small(), tutorial(max_level=5))
    acepair.save_model(models[0], path)
    done = threading.Event()

    def write():
        try:
            for k in range(40):
                acepair.save_model(models[k % 2], path)
        finally:
            done.set()

    writer = threading.Thread(target=write)
    writer.start()
    found = set()
    while not done.is_set():
        found.add(acepair.load_model(path).elements)
    writer.join()
    assert found <= {("Si",), ("Si", "O")}


def test_links_and_permissions(tmp_path):
    target = tmp_path / "target.acepair"
    acepair.save_model(small(), target)
    umask = os.umask(0o022)
    os.umask(umask)
    assert stat.S_IMODE(target.stat().st_mode) == 0o666 & ~umask
    (tmp_path / "link.acepair").symlink_to(target)
    before = target.read_bytes()
    acepair.save_model(tutorial(max_level=5), tmp_path / "link.acepair")
    assert (tmp_path / "link.acepair").is_symlink()
    assert target.read_bytes() != before
    with pytest.raises(FileNotFoundError):
        acepair.save_model(small(), tmp_path / "nowhere" / "model.acepair")


# ----------------------------------------------------------------------------------------------------------- imports


def test_a_fresh_process_loads_little(tmp_path):
    path = tmp_path / "model.acepair"
    model = tutorial(max_level=6)
    acepair.save_model(model, path)
    script = (
        "import sys\nfrom ase import Atoms\nimport acepair\n"
        f"model = acepair.load_model({str(path)!r})\n"
        "atoms = Atoms('SiO2', [[0, 0, 0], [1.6, 0.1, 0], [-0.7, 1.5, 0.3]])\n"
        "print(acepair.potential_energy(atoms, model).hex())\n"
        "heavy = {'scipy', 'safetensors', 'pickle', 'ase.build', 'ase.neighborlist', 'ase.io', 'matplotlib'}\n"
        "print(sorted(heavy & sys.modules.keys()))\n"
    )
    root = str(Path(acepair.__file__).parents[1])
    output = subprocess.run(
        [sys.executable, "-c", script],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": root},
    ).stdout.split("\n")
    atoms = structures.Atoms("SiO2", [[0, 0, 0], [1.6, 0.1, 0], [-0.7, 1.5, 0.3]])
    assert float.fromhex(output[0]) == acepair.potential_energy(atoms, model)
    assert output[1] in ("[]", "['pickle']")  # NumPy's own
