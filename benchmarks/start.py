"""Time a new Python process up to its first forces, modules and files in the cache; prints one JSON line, s.

`acepair`: reads the tutorial model from a file and evaluates 64 atoms. `NumPy`, `ASE`: what importing these takes,
which acepair does, too.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from models import read_model

from acepair import save_model

PROGRAMS = {
    "Python": "pass",
    "NumPy": "import numpy",
    "ASE's `Atoms`": "from ase import Atoms",
    "acepair: model read, energy and forces of 64 atoms": """
from ase.build import bulk
from acepair import ACECalculator
atoms = bulk("Si", cubic=True) * 2
atoms.calc = ACECalculator({file!r})
atoms.get_potential_energy(), atoms.get_forces()
""",
}


def seconds(program: str) -> float:
    """Return the time of a process."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", program], check=True)
    return time.perf_counter() - start


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        file = str(Path(folder, "tutorial.acepair"))
        save_model(read_model("sio_tutorial"), file)
        programs = {name: program.replace("{file!r}", repr(file)) for name, program in PROGRAMS.items()}
        print(json.dumps({name: seconds(program) for name, program in programs.items()}))
