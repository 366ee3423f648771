"""A few small evaluations on a GPU, for tools that watch every access: compute-sanitizer python one_step.py."""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[2]))

from acepair.gpu.backend import cuda_backend
from acepair.gpu.engine import Engine, System
from gpu.stored import load

for case in ("sio_tutorial", "si_order4_large"):
    plans, elements, structures = load(case)
    for structure in structures:
        system = System(Engine(plans, elements, backend=cuda_backend()), structure["species"], structure["pbc"])
        for _ in range(2):
            forces = system.evaluate(structure["positions"], structure["cell"]).forces
        assert np.isfinite(forces.get()).all()
