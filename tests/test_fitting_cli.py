"""Commands `acepair fit`, `eval`, `info`; run files; plots and the report."""

import re
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose

import acepair
from acepair.cli import main
from acepair.fitting import error_table, fit, read_dataset
from acepair.fitting.runfile import RunFile, read_runfile, template

yaml = pytest.importorskip("yaml")

DATA = Path(__file__).parent / "data" / "TiAl_tutorial.xyz.gz"
E0S = {"Ti": -1586.0195, "Al": -105.5954}
RUN = {
    "model": {
        "elements": ["Ti", "Al"], "order": 2, "totaldegree": 5, "rcut": 4.5, "transform": ["agnesi", 2, 4], "Eref": E0S,
    },
    "data": {"train": str(DATA), "test": [str(DATA)], "virial_key": "virial"},
    "weights": {"FLD_TiAl": {"E": 60.0}, "default": {"E": 5.0}},
    "fit": {"solver": "ridge", "solver_options": {"alpha": 0.01}, "prior": "algebraic", "prior_options": {"p": 3}},
    "output": {"model": "TiAl.acepair"},
}  # fmt: skip


def changed(section, **keys):
    return {**RUN, section: {**(RUN[section] or {}), **keys}}


@pytest.fixture
def run_file(tmp_path):
    path = tmp_path / "fit.yaml"
    path.write_text(yaml.safe_dump(RUN))
    return path


def test_fit_eval_info(run_file, capsys):
    assert main(["fit", str(run_file)]) == 0
    report = capsys.readouterr().out
    assert "alpha: 0.01" in report
    assert "Test set, 329 configurations" in report

    model = run_file.parent / "TiAl.acepair"
    assert main(["eval", str(model), str(DATA), "--threads", "1"]) == 0
    table = capsys.readouterr().out
    of_all, reported = ([line for line in t.splitlines() if line.startswith("set")][-1] for t in (table, report))
    assert of_all.split() == reported.split()

    assert main(["info", str(model)]) == 0
    info = capsys.readouterr().out
    for text in ("elements: Ti, Al", "cutoff: 4.5 Å", "linear parameters: ", "solver: Ridge", "energy: eV"):
        assert text in info


def test_run_file_is_the_fit_in_python(run_file):
    found = read_runfile(run_file).run()
    model = acepair.ace1_model(elements=("Ti", "Al"), order=2, totaldegree=5, rcut=4.5, Eref=E0S)
    from acepair.fitting import Ridge, algebraic_smoothness_prior

    expected = fit(
        model,
        DATA,
        solver=Ridge(alpha=0.01),
        prior=algebraic_smoothness_prior(model, p=3),
        weights=RUN["weights"],
    )
    assert_allclose(found.theta, expected.theta, rtol=0, atol=1e-9 * np.abs(expected.theta).max())


def test_template_is_a_run_file_with_every_key(capsys):
    assert main(["fit", "--template"]) == 0
    printed = capsys.readouterr().out
    assert printed == template()
    RunFile(yaml.safe_load(printed), Path())
    everything = re.sub(r"^  # (?=\w+:)", "  ", printed, flags=re.MULTILINE)
    sections = yaml.safe_load(everything)
    for name in ("data", "fit", "output"):
        from acepair.fitting.runfile import SECTIONS

        assert set(sections[name]) == set(SECTIONS[name]), name
    RunFile(sections, Path())


@pytest.mark.parametrize(
    ("sections", "what"),
    [
        ({**RUN, "wieghts": {}}, "the run file has no key 'wieghts'; the nearest is 'weights'"),
        (changed("data", energykey="e"), "section 'data' has no key 'energykey'; the nearest is 'energy_key'"),
        (changed("fit", solvr="qr"), "section 'fit' has no key 'solvr'; the nearest is 'solver'"),
        (changed("fit", solver="blrr"), "the nearest is 'blr'"),
        (changed("fit", solver_options={"alhpa": 1}), "no option 'alhpa'; the nearest is 'alpha'"),
        (changed("fit", prior="flat"), "prior must be one of algebraic, exponential, gaussian, none, got 'flat'"),
        (changed("fit", prior_options={"q": 1}), "prior_options of the algebraic prior has no key 'q'"),
        (changed("model", totaldegre=4), "section 'model' has no key 'totaldegre'; the nearest is 'totaldegree'"),
        (changed("model", kind="acemodel"), "kind of model must be one of ace1_model, ace_model"),
        (changed("output", modle="a"), "section 'output' has no key 'modle'; the nearest is 'model'"),
        ({k: v for k, v in RUN.items() if k != "data"}, "must have a section 'data'"),
        ({**RUN, "data": {"test": "a"}}, "section 'data' must have a key 'train'"),
        ({**RUN, "data": 3}, "section 'data' must be a mapping, got 3"),
        ([1, 2], "must hold sections"),
        (changed("output", model="a.npz"), "must end in .acepair"),
        (changed("data", train="missing.xyz"), "missing.xyz"),
        (changed("data", energy_key="enrgy"), "the keys there are:"),
    ],
)
def test_mistakes_are_named(tmp_path, capsys, sections, what):
    path = tmp_path / "fit.yaml"
    path.write_text(yaml.safe_dump(sections))
    assert main(["fit", str(path)]) == 1
    assert what in capsys.readouterr().err
    assert not list(tmp_path.glob("*.acepair"))


