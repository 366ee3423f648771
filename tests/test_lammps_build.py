"""Which LAMMPS a build is for, what makes it, and which build the loader takes."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from reference import structures
from reference.cases import model_path
from reference.lammps_run import header, lmp, run, standard, write_data

from acepair import cli, save_model
from acepair.io.acejax import read_acejax
from acepair.lammps import build as build_module
from acepair.lammps import plugin
from acepair.lammps.headers import find_lammps

TREE = Path(__file__).parents[1]
RUN = "pair_style acepair\npair_coeff * * model.acepair Si O\nrun 0\n"

HELP = """
Large-scale Atomic/Molecular Massively Parallel Simulator - 29 Aug 2024 - Update 1
Git info (HEAD / {git})

Active compile time flags:

-DLAMMPS_GZIP
-DLAMMPS_{sizes}

Installed packages:

MANYBODY {package} VORONOI

List of individual style options included in this LAMMPS executable
"""


@pytest.fixture
def other(tmp_path):
    """Make another LAMMPS: headers and a program that says what it is."""

    def make(git="stable_29Aug2024_update1", sizes="SMALLBIG", package="PLUGIN", date="29 Aug 2024"):
        include, program = tmp_path / "src", tmp_path / "lmp"
        include.mkdir(exist_ok=True)
        (include / "pair.h").write_text("")
        (include / "version.h").write_text(f'#define LAMMPS_VERSION "{date}"\n')
        program.write_text(f"#!/bin/sh\ncat <<'END'\n{HELP.format(git=git, sizes=sizes, package=package)}END\n")
        program.chmod(0o755)
        return include, str(program)

    return make


@pytest.fixture
def folder(tmp_path):
    lmp()  # skips where LAMMPS or the plugin is missing
    save_model(read_acejax(model_path("sio_tutorial")), tmp_path / "model.acepair")
    write_data(tmp_path / "structure.data", standard(structures.triclinic((14, 8))), ["Si", "O"])
    return tmp_path


@pytest.mark.parametrize(
    ("says", "descriptor", "definition"),
    [
        ({}, "stable_29Aug2024_update1", "LAMMPS_SMALLBIG"),
        ({"git": "patch/x"}, "patch/x", "LAMMPS_SMALLBIG"),
        ({"git": "(unknown)"}, "version-20240829", "LAMMPS_SMALLBIG"),
        ({"sizes": "BIGBIG"}, "stable_29Aug2024_update1-bigbig", "LAMMPS_BIGBIG"),
    ],
)
def test_another_lammps(says, descriptor, definition, other):
    """Integers of other sizes make other classes under the same name."""
    lammps = find_lammps(*other(**says))
    assert lammps.descriptor == descriptor
    assert lammps.definitions == (definition,)
    assert lammps.library == f"acepair-{descriptor.replace('/', '_')}.so"


@pytest.mark.parametrize(
    ("says", "message"),
    [
        ({"date": "22 Jul 2025"}, "the headers in .* are of LAMMPS 22 Jul 2025, .* is of 29 Aug 2024"),
        ({"package": "PYTHON"}, "built without the package PLUGIN and cannot load plugins"),
    ],
)
def test_what_does_not_fit_is_refused(says, message, other):
    with pytest.raises(ValueError, match=message):
        find_lammps(*other(**says))


def test_headers_and_program_go_together(other, capsys):
    include, program = other()
    for half in (["--include", str(include)], ["--lmp", program]):
        assert cli.main(["lammps", "build", *half]) == 1
        assert "another LAMMPS needs both --include and --lmp" in capsys.readouterr().err


def test_headers_in_the_wrong_place(tmp_path, capsys):
    assert cli.main(["lammps", "build", "--include", str(tmp_path), "--lmp", "lmp"]) == 1
    assert "include must be a folder with LAMMPS's pair.h" in capsys.readouterr().err


def test_program_that_does_not_run(other, tmp_path):
    include, program = other()
    Path(program).write_text("#!/bin/sh\necho libmpi.so.40 is missing >&2\nexit 127\n")
    with pytest.raises(FileNotFoundError, match=r"libmpi\.so\.40 is missing"):
        find_lammps(include, program)


def test_commands(other, tmp_path):
    """Definitions reach the compiler; so does every source but the loader."""
    lammps = find_lammps(*other(sizes="BIGBIG"))
    commands = build_module._commands(tmp_path, TREE, lammps, None)
    style = next(command for command in commands if command[-1].endswith("pair_acepair.o"))
    assert "-DLAMMPS_BIGBIG" in style
    assert '-DACEPAIR_LAMMPS_DESCRIPTOR="stable_29Aug2024_update1-bigbig"' in style
    sources = {Path(word).name for command in commands for word in command if word.endswith(".cpp")}
    wanted = {path.name for path in (TREE / "lammps_plugin").glob("*.cpp")} - {"loader.cpp"}
    assert sources == wanted | {"kernels.cpp", "row_kernels.cpp", "dispatch.cpp"}


def test_build_of_the_same_is_kept(other, tmp_path, monkeypatch):
    """Other headers, compiler or MPI make another library."""
    ran = []

    def pretend(command):
        ran.append(command)
        Path(command[command.index("-o") + 1]).write_text("")

    monkeypatch.setattr(build_module, "_run", pretend)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("CXX", "g++")

    def build(**options):
        ran.clear()
        include, program = other()
        build_module.build(include, executable=program, log=lambda line: None, **options)
        return bool(ran)

    assert build()
    assert not build()
    assert build(force=True)
    assert build(mpi_include=tmp_path)
    assert not build(mpi_include=tmp_path)
    assert build()
    monkeypatch.setenv("CXX", "clang++")
    assert build()


def test_build_in_the_cache(folder, monkeypatch, capsys):
    """A build in the cache serves a loader that has none beside it."""
    try:
        build_module._compiler()
    except FileNotFoundError as error:
        pytest.skip(str(error))
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
    # hardly optimised: the compiler has little to do
    monkeypatch.setattr(build_module, "_COMMON", ("-std=gnu++17", "-O1", "-fPIC", "-fvisibility=hidden", "-w"))
    assert cli.main(["lammps", "build"]) == 0
    library = Path(capsys.readouterr().out.splitlines()[-1])
    assert library.name == find_lammps().library
    assert cli.main(["lammps", "build"]) == 0
    assert "there is a build" in capsys.readouterr().out
    run_with(loader_alone(folder), folder)


def loader_alone(folder):
    plugins = folder / "plugins"
    plugins.mkdir()
    shutil.copy(plugin.plugin_path(), plugins)
    return plugins


def run_with(plugins, folder, **options):
    script = header(structures.diamond((14,))) + RUN
    places = {"LAMMPS_PLUGIN_PATH": str(plugins), "XDG_CACHE_HOME": str(folder / "cache")}
    return run(script, folder, **options, **places).stdout


def cached(folder):
    place = folder / "cache" / build_module.cache_folder().relative_to(build_module.cache_folder().parents[2])
    place.mkdir(parents=True)
    return place / find_lammps().library


def installed():
    return plugin.plugin_path().parent / find_lammps().library


@pytest.mark.parametrize("ranks", [1, 2])
def test_no_build_for_this_lammps(ranks, folder):
    """The loader says so in one line, and registers nothing."""
    output = run_with(loader_alone(folder), folder, ranks=ranks, check=False)
    lines = [line for line in output.splitlines() if "acepair: pair_style acepair is built for LAMMPS" in line]
    assert len(lines) == 1
    assert "'acepair lammps build' makes a build for it" in lines[0]
    assert "pair style 'acepair'" in output


def test_a_build_that_does_not_load_is_passed_over(folder):
    plugins = loader_alone(folder)
    (plugins / find_lammps().library).write_text("damaged")
    output = run_with(plugins, folder, check=False)
    assert "file too short; pair_style acepair is built for LAMMPS" in output
    shutil.copy(installed(), cached(folder))
    run_with(plugins, folder)


@pytest.mark.parametrize("ranks", [1, 2])
def test_build_for_another_lammps_refuses_this_one(ranks, folder):
    """Loaded by hand, without the loader; the names are as long as each other."""
    name = find_lammps().descriptor
    content = installed().read_bytes()
    assert name.encode() in content
    (folder / "otherplugin.so").write_bytes(content.replace(name.encode(), (name[:-1] + "X").encode()))
    script = f"plugin load {folder}/otherplugin.so\n" + header(structures.diamond((14,))) + RUN
    output = run(script, folder, ranks=ranks, check=False, LAMMPS_PLUGIN_PATH="").stdout
    assert output.count(f"this plugin is built for LAMMPS {name[:-1]}X, this is LAMMPS {name}") == 1
    assert "pair style 'acepair'" in output


def cmake(*arguments, folder):
    program = shutil.which("cmake")
    if program is None:
        pytest.skip("cmake is not installed")
    command = [program, "-S", str(TREE / "lammps_plugin"), "-B", str(folder / "build"), *arguments]
    command += ["-DCMAKE_EXPORT_COMPILE_COMMANDS=ON", f"-DPython_EXECUTABLE={sys.executable}"]
    return subprocess.run(command, capture_output=True, text=True)


def test_build_by_hand_knows_its_lammps(other, tmp_path):
    include, program = other(sizes="BIGBIG")
    configured = cmake(f"-DLAMMPS_INCLUDE_DIR={include}", f"-DLAMMPS_EXECUTABLE={program}", folder=tmp_path)
    assert configured.returncode == 0, configured.stderr
    commands = (tmp_path / "build" / "compile_commands.json").read_text()
    assert "stable_29Aug2024_update1-bigbig" in commands
    assert "-DLAMMPS_BIGBIG" in commands


@pytest.mark.parametrize(
    ("half", "message"),
    [
        (["-DLAMMPS_INCLUDE_DIR={include}"], "must both be given"),
        (["-DLAMMPS_EXECUTABLE={program}"], "must both be given"),
        ([], "must both be given"),
        (["-DLAMMPS_INCLUDE_DIR={include}", "-DLAMMPS_EXECUTABLE=/nonexistent"], "cannot run /nonexistent"),
    ],
)
def test_build_by_hand_refuses_what_it_does_not_know(half, message, other, tmp_path):
    include, program = other()
    arguments = [word.format(include=include, program=program) for word in half]
    configured = cmake(*arguments, folder=tmp_path)
    assert configured.returncode != 0
    assert message in " ".join(configured.stderr.split())


def test_no_compiler(monkeypatch):
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(FileNotFoundError, match=r"no C\+\+ compiler"):
        build_module._compiler()


def test_failing_compiler():
    with pytest.raises(RuntimeError, match="failed"):
        build_module._run([sys.executable, "-c", "raise SystemExit(1)"])
