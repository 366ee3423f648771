"""What users of other potentials expect of a pair style."""

from functools import cache

import numpy as np
import pytest
from ase import Atoms
from numpy.testing import assert_allclose
from reference import structures
from reference.cases import model_path
from reference.copper import copper, crystal
from reference.lammps_run import TO_BAR, evaluate, header, hosting, run, standard, write_data

from acepair import StackedCalculator, potential_energy, save_model
from acepair.evaluate import Evaluator
from acepair.io.acejax import read_acejax

PAIR = "pair_style acepair\npair_coeff * * model.acepair Si O\n"
STYLES = ["acepair", "acepair/python cpu"]
CENTROID = [0, 4, 8, 1, 2, 5, 3, 6, 7]  # LAMMPS's order of a 3 × 3 in rows
COPPER = "pair_style acepair\npair_coeff * * copper.acepair Cu\n"


@cache
def model():
    return read_acejax(model_path("sio_tutorial"))


@pytest.fixture
def folder(tmp_path):
    save_model(model(), tmp_path / "model.acepair")
    return tmp_path


@pytest.fixture
def copper_folder(tmp_path):
    save_model(copper(), tmp_path / "copper.acepair")
    return tmp_path


@pytest.fixture
def atoms():
    return standard(structures.triclinic((14, 8)))


def printed(output, label):
    """Numbers of the last line `label ...` that the script printed."""
    line = [line for line in output.splitlines() if line.startswith(label)][-1]
    return np.array(line.split()[1:], dtype=float)


def test_log_line(folder, atoms):
    output = evaluate(atoms, PAIR, ["Si", "O"], folder).output
    line = next(line for line in output.splitlines() if line.startswith("acepair model.acepair"))
    assert "elements Si O, cutoff 5.5 A, 240 linear parameters" in line
    assert "1 -> Si, 2 -> O" in line
    assert line in (folder / "log.lammps").read_text()


@pytest.mark.parametrize("ranks", [1, 2])
@pytest.mark.parametrize("other", ["zbl 1.0 2.5", "dispersion/d3 original pbe 12 10"])
def test_overlay_adds_up(other, ranks, folder, atoms):
    name, arguments = other.split()[0], other.split()[1:]
    coefficients = {"zbl": ["1 1 %s 14 14", "1 2 %s 14 8", "2 2 %s 8 8"], "dispersion/d3": ["* * %s Si O"]}[name]
    alone = f"pair_style {name} {' '.join(arguments)}\n" + "".join(f"pair_coeff {c % ''}\n" for c in coefficients)
    both = f"pair_style hybrid/overlay acepair {other}\npair_coeff * * acepair model.acepair Si O\n"
    both += "".join(f"pair_coeff {c % name}\n" for c in coefficients)
    parts = [evaluate(atoms, style, ["Si", "O"], folder) for style in (PAIR, alone)]
    total = evaluate(atoms, both, ["Si", "O"], folder, ranks=ranks)
    assert parts[1].energy != 0
    for quantity in ("energy", "forces", "virial"):
        wanted = getattr(parts[0], quantity) + getattr(parts[1], quantity)
        assert_allclose(getattr(total, quantity), wanted, rtol=1e-9, atol=1e-9 * np.max(np.abs(wanted)))


def test_overlay_with_long_range_coulomb(folder, atoms):
    atoms = atoms * (1, 1, 2)
    n = atoms.get_chemical_symbols().count("Si")
    charges = [0.4, -0.4 * n / (len(atoms) - n)]
    ewald = "kspace_style ewald 1.0e-6\n"
    alone = "pair_style coul/long 9.0\npair_coeff * *\n" + ewald
    both = "pair_style hybrid/overlay acepair coul/long 9.0\npair_coeff * * acepair model.acepair Si O\n"
    both += "pair_coeff * * coul/long\n" + ewald
    parts = [evaluate(atoms, style, ["Si", "O"], folder, charges=charges) for style in (PAIR, alone)]
    total = evaluate(atoms, both, ["Si", "O"], folder, charges=charges, ranks=2)
    assert total.energy == pytest.approx(parts[0].energy + parts[1].energy, abs=1e-8)
    assert_allclose(total.forces, parts[0].forces + parts[1].forces, atol=1e-7)


