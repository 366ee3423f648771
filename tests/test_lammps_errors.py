"""Every mistake ends LAMMPS with a message that says what is wrong, on one rank and on two, and never hangs."""

import json
from functools import cache

import numpy as np
import pytest
from reference import structures
from reference.cases import model_path
from reference.lammps_run import header, hosting, lmp, run, standard, write_data

from acepair import StackedCalculator, ZBLPotential, load_model, save_model
from acepair.io import container
from acepair.io.acejax import read_acejax
from acepair.lammps.engine import Engine
from acepair.lammps.plugin import plugin_path

PAIR = "pair_style acepair\npair_coeff * * model.acepair Si O\n"


@cache
def model():
    """With two pair terms, a series and a table."""
    return StackedCalculator([*read_acejax(model_path("sio_tutorial")).components, ZBLPotential(("Si", "O"), 2.0)])


@pytest.fixture
def folder(tmp_path):
    save_model(model(), tmp_path / "model.acepair")
    write_data(tmp_path / "structure.data", standard(structures.triclinic((14, 8))), ["Si", "O"])
    return tmp_path


def start(units="metal"):
    return header(structures.diamond((14,))).replace("units metal", f"units {units}")


def refused(script, folder, ranks=1, **extra):
    done = run(script, folder, ranks=ranks, check=False, **extra)
    assert done.returncode != 0
    return done.stdout


@pytest.mark.parametrize("ranks", [1, 2])
@pytest.mark.parametrize(
    ("script", "message"),
    [
        (PAIR.replace("model.acepair", "nothing.acepair"), "Cannot read model nothing.acepair: no such file"),
        (PAIR.replace("Si O", "Si Al"), "Element Al is not in the model model.acepair (it has Si, O)"),
        (PAIR.replace("Si O", "Si"), "needs 'pair_coeff * * FILE' and an element or NULL for each of 2 atom types"),
        (PAIR.replace("* *", "1 *"), "must start with * * for pair style acepair"),
        ("pair_style acepair 5.5\n", "Pair style acepair takes no arguments, got 1"),
        ("pair_style acepair\n", "All pair coeffs are not set"),
    ],
)
def test_input_mistakes(script, message, ranks, folder):
    assert message in refused(start() + script + "run 0\n", folder, ranks)


@pytest.mark.parametrize("ranks", [1, 2])
@pytest.mark.parametrize("units", ["real", "lj"])
def test_wrong_units(units, ranks, folder):
    message = f"Pair style acepair requires metal units, got {units}"
    assert message in refused(start(units) + PAIR + "run 0\n", folder, ranks)


@pytest.mark.parametrize("ranks", [1, 2])
def test_newton_off(ranks, folder):
    script = "newton off\n" + start() + PAIR + "run 0\n"
    assert "Pair style acepair requires newton pair on" in refused(script, folder, ranks)


@pytest.mark.parametrize("ranks", [1, 2])
def test_atoms_in_the_same_place(ranks, folder):
    script = start() + PAIR + "set atom 2 x 1.0 y 1.0 z 1.0\nset atom 3 x 1.0 y 1.0 z 1.0\nrun 0\n"
    output = refused(script, folder, ranks)
    assert "are in the same place" in output


@pytest.mark.parametrize("style", ["acepair", "hybrid/overlay acepair"])
def test_scale_without_effect(style, folder):
    """Of a pair of types there is no energy to multiply."""
    pair = PAIR.replace("pair_style acepair", f"pair_style {style}")
    pair = pair.replace("* * model", "* * acepair model") if "hybrid" in style else pair
    adapt = "variable half equal 0.5\nfix a all adapt 1 pair acepair scale 1 2 v_half\n"
    assert "Pair style acepair: scale 1 2 has no effect" in refused(start() + pair + adapt + "run 0\n", folder, ranks=2)


def test_unknown_instruction_set(folder):
    output = refused(start() + PAIR + "run 0\n", folder, ACEPAIR_ISA="sse9")
    assert "ACEPAIR_ISA must be one of" in output
    assert "got sse9" in output
    assert "on rank" not in output


def without_import(folder):
    """A PYTHONPATH on which acepair cannot be imported, for want of NumPy."""
    package = folder / "broken" / "numpy"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise ImportError('broken')\n")
    return {"PYTHONPATH": str(package.parent)}


