"""pair_style python, with Debian's LAMMPS."""

import re
from functools import cache

import numpy as np
import pytest
from numpy.testing import assert_allclose
from reference import structures
from reference.cases import model_path
from reference.copper import copper, crystal
from reference.lammps_run import TO_BAR, header, run_debian, standard, write_data
from reference.wide_stack import wide_stack

from acepair import energy_forces_virial, save_model
from acepair.io.acejax import read_acejax

MODELS = {"tutorial": lambda: read_acejax(model_path("sio_tutorial")), "wide": wide_stack, "copper": copper}
RESULTS = """
dump 1 all custom 1 results.dump id fx fy fz
dump_modify 1 format float %.17g sort id
thermo_style custom pe vol pxx pyy pzz pxy pxz pyz
thermo_modify format float %.17g
run 0
"""


@cache
def model(name):
    return MODELS[name]()


@pytest.fixture
def folder(tmp_path):
    for name in MODELS:
        save_model(model(name), tmp_path / f"{name}.acepair")
    return tmp_path


@pytest.fixture
def atoms(folder):
    atoms = standard(structures.triclinic((14, 8)))
    write_data(folder / "structure.data", atoms, ["Si", "O"])
    return atoms


def style(name, elements, cutoff="${rcut}"):
    return f"""
variable file string {name}.acepair
python setup input 2 SELF ${{file}} format ps here "from acepair.lammps import setup"
python setup invoke
pair_style python {cutoff}
pair_coeff * * acepair.lammps.ACE {elements}
"""


SIO = style("tutorial", "Si O")


def refused(script, folder, ranks=1):
    done = run_debian(script, folder, ranks=ranks, check=False)
    assert done.returncode != 0
    return done.stdout


def thermo(output):
    """Energy and the virial, xx, yy, zz, xy, xz, yz in eV."""
    lines = output.splitlines()
    at = max(k for k, line in enumerate(lines) if line.startswith("PotEng"))
    energy, volume, *pressure = map(float, lines[at + 1].split())
    return energy, np.array(pressure) * volume / TO_BAR


def compare(output, folder, expected):
    energy, virial = thermo(output)
    forces = np.loadtxt(folder / "results.dump", skiprows=9)[:, 1:]
    assert energy == pytest.approx(expected.energy, abs=1e-9)
    assert_allclose(forces, expected.forces, atol=1e-10 * abs(expected.forces).max())
    wanted = expected.virial[[0, 1, 2, 0, 0, 1], [0, 1, 2, 1, 2, 2]]
    assert_allclose(virial, wanted, rtol=1e-6, atol=1e-6 * abs(wanted).max())


@pytest.mark.parametrize("ranks", [1, 2])
@pytest.mark.parametrize("name", ["triclinic", "slab", "molecule"])
def test_agrees_with_python(name, ranks, folder):
    atoms = standard(structures.ALL[name]((14, 8)))
    write_data(folder / "structure.data", atoms, ["Si", "O"])
    output = run_debian(header(atoms) + SIO + RESULTS, folder, ranks=ranks).stdout
    compare(output, folder, energy_forces_virial(atoms, model("tutorial")))


def test_plans_with_more_elements_than_the_model(folder, atoms):
    output = run_debian(header(atoms) + style("wide", "Si O") + RESULTS, folder).stdout
    compare(output, folder, energy_forces_virial(atoms, model("wide")))


@pytest.mark.parametrize("ranks", [1, 2])
def test_dynamics(ranks, folder):
    """Forces belong to the energy, across rebuilds of both lists."""
    atoms = crystal(3)
    write_data(folder / "structure.data", atoms, ["Cu"])
    script = f"""{header(atoms)}{style("copper", "Cu")}
neighbor 0.5 bin
velocity all create 1500 1 mom yes rot no loop geom
fix 1 all nve
run 0
print "energy $(etotal:%.17g)"
run 100
print "energy $(etotal:%.17g)"
minimize 0 1e-6 20 100
"""
    output = run_debian(script, folder, ranks=ranks).stdout
    before, after = (float(value) for value in re.findall(r"^energy (.*)$", output, re.MULTILINE))
    assert abs(after - before) < 5e-5 * len(atoms)


@pytest.mark.parametrize("ranks", [1, 2])
@pytest.mark.parametrize("newton", ["off", "off on"])
def test_newton_off_is_refused(newton, ranks, folder, atoms):
    """Forces on ghosts would be lost."""
    output = refused(f"newton {newton}\n" + header(atoms) + SIO + "run 0\n", folder, ranks)
    assert "acepair requires newton pair on" in output


