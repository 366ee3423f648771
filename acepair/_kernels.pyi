import numpy as np
import numpy.typing as npt

_Float = npt.NDArray[np.float64]
_Int32 = npt.NDArray[np.int32]
_Int64 = npt.NDArray[np.int64]

KINDS: dict[str, dict[str, int]]

def available_isas() -> list[str]: ...
def use_isa(name: str = ...) -> str: ...
def isa() -> str: ...

class Radial:
    def __init__(
        self,
        *,
        n_functions: int,
        kind: int,
        transform: _Float,
        envelope: _Float,
        rcut: _Float,
        recurrence: _Float,
        weights: _Float,
        table: _Float,
        n_intervals: int,
        degree: int,
        n_columns: int,
    ) -> None: ...

class Plan:
    def __init__(
        self,
        *,
        E0: _Float,
        rcut: _Float,
        pair_terms: list[Radial],
        lmax: int,
        spherical: bool,
        radial: Radial | None,
        n_A: int,
        run_first: _Int32,
        runs: _Int32,
        parent: _Int32,
        factor: _Int32,
        group_parent: _Int32,
        group_first: _Int32,
        leaf_factor: _Int32,
        coefficients: _Float,
    ) -> None: ...
    @property
    def address(self) -> int: ...
    @property
    def arrangement(self) -> dict[str, bool | int]: ...

class RowPlan:
    def __init__(
        self,
        *,
        max_order: int,
        product_first: _Int32,
        product_factor: _Int32,
        A2B_first: _Int32,
        A2B_product: _Int32,
        A2B_value: _Float,
        jacobian_first: _Int32,
        jacobian_A: _Int32,
        jacobian_place: _Int32,
    ) -> None: ...

class Memory: ...

def evaluate(
    plan: Plan,
    memory: Memory,
    xyzs: _Float,
    first: _Int64,
    neighbor: _Int32,
    centres: _Int32,
    site_energies: _Float,
    forces: _Float | None,
    virial: _Float | None,
    site_virials: _Float | None,
    edge_gradients: _Float | None,
    n_threads: int,
    single: bool = False,
) -> tuple[int, int]: ...
def basis_rows(
    plan: Plan,
    rows: RowPlan,
    memory: Memory,
    xyzs: _Float,
    first: _Int64,
    neighbor: _Int32,
    centres: _Int32,
    owner: _Int32,
    site_basis: _Float | None,
    forces: _Float | None,
    virial: _Float | None,
    jacobian: _Float | None,
    first_column: int,
    n_threads: int,
) -> tuple[int, int]: ...