@pytest.mark.parametrize("ranks", [1, 2])
@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("hybrid", ["hybrid", "hybrid/overlay"])
def test_null_types_are_left_out(hybrid, style, ranks, folder, atoms):
    """With oxygen mapped to NULL the silicon atoms are alone, also under a style whose list reaches further."""
    pair = f"pair_style {hybrid} {style} lj/cut 9.0\npair_coeff * * {style.split()[0]} model.acepair Si NULL\n"
    pair += "pair_coeff 1*2 2 lj/cut 0.0 1.0\n"
    extra = hosting() if "python" in style else {}
    result = evaluate(atoms, pair, ["Si", "O"], folder, ranks=ranks, **extra)
    silicon = np.flatnonzero(atoms.numbers == 14)
    alone = Evaluator(model()).evaluate(atoms[silicon])
    assert result.energy == pytest.approx(alone.energy, abs=1e-10)
    wanted = np.zeros((len(atoms), 3))
    wanted[silicon] = alone.forces
    assert_allclose(result.forces, wanted, atol=1e-10 * abs(wanted).max())
    assert_allclose(result.energies[atoms.numbers == 8], 0)


def test_null_without_hybrid_is_refused(folder, atoms):
    write_data(folder / "structure.data", atoms, ["Si", "O"])
    style = "pair_style acepair\npair_coeff * * model.acepair Si NULL\n"
    done = run(header(atoms) + style + "run 0\n", folder, check=False)
    assert done.returncode != 0
    assert "All pair coeffs are not set" in done.stdout


@pytest.mark.parametrize("ranks", [1, 2])
def test_dynamics_across_rebuilds(ranks, copper_folder):
    """Energy is conserved while the list is rebuilt many times, and at the end it is that of a fresh list."""
    atoms = crystal(3)
    write_data(copper_folder / "structure.data", atoms, ["Cu"])
    script = f"""{header(atoms)}{COPPER}
neighbor 0.3 bin
velocity all create 1500 12345 mom yes rot no loop geom
fix 1 all nve
run 0
variable e0 equal $(etotal:%.17g)
run 200
print "drift $(etotal-v_e0:%.17g) $(pe:%.17g)"
write_data end.data nocoeff
"""
    output = run(script, copper_folder, ranks=ranks).stdout
    drift, energy = printed(output, "drift")
    assert abs(drift) < 5e-5 * len(atoms)
    builds = next(line for line in output.splitlines()[::-1] if "Neighbor list builds" in line)
    assert int(builds.split("=")[1]) > 5
    again = header(atoms, "end.data") + COPPER + 'run 0\nprint "again $(pe:%.17g)"\n'
    assert printed(run(again, copper_folder).stdout, "again")[0] == pytest.approx(energy, abs=1e-9)


def test_minimize_and_relax_the_box(copper_folder):
    atoms = crystal(2)
    write_data(copper_folder / "structure.data", atoms, ["Cu"])
    script = f"""{header(atoms)}{COPPER}
minimize 0 1e-8 500 5000
print "force $(fnorm:%.17g)"
fix 1 all box/relax iso 0.0
minimize 1e-14 1e-8 500 5000
print "pressure $(press:%.17g)"
"""
    output = run(script, copper_folder).stdout
    assert printed(output, "force")[0] < 1e-4
    assert abs(printed(output, "pressure")[0]) < 100  # bar


def test_rerun(copper_folder):
    atoms = crystal(2)
    write_data(copper_folder / "structure.data", atoms, ["Cu"])
    script = f"""{header(atoms)}{COPPER}
velocity all create 1500 12345 mom yes rot no
fix 1 all nve
dump d all custom 20 md.dump id type x y z
dump_modify d format float %.17g sort id
run 40
print "first $(pe:%.17g)"
undump d
rerun md.dump dump x y z
print "again $(pe:%.17g)"
"""
    output = run(script, copper_folder).stdout
    assert printed(output, "again")[0] == pytest.approx(printed(output, "first")[0], abs=1e-9)


def test_clear_and_new_model(folder, atoms):
    write_data(folder / "structure.data", atoms, ["Si", "O"])
    once = header(atoms) + PAIR + 'run 0\nprint "energy $(pe:%.17g)"\n'
    output = run(once + "clear\n" + once, folder).stdout
    energies = [float(line.split()[1]) for line in output.splitlines() if line.startswith("energy")]
    assert len(energies) == 2
    assert energies[0] == energies[1]


def test_pair_coeff_again_changes_the_model(folder, atoms):
    """A second pair_coeff replaces the first, here the mapping of types to elements."""
    write_data(folder / "structure.data", atoms, ["Si", "O"])
    script = header(atoms) + PAIR + "run 0\npair_coeff * * model.acepair O Si\n" + 'run 0\nprint "energy $(pe:%.17g)"\n'
    swapped = atoms.copy()
    swapped.numbers = np.where(atoms.numbers == 14, 8, 14)
    energy = printed(run(script, folder).stdout, "energy")[0]
    assert energy == pytest.approx(potential_energy(swapped, model()), abs=1e-9)


