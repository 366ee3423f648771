"""A few small evaluations on a GPU, for tools that watch every access: compute-sanitizer python one_step.py."""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[2]))

from acepair.gpu.backend import cuda_backend
from acepair.gpu.engine import Engine, System
from gpu.stored import load

BACKEND = cuda_backend()
BACKEND.xp.cuda.set_allocator(None)  # arrays of their own, so that what is beyond their ends is nobody's

for case in ("sio_tutorial", "si_order4_large"):
    plans, elements, structures = load(case)
    for structure in structures:
        system = System(Engine(plans, elements, backend=BACKEND), structure["species"], structure["pbc"])
        positions = BACKEND.xp.asarray(structure["positions"])
        for _ in range(4):  # a list, launches, a graph recorded and replayed
            forces = system.evaluate(positions, structure["cell"]).forces
        assert np.isfinite(forces.get()).all()
