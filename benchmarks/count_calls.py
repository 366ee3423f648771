"""Call a library that counts its own instructions, once for every model.

    [valgrind --tool=callgrind ...] python count_calls.py LIBRARY CELLS MODEL [MODEL ...]

LIBRARY is compiled from counted_by_callgrind.cpp or counted_by_steps.cpp.
"""

from __future__ import annotations

import ctypes
import sys

from kernel import BareKernel, pointer
from models import read_model
from structures import rattled_diamond

from acepair.evaluate import as_calculator


def main() -> None:
    """Count the kernels of every model."""
    library = ctypes.CDLL(sys.argv[1])
    cells = int(sys.argv[2])
    for name in sys.argv[3:]:
        model = read_model(name)
        kernel = BareKernel(model, rattled_diamond(cells, as_calculator(model).numbers.tolist()))
        results = map(pointer, (kernel.energies, kernel.forces, kernel.virial))
        library.count_evaluate(name.encode(), *kernel.arguments(), *results)


if __name__ == "__main__":
    main()