def test_restart_needs_the_pair_style_again(copper_folder):
    atoms = crystal(2)
    write_data(copper_folder / "structure.data", atoms, ["Cu"])
    run(header(atoms) + COPPER + "run 0\nwrite_restart r.restart\n", copper_folder)
    done = run("units metal\nread_restart r.restart\nrun 0\n", copper_folder, check=False)
    assert done.returncode != 0
    assert "Must re-specify non-restarted pair style (acepair) after read_restart" in done.stdout
    again = "units metal\nread_restart r.restart\n" + COPPER + 'run 0\nprint "energy $(pe:%.17g)"\n'
    output = run(again, copper_folder).stdout
    assert printed(output, "energy")[0] == pytest.approx(potential_energy(atoms, copper()), abs=1e-9)


def test_scale(folder, atoms):
    """fix adapt scales energies, forces and virials of the atoms of a type."""
    write_data(folder / "structure.data", atoms, ["Si", "O"])
    full = evaluate(atoms, PAIR, ["Si", "O"], folder)
    adapt = "variable half equal 0.5\nfix a all adapt 1 pair acepair scale * * v_half\n"
    half = evaluate(atoms, PAIR + adapt, ["Si", "O"], folder, ranks=2)
    for quantity in ("energy", "forces", "virial", "energies", "virials", "centroid_virials"):
        assert_allclose(getattr(half, quantity), getattr(full, quantity) / 2, rtol=1e-9, atol=1e-9)
    adapt = "variable zero equal 0\nfix a all adapt 1 pair acepair scale 1 1 v_zero\n"
    oxygen = evaluate(atoms, PAIR + adapt, ["Si", "O"], folder)
    assert_allclose(oxygen.energies, np.where(atoms.numbers == 8, full.energies, 0), atol=1e-12)
    explicit = evaluate(atoms, PAIR + adapt + "pair_modify nofdotr\n", ["Si", "O"], folder)
    assert_allclose(explicit.virial, oxygen.virial, rtol=1e-9, atol=1e-8)


def test_types_may_change_between_rebuilds(folder):
    """fix atom/swap exchanges types and does not rebuild the list."""
    atoms = standard(structures.diamond((14, 8), (2, 2, 2)))
    write_data(folder / "structure.data", atoms, ["Si", "O"])
    script = f"""{header(atoms)}{PAIR}
fix s all atom/swap 1 20 4711 5000 ke no types 1 2
run 5
print "energy $(pe:%.17g) $(f_s[2])"
write_data end.data nocoeff
"""
    output = run(script, folder, ranks=2).stdout
    energy, swaps = printed(output, "energy")
    assert swaps > 0
    again = header(atoms, "end.data") + PAIR + 'run 0\nprint "again $(pe:%.17g)"\n'
    assert printed(run(again, folder).stdout, "again")[0] == pytest.approx(energy, abs=1e-9)


def test_potentials_folder(tmp_path, atoms):
    (tmp_path / "potentials").mkdir()
    save_model(model(), tmp_path / "potentials" / "model.acepair")
    (tmp_path / "run").mkdir()
    result = evaluate(atoms, PAIR, ["Si", "O"], tmp_path / "run", LAMMPS_POTENTIALS=str(tmp_path / "potentials"))
    assert result.energy == pytest.approx(potential_energy(atoms, model()), abs=1e-9)


PER_ATOM = """
compute ke all ke/atom
compute e all pe/atom
compute s all stress/atom NULL virial
compute c all centroid/stress/atom NULL virial
compute j all heat/flux ke e c
dump 1 all custom 7 steps.dump id x y z vx vy vz c_ke c_e c_s[*] c_c[*]
dump_modify 1 format float %.17g sort id
thermo 7
thermo_style custom step pe c_j[1] c_j[2] c_j[3]
thermo_modify format float %.17g norm no
"""


