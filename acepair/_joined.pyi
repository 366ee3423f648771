import numpy as np
import numpy.typing as npt

_Float = npt.NDArray[np.float64]
_Bool = npt.NDArray[np.bool_]
_Int32 = npt.NDArray[np.int32]
_Int64 = npt.NDArray[np.int64]

class Lists:
    def search(
        self, positions: _Float, first: _Int64, cells: _Float, pbc: _Bool, cutoff: float, max_tests: int, n_threads: int
    ) -> list[int]: ...
    def put(self, k: int, first: _Int64, neighbor: _Int32, image_owner: _Int32, image_shift: _Int32) -> None: ...
    def join(self) -> tuple[_Int64, _Int32, _Int32, _Int32, _Int64]: ...

class References:
    def __init__(self, positions: _Float, first: _Int64, cells: _Float, pbc: _Bool, numbers: _Int64) -> None: ...
    def covers(
        self,
        positions: _Float,
        first: _Int64,
        cells: _Float,
        pbc: _Bool,
        numbers: _Int64,
        rcut: float,
        skin: float,
    ) -> bool: ...

def first_unsound_cell(cells: _Float, pbc: _Bool, min_independence: float) -> int: ...
def pack(
    positions: _Float,
    first: _Int64,
    cells: _Float,
    species: _Int32,
    image_owner: _Int32,
    image_shift: _Int32,
    image_first: _Int64,
    out: _Float,
) -> None: ...
def add_energies(first: _Int64, site_energies: _Float, energies: _Float) -> None: ...
def add_virials(first: _Int64, image_first: _Int64, packed: _Float, forces: _Float, virials: _Float) -> None: ...
