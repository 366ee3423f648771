"""The other ways into LAMMPS: acepair/python, pair_style python, ML-IAP."""

import atexit
import os
import pickle
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from gpu.host import COMPILER
from numpy.testing import assert_allclose
from reference import structures
from reference.cases import model_path
from reference.copper import copper, crystal
from reference.lammps_run import TO_BAR, environment, evaluate, header, lmp, run, standard, write_data

from acepair import energy_forces_virial, save_model
from acepair.evaluate import Evaluator
from acepair.io.acejax import read_acejax
from acepair.lammps.engine import Engine
from acepair.lammps.mliap import MLIAPACE
from acepair.lammps.plugin import export_python
from acepair.structure import read_structure

NATIVE = "pair_style acepair\npair_coeff * * model.acepair Si O\n"
PYTHON = NATIVE.replace("acepair\n", "acepair/python cpu\n", 1)


@cache
def model():
    return read_acejax(model_path("sio_tutorial"))


@pytest.fixture
def folder(tmp_path):
    save_model(model(), tmp_path / "model.acepair")
    save_model(copper(), tmp_path / "copper.acepair")
    return tmp_path


@pytest.fixture
def atoms():
    return standard(structures.triclinic((14, 8)))


@cache
def packages():
    """PYTHONPATH under which another interpreter finds what this one has, editable installations too."""
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder)
    sites = {sysconfig.get_path("platlib"), sysconfig.get_path("purelib")}
    lines = ["import site", *(f"site.addsitedir({path!r})" for path in sorted(sites))]
    (folder / "sitecustomize.py").write_text("\n".join(lines) + "\n")
    return os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH", "")]))


# -------------------------------------------------------------------------------------------------- acepair/python


@pytest.fixture
def hosting(monkeypatch):
    """What the entry point exports when LAMMPS starts."""
    for name in ("ACEPAIR_PYTHON", "ACEPAIR_LIBPYTHON"):
        monkeypatch.delenv(name, raising=False)
    export_python()
    exported = {name: os.environ.get(name) for name in ("ACEPAIR_PYTHON", "ACEPAIR_LIBPYTHON")}
    for name in exported:
        monkeypatch.delenv(name, raising=False)
    if exported["ACEPAIR_LIBPYTHON"] is None:
        pytest.skip("this Python has no shared library")
    return {"PYTHONPATH": packages(), **exported}


@pytest.fixture
def device(hosting, tmp_path):
    """A Python in LAMMPS whose CUDA device is the CPU, by the host shim of the GPU's tests."""
    if COMPILER is None:
        pytest.skip("no C++ compiler for the host shim")
    lines = [
        "import sys",
        f"exec(open({hosting['PYTHONPATH'].split(os.pathsep)[0] + '/sitecustomize.py'!r}).read())",
        f"sys.path.insert(0, {str(Path(__file__).parent)!r})",
        "import acepair.gpu.backend, gpu.host",
        "acepair.gpu.backend.cuda_backend = gpu.host.HostBackend",
    ]
    (tmp_path / "device").mkdir()
    (tmp_path / "device" / "sitecustomize.py").write_text("\n".join(lines))
    return hosting | {"PYTHONPATH": str(tmp_path / "device")}


@pytest.mark.parametrize("ranks", [1, 2])
def test_hosted_python_on_a_device_gives_the_native_numbers(ranks, folder, atoms, device):
    native = evaluate(atoms, NATIVE, ["Si", "O"], folder)
    hosted = evaluate(atoms, PYTHON.replace("cpu", "cuda"), ["Si", "O"], folder, ranks=ranks, **device)
    assert "Python on cuda" in hosted.output
    for quantity in ("energy", "forces", "virial", "energies", "virials", "centroid_virials"):
        wanted = getattr(native, quantity)
        assert_allclose(getattr(hosted, quantity), wanted, rtol=1e-11, atol=1e-11 * np.max(np.abs(wanted)))


