"""LAMMPS as a library: a script that goes on after an error finds nothing half done."""

from functools import cache

import pytest
from reference import lammps_run, structures
from reference.cases import model_path
from reference.lammps_run import header, run_library, standard, write_data

from acepair import potential_energy, save_model
from acepair.io.acejax import read_acejax

STYLES = ["acepair", "acepair/python cpu"]
NOT_SET = "All pair coeffs are not set"


@cache
def model(case="sio_tutorial"):
    return read_acejax(model_path(case))


@pytest.fixture
def atoms():
    return standard(structures.triclinic((14, 8)))


@pytest.fixture
def hosting():
    return lammps_run.hosting()


@pytest.fixture
def session(tmp_path, atoms):
    """Run lines of Python after those that make a box with the given pair style; returns what they print."""
    save_model(model(), tmp_path / "model.acepair")
    save_model(model("tial_ace1"), tmp_path / "tial.acepair")
    write_data(tmp_path / "structure.data", atoms, ["Si", "O"])

    def run(style, code, **extra):
        start = [*header(atoms).splitlines(), f"pair_style {style}"]
        lines = f"for line in {start!r}:\n    lmp.command(line)\ngood = 'pair_coeff * * model.acepair Si O'\n"
        return run_library(lines + code, tmp_path, **extra).stdout

    return run


FAILURES = {
    "missing file": "pair_coeff * * nothing.acepair Si O",
    "another model": "pair_coeff * * tial.acepair Si O",
    "unknown element": "pair_coeff * * model.acepair Si Al",
    "too few": "pair_coeff * * model.acepair Si",
    "nothing": "pair_coeff * * model.acepair NULL NULL",
}


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("what", FAILURES)
def test_failed_pair_coeff_sets_nothing(what, style, session, atoms):
    """Neither at first nor after a good one, and a good one after it is as good as ever."""
    output = session(
        style,
        f"""
bad = {FAILURES[what]!r}
attempt(bad)
attempt("run 0")
lmp.command(good)
lmp.command("run 0")
attempt(bad)
attempt("run 0")
attempt("run 1 pre no")
lmp.command(good)
lmp.command("run 0")
print("energy", repr(lmp.get_thermo("pe")))
""",
    )
    assert output.count("accepted:") == 0
    assert output.count(NOT_SET) == 3
    assert float(output.split("energy ")[1]) == pytest.approx(potential_energy(atoms, model()), abs=1e-9)


@pytest.mark.parametrize("style", STYLES)
def test_failed_pair_style(style, session):
    """The style exists then, without kernels."""
    output = session(
        "zero 5.5", f'attempt("pair_style {style}")\nattempt(good)\nattempt("run 0")\n', ACEPAIR_ISA="sse9"
    )
    assert output.count("accepted:") == 0
    assert "ACEPAIR_ISA must be one of" in output


def test_other_device_forgets_the_model(session):
    """A device that is not there must not run on the old one."""
    code = """
lmp.command(good)
lmp.command("run 0")
attempt("pair_style acepair/python {}")
attempt("run 0")
attempt("run 1 pre no")
attempt("pair_coeff * * model.acepair Si O")
"""
    for device, message in (("tpu", "takes one argument, cpu or cuda"), ("cuda", None)):
        output = session("acepair/python cpu", code.format(device))
        assert output.count(NOT_SET) == 2
        if message:
            assert message in output
            assert "accepted:" not in output


def test_same_device_keeps_the_model(session, atoms):
    code = 'lmp.command(good)\nlmp.command("pair_style acepair/python cpu")\nlmp.command("run 0")\n'
    output = session("acepair/python cpu", code + 'print("energy", repr(lmp.get_thermo("pe")))\n')
    assert float(output.split("energy ")[1]) == pytest.approx(potential_energy(atoms, model()), abs=1e-9)


def test_kernels_may_change(session, atoms):
    """Another instruction set has blocks of another width."""
    code = """
import os
lmp.command(good)
for isa in ("", "baseline"):
    os.environ["ACEPAIR_ISA"] = isa
    lmp.command("pair_style acepair")
    lmp.command("run 0" if not isa else "run 0 pre no")
    print("energy", repr(lmp.get_thermo("pe")))
"""
    for line in session("acepair", code).splitlines():
        assert float(line.split()[1]) == pytest.approx(potential_energy(atoms, model()), abs=1e-9)


@pytest.mark.parametrize("style", STYLES)
def test_run_after_an_error_in_a_step(style, session, atoms):
    output = session(
        style,
        """
lmp.command(good)
x, y, z = lmp.numpy.extract_atom("x")[0]
old = lmp.numpy.extract_atom("x")[1].copy()
lmp.command(f"set atom 2 x {x} y {y} z {z}")
attempt("run 0")
lmp.command("set atom 2 x {} y {} z {}".format(*old))
lmp.command("run 0")
print("energy", repr(lmp.get_thermo("pe")))
""",
    )
    assert "are in the same place" in output
    assert float(output.split("energy ")[1]) == pytest.approx(potential_energy(atoms, model()), abs=1e-6)