ONE_RANK = {
    "instruction set": ("acepair", lambda folder: {"ACEPAIR_ISA": "sse9"}, "got sse9 (on rank 1)"),
    "model": ("acepair", lambda folder: {"LAMMPS_POTENTIALS": "/nonexistent"}, "LAMMPS_POTENTIALS (on rank 1)"),
    "libpython": (
        "acepair/python cpu",
        lambda folder: {"ACEPAIR_LIBPYTHON": "/nonexistent/libpython.so"},
        "cannot open shared object file: No such file or directory (on rank 1)",
    ),
    "import": ("acepair/python cpu", without_import, "Python cannot import acepair, see above (on rank 1)"),
}


@pytest.mark.parametrize("what", ONE_RANK)
def test_what_one_rank_lacks_ends_all(what, folder):
    """Neither waits for the other, and both end in order: MPI is not aborted."""
    style, variables, message = ONE_RANK[what]
    (folder / "potentials").mkdir()
    (folder / "model.acepair").rename(folder / "potentials" / "model.acepair")
    known = {**hosting(), "LAMMPS_POTENTIALS": str(folder / "potentials")}
    script = start() + PAIR.replace("pair_style acepair", f"pair_style {style}") + "run 0\n"
    done = run(script, folder, check=False, other=variables(folder), **known)
    assert done.returncode != 0
    assert message in done.stdout
    assert "MPI_Abort" not in done.stdout


def test_other_units(folder):
    path = folder / "model.acepair"
    metadata, tensors = container.read(path)
    known = {key: value for key, value in metadata.items() if key not in ("format", "format_version", "sha256")}
    known["units"] = '{"energy":"Hartree","length":"Bohr"}'
    path.write_bytes(container.encode(known, tensors))
    message = 'its units must be eV and Angstrom, not {"energy":"Hartree","length":"Bohr"}'
    assert message in refused(start() + PAIR + "run 0\n", folder)
    for read in (Engine, load_model):
        with pytest.raises(ValueError, match=r"units must be .* got .*Hartree"):
            read(path)


@pytest.mark.parametrize("what", ["negative cutoff", "huge cutoff"])
def test_python_refuses_what_the_plugin_refuses(what, folder):
    DAMAGED[what][0](folder)
    with pytest.raises(ValueError, match="rcut must lie in"):
        Engine(folder / "model.acepair")


def damage(change):
    """The model file after a change of its bytes."""

    def write(folder):
        path = folder / "model.acepair"
        path.write_bytes(change(path.read_bytes()))

    return write


def forge(change):
    """A file with a good checksum, whose tensors were changed: what a careless or hostile writer could make."""

    def write(folder):
        path = folder / "model.acepair"
        metadata, tensors = container.read(path)
        known = {key: value for key, value in metadata.items() if key not in ("format", "format_version", "sha256")}
        arrays = {name: np.array(array) for name, array in tensors.items()}
        change(arrays)
        path.write_bytes(container.encode(known, arrays))

    return write


def setter(name, index, value):
    def change(tensors):
        tensors[name][index] = value

    return change