@pytest.mark.parametrize("ranks", [1, 2])
@pytest.mark.parametrize("modify", ["", "pair_modify nofdotr\n"])
def test_hosted_python_gives_the_native_numbers(modify, ranks, folder, atoms, hosting):
    native = evaluate(atoms, NATIVE + modify, ["Si", "O"], folder)
    hosted = evaluate(atoms, PYTHON + modify, ["Si", "O"], folder, ranks=ranks, **hosting)
    assert "Python on cpu" in hosted.output
    for quantity in ("energy", "forces", "virial", "energies", "virials", "centroid_virials"):
        wanted = getattr(native, quantity)
        assert_allclose(getattr(hosted, quantity), wanted, rtol=1e-11, atol=1e-11 * np.max(np.abs(wanted)))


@pytest.mark.parametrize("ranks", [1, 2])
def test_hosted_python_follows_rebuilds(ranks, folder, hosting):
    atoms = crystal(3)
    write_data(folder / "structure.data", atoms, ["Cu"])
    commands = "neighbor 0.3 bin\nvelocity all create 1500 1 mom yes rot no loop geom\nfix 1 all nve\nrun 100\n"
    energies = []
    for style in ("acepair", "acepair/python cpu"):
        script = f"{header(atoms)}pair_style {style}\npair_coeff * * copper.acepair Cu\n{commands}"
        output = run(script + 'print "energy $(pe:%.17g)"\n', folder, ranks=ranks, **hosting).stdout
        assert int(re.search(r"Neighbor list builds = (\d+)", output)[1]) > 3
        energies.append(float(re.search(r"^energy (.*)$", output, re.MULTILINE)[1]))
    assert energies[0] == pytest.approx(energies[1], abs=1e-8)


@pytest.mark.parametrize("ranks", [1, 2])
@pytest.mark.parametrize(
    ("style", "message"),
    [
        ("acepair/python", "takes one argument, cpu or cuda"),
        ("acepair/python tpu", "takes one argument, cpu or cuda"),
        ("acepair/python cuda", 'device "cuda" needs'),
    ],
)
def test_hosted_python_mistakes(style, message, ranks, folder, atoms, hosting):
    write_data(folder / "structure.data", atoms, ["Si", "O"])
    script = header(atoms) + NATIVE.replace("acepair\n", f"{style}\n", 1) + "run 0\n"
    done = run(script, folder, ranks=ranks, check=False, **hosting, CUDA_VISIBLE_DEVICES="")
    assert done.returncode != 0
    assert message in done.stdout


def test_hosted_python_errors_end_the_run(folder, atoms, hosting):
    write_data(folder / "structure.data", atoms, ["Si", "O"])
    move = "set atom 2 x 1.0 y 1.0 z 1.0\nset atom 3 x 1.0 y 1.0 z 1.0\n"
    done = run(header(atoms) + PYTHON + move + "run 0\n", folder, check=False, **hosting)
    assert done.returncode != 0
    assert "are in the same place" in done.stdout


def test_no_python_to_host(folder, atoms, hosting):
    write_data(folder / "structure.data", atoms, ["Si", "O"])
    without = {**hosting, "ACEPAIR_LIBPYTHON": "/nonexistent/libpython.so"}
    done = run(header(atoms) + PYTHON + "run 0\n", folder, check=False, **without)
    assert done.returncode != 0
    assert "cannot load Python" in done.stdout