@pytest.mark.parametrize("key", ["model", "report"])
def test_output_that_cannot_be_written_is_named_before_the_fit(tmp_path, capsys, monkeypatch, key):
    monkeypatch.setattr("acepair.fitting.reading.read_dataset", lambda *_, **__: pytest.fail("data are read first"))
    path = tmp_path / "fit.yaml"
    suffix = ".acepair" if key == "model" else ".html"
    path.write_text(yaml.safe_dump(changed("output", **{key: f"missing/a{suffix}"})))
    assert main(["fit", str(path)]) == 1
    assert f"{key} of section 'output' must be in a folder that can be written" in capsys.readouterr().err


def test_report_without_matplotlib_is_refused_before_the_fit(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("acepair.fitting.reading.read_dataset", lambda *_, **__: pytest.fail("data are read first"))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    path = tmp_path / "fit.yaml"
    path.write_text(yaml.safe_dump(changed("output", report="a.html")))
    assert main(["fit", str(path)]) == 1
    assert "a report needs matplotlib" in capsys.readouterr().err


def test_traceback_on_request(tmp_path, capsys):
    path = tmp_path / "fit.yaml"
    path.write_text(yaml.safe_dump(changed("fit", threads="two")))
    assert main(["fit", str(path)]) == 1
    assert "Traceback" not in capsys.readouterr().err
    with pytest.raises(TypeError):
        main(["fit", str(path), "--traceback"])


def test_commands_without_their_files(tmp_path, capsys):
    assert main(["fit"]) == 1
    assert "--template" in capsys.readouterr().err
    (tmp_path / "bad.yaml").write_text("a: [1")
    assert main(["fit", str(tmp_path / "bad.yaml")]) == 1
    assert "must be a YAML file" in capsys.readouterr().err
    assert main(["info", str(tmp_path / "none.acepair")]) == 1
    assert "none.acepair" in capsys.readouterr().err
    assert main(["eval", str(tmp_path / "none.acepair"), str(DATA)]) == 1


@cache
def result():
    data = read_dataset(DATA)
    model = acepair.ace1_model(elements=("Ti", "Al"), order=2, totaldegree=5, rcut=4.5, Eref=E0S)
    return fit(model, data[:60], test=data[60:80], threads=1)


def test_report_is_one_page(tmp_path):
    pytest.importorskip("matplotlib")
    result().save_report(tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    assert page.count("<img ") == page.count('src="data:image/png;base64,') == 7
    assert not re.search(r'(src|href)="(?!data:)', page)
    for text in ("Errors, train", "Errors, test", "negative log evidence", "FLD_TiAl", "Parity", "Dimers", "Trimers"):
        assert text in page


def test_plots_show_what_they_say():
    pytest.importorskip("matplotlib")
    from acepair.fitting import plots

    r = result()
    figure = plots.parity({"train": r.train})
    x, y = figure.axes[1].lines[0].get_data()
    assert_allclose(x, r.train.pairs("F").reference)
    assert_allclose(y, r.train.pairs("F").predicted)
    assert len(plots.error_histograms({"train": r.train, "test": r.test}).axes) == 3

    from ase import Atoms

    figure = plots.dimer_curves(r.model, r.train.data)
    d, energy = figure.axes[0].lines[0].get_data()
    expected = acepair.potential_energy(Atoms("Ti2", [[0, 0, 0], [0, 0, d[50]]]), r.model) - 2 * E0S["Ti"]
    assert energy[50] == pytest.approx(expected)
    angle, energy = plots.trimer_curves(r.model, 2.5).axes[0].lines[1].get_data()
    t = np.radians(angle[20])
    trimer = Atoms("Al3", [[0, 0, 0], [2.5, 0, 0], [2.5 * np.cos(t), 2.5 * np.sin(t), 0]])
    assert energy[20] == pytest.approx(acepair.potential_energy(trimer, r.model) - 3 * E0S["Al"])
    many_body, pair = plots.radial_basis(r.ace_model).axes
    d, values = many_body.lines[1].get_data()
    assert_allclose(values, r.ace_model.rembed.evaluate(d, 0, 0)[:, 2])
    assert "pair" in pair.get_ylabel()


def test_distributions_of_a_crystal():
    """Nearest neighbors of fcc at a/√2, bonds at 60, 90, 120 and 180 degrees."""
    pytest.importorskip("matplotlib")
    from ase.build import bulk

    from acepair.fitting import plots

    atoms = bulk("Al", a=4.0, cubic=True)
    atoms.info["energy"] = 0.0
    radial, angular = plots.distributions(read_dataset(atoms), 4.8).axes
    d, density = radial.lines[0].get_data()
    assert d[density > 0][0] == pytest.approx(4 / np.sqrt(2), abs=0.03)
    shell = 4 * np.pi * d**2 * (d[1] - d[0])
    assert (density * shell)[d < 3.5].sum() == pytest.approx(12)
    corners = angular.patches[0].get_xy()
    present = {round(x / 2) * 2 for x, y in corners if y > 0}
    assert present <= {58, 60, 62, 88, 90, 92, 118, 120, 122, 178, 180}
    assert {60, 90, 120} <= present


def test_errors_of_a_saved_model_are_those_of_the_fit(tmp_path):
    result().save(tmp_path / "a.acepair")
    again = error_table(acepair.load_model(tmp_path / "a.acepair"), result().test.data)
    assert again.rmse["set"]["E"] == pytest.approx(result().test.rmse["set"]["E"], rel=1e-9)
