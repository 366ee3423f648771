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

import numpy as np
from models import read_model
from structures import rattled_diamond

from acepair import save_model

PROGRAMS = {
    "Python": "pass",
    "NumPy": "import numpy",
    "ASE's `Atoms`": "from ase import Atoms",
    "acepair: model read, energy and forces of 64 atoms": """
import numpy, sys
from ase import Atoms
from acepair import ACECalculator
atoms = Atoms(**numpy.load(sys.argv[2]), pbc=True, calculator=ACECalculator(sys.argv[1]))
atoms.get_potential_energy(), atoms.get_forces()
""",
}


def seconds(program: str, *arguments: str) -> float:
    """Return the time of a process."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", program, *arguments], check=True)
    return time.perf_counter() - start


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        model, structure = str(Path(folder, "tutorial.acepair")), str(Path(folder, "silicon.npz"))
        save_model(read_model("sio_tutorial"), model)
        atoms = rattled_diamond(2, [14])
        np.savez(structure, numbers=atoms.numbers, positions=atoms.positions, cell=atoms.cell.array)
        print(json.dumps({name: seconds(program, model, structure) for name, program in PROGRAMS.items()}))