def test_lammps_driven_from_python(folder, atoms):
    """The interpreter that drives LAMMPS is the one that evaluates."""
    write_data(folder / "structure.data", atoms, ["Si", "O"])
    (folder / "in.lmp").write_text(header(atoms) + PYTHON + 'run 0\nprint "energy $(pe:%.17g)"\n')
    lmp()
    command = [sys.executable, "-m", "acepair.lmp", "-in", "in.lmp"]
    clean = environment(PYTHONPATH=packages())
    clean.pop("LD_LIBRARY_PATH", None)
    done = subprocess.run(command, cwd=folder, env=clean, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stdout + done.stderr
    energy = float(re.search(r"^energy (.*)$", done.stdout, re.MULTILINE)[1])
    assert energy == pytest.approx(energy_forces_virial(atoms, model()).energy, abs=1e-9)


# ------------------------------------------------------------------------------------------------ pair_style python


@cache
def debian_lmp():
    """An lmp with Python of this version and without plugins."""
    program = Path("/usr/bin/lmp")
    if not program.exists():
        pytest.skip("Debian's LAMMPS is not installed: apt-get install lammps")
    libraries = subprocess.run(["ldd", "/usr/lib/x86_64-linux-gnu/liblammps.so.0"], capture_output=True, text=True)
    version = f"libpython{sys.version_info.major}.{sys.version_info.minor}"
    if version not in libraries.stdout:
        pytest.skip(f"Debian's LAMMPS has another Python than {version}")
    return str(program)


def run_debian(script, folder, ranks=1):
    command = [debian_lmp(), "-in", "in.lmp"]
    if ranks > 1:
        mpiexec = shutil.which("mpiexec.openmpi")
        if mpiexec is None:
            pytest.skip("Debian's mpiexec is not installed")
        command = [mpiexec, "--oversubscribe", "-n", str(ranks), *command]
    (folder / "in.lmp").write_text(script)
    root = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    known = {**os.environ, **root, "PYTHONPATH": packages(), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        command, cwd=folder, env=known, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=240
    )


def python_style(file, elements):
    return f"""
variable file string {file}
python setup input 2 SELF ${{file}} format ps here "from acepair.lammps import setup"
python setup invoke
pair_style python ${{rcut}}
pair_coeff * * acepair.lammps.ACE {elements}
"""


@pytest.mark.parametrize("ranks", [1, 2])
@pytest.mark.parametrize("name", ["triclinic", "slab", "molecule"])
def test_python_style(name, ranks, folder):
    atoms = standard(structures.ALL[name]((14, 8)))
    write_data(folder / "structure.data", atoms, ["Si", "O"])
    script = f"""{header(atoms)}{python_style("model.acepair", "Si O")}
dump 1 all custom 1 results.dump id fx fy fz
dump_modify 1 format float %.17g sort id
thermo_style custom pe vol pxx pyy pzz pxy pxz pyz
thermo_modify format float %.17g
run 0
"""
    done = run_debian(script, folder, ranks)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    at = next(k for k, line in enumerate(lines) if line.startswith("PotEng"))
    energy, volume, *pressure = map(float, lines[at + 1].split())
    expected = energy_forces_virial(atoms, model())
    forces = np.loadtxt(folder / "results.dump", skiprows=9)[:, 1:]
    assert energy == pytest.approx(expected.energy, abs=1e-9)
    assert_allclose(forces, expected.forces, atol=1e-10 * abs(expected.forces).max())
    virial = expected.virial[[0, 1, 2, 0, 0, 1], [0, 1, 2, 1, 2, 2]]
    assert_allclose(np.array(pressure) * volume / TO_BAR, virial, rtol=1e-6, atol=1e-6 * abs(virial).max())


@pytest.mark.parametrize("ranks", [1, 2])
def test_python_style_dynamics(ranks, folder):
    """Forces belong to the energy, across rebuilds of both lists."""
    atoms = crystal(3)
    write_data(folder / "structure.data", atoms, ["Cu"])
    script = f"""{header(atoms)}{python_style("copper.acepair", "Cu")}
neighbor 0.5 bin
velocity all create 1500 1 mom yes rot no loop geom
fix 1 all nve
run 0
print "energy $(etotal:%.17g)"
run 100
print "energy $(etotal:%.17g)"
minimize 0 1e-6 20 100
"""
    done = run_debian(script, folder, ranks)
    assert done.returncode == 0, done.stdout + done.stderr
    before, after = (float(value) for value in re.findall(r"^energy (.*)$", done.stdout, re.MULTILINE))
    assert abs(after - before) < 5e-5 * len(atoms)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("Si O", "Si Al"), "model covers Si, O; there is also Al"),
        (("python setup invoke", "variable rcut string 5.5"), "invoke acepair.lammps.setup before pair_coeff"),
        (("model.acepair", "nothing.acepair"), "nothing.acepair"),
    ],
)
def test_python_style_mistakes(change, message, folder, atoms):
    write_data(folder / "structure.data", atoms, ["Si", "O"])
    script = header(atoms) + python_style("model.acepair", "Si O").replace(*change) + "run 0\n"
    done = run_debian(script, folder)
    assert done.returncode != 0
    assert message in done.stdout + done.stderr