@pytest.mark.parametrize("ranks", [1, 2])
@pytest.mark.parametrize("style", STYLES)
def test_per_atom_quantities_on_an_old_list(style, ranks, copper_folder):
    """Energies and stresses of atoms, and the heat flux made of them, seven steps after the list was built."""
    atoms = crystal(2, rattle=0.05)
    write_data(copper_folder / "structure.data", atoms, ["Cu"])
    pair = COPPER.replace("pair_style acepair", f"pair_style {style}")
    motion = "velocity all create 1500 1 mom yes rot no loop geom\nfix 1 all nve\nrun 7\n"
    script = header(atoms) + pair + PER_ATOM + motion
    output = run(script, copper_folder, ranks=ranks, **(hosting() if "python" in style else {})).stdout
    assert "Neighbor list builds = 0" in output
    thermo = next(line for line in output.splitlines() if line.split()[:1] == ["7"])
    flux = np.array(thermo.split()[2:], dtype=float)

    rows = np.loadtxt((copper_folder / "steps.dump").read_text().splitlines()[-len(atoms) :])
    moved, v, ke, energies = atoms.copy(), rows[:, 4:7], rows[:, 7], rows[:, 8]
    moved.positions = rows[:, 1:4]
    expected = Evaluator(copper()).evaluate(moved, site_virials=True)
    virials = expected.site_virials
    assert abs(moved.positions - atoms.positions).max() > 0.01
    assert_allclose(energies, expected.site_energies, rtol=0, atol=1e-10)
    scale = abs(virials).max()
    assert_allclose(-rows[:, 15:24] / TO_BAR, virials.reshape(-1, 9)[:, CENTROID], atol=1e-9 * scale)
    assert_allclose(-rows[:, 9:15].sum(axis=0) / TO_BAR, expected.virial.ravel()[CENTROID[:6]], atol=1e-8 * scale)
    # A. P. Thompson, D. Surblys et al., Phys. Rev. E 99, 051301(R) (2019): all of −D ⊗ ∂E_i/∂D moves with the neighbor
    wanted = ((ke + expected.site_energies)[:, None] * v + np.einsum("nab,nb->na", virials, v)).sum(axis=0)
    assert_allclose(flux, wanted, rtol=1e-7, atol=1e-8 * abs(v).max() * scale)


def test_scale_changes_on_an_old_list(folder, atoms):
    """A factor that grows from step to step, over atoms at rest."""
    write_data(folder / "structure.data", atoms, ["Si", "O"])
    script = f"""{header(atoms)}{PAIR}
variable s equal 1-0.1*step
fix a all adapt 1 pair acepair scale * * v_s
thermo 1
thermo_style custom step pe
thermo_modify format float %.17g
run 5
"""
    output = run(script, folder).stdout
    assert "Neighbor list builds = 0" in output
    energies = [
        float(words[1]) for line in output.splitlines() if len(words := line.split()) == 2 and words[0] in "012345"
    ]
    assert_allclose(energies, potential_energy(atoms, model()) * (1 - 0.1 * np.arange(6)), rtol=1e-12)


def test_longer_list_of_another_style_keeps_the_skin(folder):
    """Two atoms that come within the cutoff while neither has moved half the skin."""
    atoms = Atoms("Si2", positions=[[10, 10, 10], [17.3, 10, 10]], cell=[30, 20, 20], pbc=True)
    write_data(folder / "structure.data", atoms, ["Si", "O"])
    style = (
        "pair_style hybrid/overlay acepair zero 9.0\npair_coeff * * acepair model.acepair Si O\npair_coeff * * zero\n"
    )
    script = f"""{header(atoms)}{style}
neigh_modify delay 0 every 1 check yes
set atom 1 vx 9.8
set atom 2 vx -9.8
fix 1 all nve
timestep 0.01
run 10
print "energy $(pe:%.17g) $(bound(all,xmax)-bound(all,xmin):%.17g)"
"""
    output = run(script, folder).stdout
    assert "Neighbor list builds = 0" in output
    energy, distance = printed(output, "energy")
    atoms.positions[1, 0] = 10 + distance
    near, far = potential_energy(atoms, model()), 2 * potential_energy(atoms[:1], model())
    assert abs(near - far) > 1e-6
    assert energy == pytest.approx(near, abs=1e-9)


@pytest.mark.parametrize("long", [0, 1])
def test_cutoffs_that_differ_by_the_order_of_a_pair(long, folder, atoms):
    """LAMMPS has one cutoff for a pair of types: the longer one."""
    rcuts = np.full((2, 2), 2.5)
    rcuts[long, 1 - long] = 5.5
    one_body, *others = model().components
    asymmetric = StackedCalculator([one_body, *(type(part)(part.layer, rcuts) for part in others)])
    save_model(asymmetric, folder / "model.acepair")
    result = evaluate(atoms, PAIR + "neighbor 0.1 bin\n", ["Si", "O"], folder, ranks=2)
    expected = Evaluator(asymmetric).evaluate(atoms)
    assert result.energy == pytest.approx(expected.energy, abs=1e-9)
    assert_allclose(result.forces, expected.forces, atol=1e-9 * abs(expected.forces).max())
