"""Molecular dynamics with a saved model: `python examples/md_from_file.py demo_output/si.acepair` after `make demo`."""

from __future__ import annotations

import sys

from ase import units
from ase.build import bulk
from ase.md.langevin import Langevin

from acepair import ACECalculator

atoms = bulk("Si", "diamond", a=5.47, cubic=True) * (3, 3, 3)
atoms.calc = ACECalculator(sys.argv[1])
md = Langevin(atoms, 1 * units.fs, temperature_K=600, friction=0.01 / units.fs, logfile="-", loginterval=100)
md.run(1000)