def test_python_style_wants_metal_units(folder, atoms):
    write_data(folder / "structure.data", atoms, ["Si", "O"])
    script = header(atoms).replace("units metal", "units real") + python_style("model.acepair", "Si O") + "run 0\n"
    done = run_debian(script, folder)
    assert done.returncode != 0
    assert "acepair requires metal units, got real" in done.stdout + done.stderr


# ----------------------------------------------------------------------------------------------------------- ML-IAP


class Data(SimpleNamespace):
    """What ML-IAP hands over: local atoms and ghosts, pairs within the cutoff, arrays to fill."""

    def update_pair_forces(self, gradients):
        self.gradients = np.array(gradients)


def mliap_data(atoms, elements, shuffle=False):
    evaluator = Evaluator(model())
    structure = read_structure(atoms, evaluator.table)
    edges, _ = evaluator.edges(structure, evaluator.neighbors(structure))
    order = np.random.default_rng(0).permutation(len(edges.i)) if shuffle else np.arange(len(edges.i))
    species = np.array([elements.index(symbol) for symbol in atoms.get_chemical_symbols()])
    return edges, Data(
        nlistatoms=len(atoms),
        elems=species,
        pair_i=edges.i[order],
        jatoms=edges.j[order],
        rij=edges.D[order],
        eatoms=np.zeros(len(atoms)),
        energy=0.0,
    )


@pytest.mark.parametrize("elements", [["Si", "O"], ["O", "Si"]])
@pytest.mark.parametrize("shuffle", [False, True])
def test_mliap(shuffle, elements, folder, atoms):
    edges, data = mliap_data(atoms, elements, shuffle)
    MLIAPACE(str(folder / "model.acepair"), elements).compute_forces(data)
    expected = Evaluator(model()).evaluate(atoms)
    assert data.energy == pytest.approx(expected.energy, abs=1e-10)
    assert_allclose(data.eatoms, expected.site_energies, atol=1e-11)
    forces = np.zeros((len(atoms), 3))
    np.add.at(forces, data.pair_i, data.gradients)
    np.add.at(forces, data.jatoms, -data.gradients)
    assert_allclose(forces, expected.forces, atol=1e-10 * abs(expected.forces).max())
    assert len(edges.i) == len(data.gradients)


def test_mliap_without_pairs(folder):
    atoms = structures.isolated((14,))
    _, data = mliap_data(atoms, ["Si", "O"])
    MLIAPACE(str(folder / "model.acepair")).compute_forces(data)
    assert data.energy == pytest.approx(energy_forces_virial(atoms, model()).energy)


def test_mliap_attributes(folder):
    """What LAMMPS reads of the object, which it also pickles."""
    potential = pickle.loads(pickle.dumps(MLIAPACE(str(folder / "model.acepair"), ["Si"])))
    assert potential.element_types == ["Si"]
    assert potential.rcutfac == 5.5 / 2
    with pytest.raises(ValueError, match="model covers Si, O; there is also Al"):
        MLIAPACE(str(folder / "model.acepair"), ["Al"])


def test_engine_refuses_coincident_atoms(folder):
    engine = Engine(folder / "model.acepair")
    first, neighbor = np.array([0, 1, 2]), np.array([1, 0], dtype=np.int32)
    with pytest.raises(ValueError, match="same place"):
        engine.evaluate(np.zeros((2, 3)), np.zeros(2, dtype=np.int32), first, neighbor, 2)