DAMAGED = {
    "empty": (damage(lambda content: b""), "it is empty"),
    "truncated": (damage(lambda content: content[: len(content) // 2]), "truncated"),
    "truncated in the header": (damage(lambda content: content[:500]), "truncated or damaged"),
    "truncated in the checksum": (damage(lambda content: content[:100]), "truncated"),
    "a bit": (damage(lambda content: content[:-100] + bytes([content[-100] ^ 1]) + content[-99:]), "checksum"),
    "a bit of the header": (damage(lambda content: content.replace(b"Angstrom", b"angstrom", 1)), "checksum"),
    "longer": (damage(lambda content: content + b"x"), "checksum"),
    "foreign": (damage(lambda content: b"PK\x03\x04" + content), "not an acepair model file"),
    "newer": (
        damage(lambda content: content.replace(b'"format_version":"1"', b'"format_version":"2"')),
        "written by a newer acepair: format 2, this is format 1; upgrade acepair",
    ),
    "missing tensor": (forge(lambda tensors: tensors.pop("plan/0/dag/parent")), "tensor plan/0/dag/parent is missing"),
    "leaf": (forge(setter("plan/0/dag/leaf_factor", 0, 10**6)), "plan/0/dag/leaf_factor must hold indices"),
    "negative parent": (forge(setter("plan/0/dag/parent", 0, -1)), "plan/0/dag/parent must hold indices"),
    "loop": (forge(setter("plan/0/dag/factor", 0, 60)), "plan/0/dag/factor must hold indices"),
    "run": (forge(setter("plan/0/runs", (-1, 1), 42)), "plan/0/runs must hold indices"),
    "runs that overlap": (forge(setter("plan/0/runs", (1, 1), 14)), "plan/0/runs must not overlap in part"),
    "starts": (forge(setter("plan/0/run_first", 1, 10**6)), "plan/0/run_first must ascend"),
    "degree": (forge(setter("plan/0/lmax", (), 101)), "plan/0/lmax is out of its range"),
    "kind": (forge(setter("plan/0/radial/transform", (0, 0), 7)), "names a transform that is not known"),
    "species": (forge(setter("plan/0/species", slice(None), [1, 0])), "must lead to the model's elements"),
    "recurrence in a pair term": (
        forge(setter("plan/0/pair/0/kind", (), 0)),
        "must be a series or a table in a pair term",
    ),
    "pair term of two functions": (forge(setter("plan/0/pair/1/n_functions", (), 2)), "must be 1 in a pair term"),
    "negative cutoff": (forge(setter("plan/0/rcut", 1, -5.5)), "plan/0/rcut must lie in 0 ... 10000 A"),
    "huge cutoff": (forge(setter("plan/0/radial/rcut", 1, 1e5)), "plan/0/radial/rcut must lie in 0 ... 10000 A"),
    "shape": (forge(lambda tensors: tensors.update({"plan/0/E0": np.zeros(3)})), "plan/0/E0 has the wrong shape"),
    "type": (forge(lambda tensors: tensors.update({"plan/0/E0": np.zeros(2, np.int32)})), "plan/0/E0 must be F64"),
}


@pytest.mark.parametrize("what", DAMAGED)
def test_damaged_file(what, folder):
    write, message = DAMAGED[what]
    write(folder)
    output = refused(start() + PAIR + "run 0\n", folder)
    assert "Cannot read model model.acepair: " in output
    assert message in output


@pytest.mark.parametrize("what", ["truncated", "leaf"])
def test_damaged_file_on_two_ranks(what, folder):
    write, message = DAMAGED[what]
    write(folder)
    assert message in refused(start() + PAIR + "run 0\n", folder, ranks=2)


def test_folder_in_place_of_a_file(folder):
    (folder / "model.acepair").unlink()
    (folder / "model.acepair").mkdir()
    assert "Cannot read model model.acepair" in refused(start() + PAIR + "run 0\n", folder)


@pytest.mark.parametrize("seed", range(8))
def test_random_damage_is_noticed(seed, folder):
    """One byte anywhere in the file."""
    path = folder / "model.acepair"
    content = bytearray(path.read_bytes())
    rng = np.random.default_rng(seed)
    content[rng.integers(len(content) if seed % 2 else 2000)] ^= 1 << rng.integers(8)
    path.write_bytes(content)
    assert "Cannot read model" in refused(start() + PAIR + "run 0\n", folder)


def test_header_of_unusual_json(folder):
    """Escapes and spaces do not matter to JSON, nor to the reader."""
    path = folder / "model.acepair"
    metadata, tensors = container.read(path)
    known = {key: value for key, value in metadata.items() if key not in ("format", "format_version", "sha256")}
    known["provenance"] = json.dumps({"note": 'quote " backslash \\ line\nend, Ångström 😀'})
    path.write_bytes(container.encode(known, tensors))
    run(start() + PAIR + "run 0\n", folder)


def test_plugin_load(folder):
    """By hand, where LAMMPS does not load plugins by itself."""
    lmp()
    script = f"plugin load {plugin_path()}\n" + start() + PAIR + "run 0\nplugin list\n"
    output = run(script, folder, LAMMPS_PLUGIN_PATH="").stdout
    assert "pair style plugin acepair" in output