@pytest.mark.parametrize("ranks", [1, 2])
@pytest.mark.parametrize(("cutoff", "steps"), [("2.5", 0), ("5", 1)])
def test_smaller_cutoff_is_refused(cutoff, steps, ranks, folder):
    """Without ghosts that are needed at once; otherwise with the second step."""
    atoms = structures.diamond((14, 8), (2, 2, 2))
    write_data(folder / "structure.data", atoms, ["Si", "O"])
    script = header(atoms) + style("tutorial", "Si O", cutoff) + f"fix 1 all nve\nrun {steps}\n"
    assert "it needs pair_style python 5.5 or more" in refused(script, folder, ranks)


def test_larger_cutoff_is_right(folder, atoms):
    output = run_debian(header(atoms) + style("tutorial", "Si O", cutoff="7") + RESULTS, folder).stdout
    compare(output, folder, energy_forces_virial(atoms, model("tutorial")))


def test_excluded_neighbors_are_refused(folder, atoms):
    """Also from the second run on."""
    exclude = "group silicon type 1\nneigh_modify exclude group silicon silicon\n"
    output = refused(header(atoms) + SIO + "run 0\n" + exclude + "run 0\n", folder)
    assert re.search(r"LAMMPS leaves out \d+ pairs of atoms", output)
    assert "Loop time" in output


@pytest.mark.parametrize(
    ("factor", "message"), [("0", "leaves out 1 pairs"), ("0.5", "needs special_bonds lj/coul 1 1 1")]
)
def test_special_bonds_are_refused(factor, message, folder, atoms):
    script = header(atoms, style="bond").replace(
        "structure.data", "structure.data extra/bond/per/atom 1 extra/special/per/atom 1"
    )
    text = (folder / "structure.data").read_text()
    text = text.replace("atom types\n", "atom types\n1 bond types\n").replace("Atoms", "Atoms # bond")
    rows = text.split("Atoms # bond\n\n")
    lines = [line.split() for line in rows[1].splitlines()]
    bonded = "\n".join(" ".join([a[0], "1", *a[1:]]) for a in lines)
    (folder / "structure.data").write_text(rows[0] + "Atoms # bond\n\n" + bonded + "\n")
    near = nearest(atoms)
    bond = f"special_bonds lj {factor} 1 1\nbond_style zero\nbond_coeff *\n"
    bond += f"create_bonds single/bond 1 {near[0]} {near[1]}\n"
    assert message in refused(script + SIO + bond + "run 0\n", folder)


def nearest(atoms):
    """Numbers of two atoms that are neighbours without periodic images, as LAMMPS counts them."""
    wrapped = atoms.copy()
    wrapped.wrap()
    distances = wrapped.get_all_distances() + 100 * np.eye(len(atoms))
    return np.array(np.unravel_index(np.argmin(distances), distances.shape)) + 1


def test_isolated_atoms_lose_their_energy(folder):
    """No pair is visited, so that LAMMPS never asks: this can only be said."""
    atoms = structures.isolated((14,))
    write_data(folder / "structure.data", atoms, ["Si", "O"])
    output = run_debian(header(atoms) + SIO + RESULTS, folder).stdout
    assert "loses the energy of these atoms" in output
    assert thermo(output)[0] == 0


@pytest.mark.parametrize("ranks", [1, 2])
def test_atoms_in_the_same_place(ranks, folder):
    """Their numbers are LAMMPS's, and the rank that has none of them ends too."""
    atoms = structures.diamond((14, 8), (3, 1, 1))
    write_data(folder / "structure.data", atoms, ["Si", "O"])
    move = "set atom 2 x 1.0 y 1.0 z 1.0\nset atom 3 x 1.0 y 1.0 z 1.0\n"
    output = refused(header(atoms) + SIO + move + "run 0\n", folder, ranks)
    assert re.search("atoms (2 and 3|3 and 2) are in the same place", output)


@pytest.mark.parametrize("ranks", [1, 2])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("Si O", "Si Al"), "model covers Si, O; there is also Al"),
        (("python setup invoke", "variable rcut string 5.5"), "invoke acepair.lammps.setup before pair_coeff"),
        (("tutorial.acepair", "nothing.acepair"), "nothing.acepair"),
    ],
)
def test_mistakes(change, message, ranks, folder, atoms):
    assert message in refused(header(atoms) + SIO.replace(*change) + "run 0\n", folder, ranks)


def test_wrong_units(folder, atoms):
    script = header(atoms).replace("units metal", "units real") + SIO + "run 0\n"
    assert "acepair requires metal units, got real" in refused(script, folder)
