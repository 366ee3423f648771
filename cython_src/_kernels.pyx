"""Energies, forces and basis rows of lowered plans. Python validates, this module computes."""

import os

from libc.stdint cimport int32_t, int64_t, uintptr_t
from libcpp cimport bool as cbool
from libcpp.memory cimport unique_ptr
from libcpp.vector cimport vector


cdef extern from "core/plan.hpp" namespace "acepair" nogil:
    cdef enum class TransformKind:
        agnesi, affine, count

    cdef enum class EnvelopeKind:
        one, poly_2sx, poly_1sr, ace1_poly_1sr, inverse_r, count

    cdef enum class BasisKind:
        recurrence, series, table, count

    cdef cppclass TransformParameters:
        pass

    cdef cppclass EnvelopeParameters:
        pass

    cdef cppclass RadialPlan:
        int32_t n_functions
        BasisKind kind
        cbool chebyshev
        const TransformParameters *transform
        const EnvelopeParameters *envelope
        const double *rcut
        int32_t n_polynomials
        const double *A
        const double *B
        const double *C
        const double *weights
        int32_t n_intervals, degree, n_columns
        const double *table

    cdef struct Moments:
        int32_t n_degrees

    cdef struct Run:
        int32_t function, first

    cdef cppclass Dag:
        int32_t n_internal, n_leaves, n_groups
        const int32_t *parent
        const int32_t *factor
        const int32_t *group_parent
        const int32_t *group_first
        const int32_t *leaf_factor
        const double *coefficients

    cdef cppclass PlanStruct "acepair::Plan":
        int32_t n_species
        const double *E0
        const double *rcut
        int32_t n_pair_terms
        const RadialPlan *pair_terms
        int32_t lmax
        cbool spherical
        RadialPlan radial
        int32_t n_A
        const int32_t *run_first
        const Run *runs
        Moments moments
        const double *harmonics
        Dag dag


cdef extern from "core/system.hpp" namespace "acepair" nogil:
    cdef cppclass System:
        const double *xyzs
        const int64_t *first
        const int32_t *neighbor


cdef extern from "core/rows.hpp" namespace "acepair" nogil:
    cdef cppclass RowPlanStruct "acepair::RowPlan":
        int32_t n_functions, max_order
        const int32_t *product_first
        const int32_t *product_factor
        const int32_t *A2B_first
        const int32_t *A2B_product
        const double *A2B_value
        const int32_t *jacobian_first
        const int32_t *jacobian_A
        const int32_t *jacobian_place

    cdef cppclass RowResult:
        int32_t begin, end
        int64_t n_columns
        double *site_basis
        double *forces
        double *virial
        double *jacobian
        const int32_t *owner
        int32_t *coincident


cdef extern from "core/kernels.hpp" namespace "acepair" nogil:
    cdef cppclass SingleKernels "acepair::KernelsOf<float>":
        pass

    cdef cppclass Kernels:
        const char *isa
        const SingleKernels *single

    const Kernels *const *available_kernels()
    const Kernels *select_kernels(const char *isa)


cdef extern from "arranged_plan.hpp" namespace "acepair" nogil:
    cdef cppclass ArrangedPlan:
        PlanStruct plan
        ArrangedPlan(const PlanStruct &, cbool with_moments) except +


cdef extern from "single_plan.hpp" namespace "acepair" nogil:
    cdef cppclass RoundedPlan "acepair::PlanOf<float>":
        pass

    cdef cppclass SinglePlanOnDemand:
        const RoundedPlan &of "of"(const PlanStruct &) except +


cdef extern from "harmonics_constants.hpp" namespace "acepair" nogil:
    vector[double] make_harmonics_constants(int lmax)


cdef extern from "memory.hpp" namespace "acepair" nogil:
    cdef cppclass MemoryStruct "acepair::Memory":
        pass


cdef extern from "evaluate.hpp" namespace "acepair" nogil:
    cdef cppclass Outputs:
        double *site_energies
        double *forces
        double *virial
        double *site_virials
        double *edge_gradients
        int32_t coincident[2]

    void c_evaluate "acepair::evaluate"(
        const Kernels &, const PlanStruct &, const System &, const int32_t *, int64_t, int, MemoryStruct &, Outputs &
    ) except +
    void c_evaluate_single "acepair::evaluate"(
        const SingleKernels &, const RoundedPlan &, const System &, const int32_t *, int64_t, int, MemoryStruct &, Outputs &
    ) except +
    void c_basis_rows "acepair::basis_rows"(
        const Kernels &, const PlanStruct &, const RowPlanStruct &, const System &, const int32_t *, int64_t, int,
        MemoryStruct &, const RowResult &
    ) except +


#: names and numbers of what the kernels know, for comparison with acepair/plan.py
KINDS = {
    "TransformKind": {"AGNESI": <int>TransformKind.agnesi, "AFFINE": <int>TransformKind.affine},
    "EnvelopeKind": {
        "ONE": <int>EnvelopeKind.one,
        "POLY_2SX": <int>EnvelopeKind.poly_2sx,
        "POLY_1SR": <int>EnvelopeKind.poly_1sr,
        "ACE1_POLY_1SR": <int>EnvelopeKind.ace1_poly_1sr,
        "INVERSE_R": <int>EnvelopeKind.inverse_r,
    },
    "BasisKind": {
        "RECURRENCE": <int>BasisKind.recurrence,
        "SERIES": <int>BasisKind.series,
        "TABLE": <int>BasisKind.table,
    },
}

cdef const Kernels *kernels = NULL


def available_isas():
    """Instruction sets this build has kernels for and this CPU can run, best first."""
    cdef const Kernels *const *table = available_kernels()
    names = []
    while table[0] is not NULL:
        names.append(table[0].isa.decode())
        table += 1
    return names


def use_isa(str name=""):
    """Choose the kernels called `name`, the best for "", for all calls from now on; returns the name chosen."""
    global kernels
    cdef const Kernels *chosen = select_kernels(name.encode())
    if chosen is NULL:
        raise ValueError(f"ACEPAIR_ISA must be one of {', '.join(available_isas())} on this machine, got {name!r}")
    kernels = chosen
    return chosen.isa.decode()


def isa():
    """Name of the instruction set in use; `ACEPAIR_ISA` in the environment chooses it at first use."""
    choose_kernels()
    return kernels.isa.decode()


cdef choose_kernels():
    if kernels is NULL:
        use_isa(os.environ.get("ACEPAIR_ISA", ""))


cdef check_kinds(const double[:, ::1] parameters, int count, str what):
    """Refuse numbers that the kernels do not know, in the first column."""
    for pair in range(parameters.shape[0]):
        if not 0 <= parameters[pair, 0] < count:
            raise ValueError(f"kind of {what} must be below {count}, got {parameters[pair, 0]}: is acepair built from other sources?")


cdef const double *pointer(const double[::1] a) noexcept:
    return &a[0] if a is not None and a.shape[0] else NULL


cdef const int32_t *pointer_i(const int32_t[::1] a) noexcept:
    return &a[0] if a is not None and a.shape[0] else NULL


cdef class Radial:
    """Radial functions of one component, lowered: see `RadialPlan` in core/plan.hpp for shapes."""

    cdef RadialPlan c
    cdef object arrays

    def __init__(self, *, int n_functions, int kind, const double[:, ::1] transform not None, const double[:, ::1] envelope not None,
                 const double[::1] rcut not None, const double[:, ::1] recurrence not None, const double[::1] weights not None,
                 const double[::1] table not None, int n_intervals, int degree, int n_columns):
        check_kinds(transform, <int>TransformKind.count, "transform")
        check_kinds(envelope, <int>EnvelopeKind.count, "envelope")
        if not 0 <= kind < <int>BasisKind.count:
            raise ValueError(f"kind must be below {<int>BasisKind.count}, got {kind}")
        self.arrays = (transform, envelope, rcut, recurrence, weights, table)
        self.c.n_functions = n_functions
        self.c.kind = <BasisKind>kind
        self.c.transform = <const TransformParameters *>&transform[0, 0]
        self.c.envelope = <const EnvelopeParameters *>&envelope[0, 0]
        self.c.rcut = &rcut[0]
        self.c.n_polynomials = <int32_t>recurrence.shape[1]
        if recurrence.shape[1]:
            self.c.A = &recurrence[0, 0]
            self.c.B = &recurrence[1, 0]
            self.c.C = &recurrence[2, 0]
        self.c.weights = pointer(weights)
        self.c.n_intervals = n_intervals
        self.c.degree = degree
        self.c.n_columns = n_columns
        self.c.table = pointer(table)


cdef class Plan:
    """An evaluation plan: see core/plan.hpp for shapes."""

    cdef PlanStruct c
    cdef vector[RadialPlan] pair_terms
    cdef vector[double] harmonics
    cdef object arrays
    cdef unique_ptr[ArrangedPlan] arranged, arranged_for_rows
    cdef SinglePlanOnDemand single

    def __init__(self, *, const double[::1] E0 not None, const double[::1] rcut not None, pair_terms, int lmax, bint spherical,
                 Radial radial, int n_A, const int32_t[::1] run_first not None, const int32_t[:, ::1] runs not None,
                 const int32_t[::1] parent not None, const int32_t[::1] factor not None, const int32_t[::1] group_parent not None,
                 const int32_t[::1] group_first not None, const int32_t[::1] leaf_factor not None,
                 const double[::1] coefficients not None):
        cdef Radial term
        self.arrays = (E0, rcut, pair_terms, radial, run_first, runs, parent, factor, group_parent, group_first, leaf_factor, coefficients)
        self.c.n_species = <int32_t>E0.shape[0]
        self.c.E0 = &E0[0]
        self.c.rcut = &rcut[0]
        for term in pair_terms:
            self.pair_terms.push_back(term.c)
        self.c.n_pair_terms = <int32_t>self.pair_terms.size()
        self.c.pair_terms = self.pair_terms.data()
        self.c.lmax = lmax
        self.c.spherical = spherical
        if radial is not None:
            self.c.radial = radial.c
        self.c.n_A = n_A
        self.c.run_first = pointer_i(run_first)
        self.c.runs = <const Run *>&runs[0, 0] if runs.shape[0] else NULL
        self.harmonics = make_harmonics_constants(max(lmax, 0))
        self.c.harmonics = self.harmonics.data()
        self.c.dag.n_internal = <int32_t>parent.shape[0]
        self.c.dag.n_groups = <int32_t>group_parent.shape[0]
        self.c.dag.n_leaves = <int32_t>leaf_factor.shape[0]
        self.c.dag.parent = pointer_i(parent)
        self.c.dag.factor = pointer_i(factor)
        self.c.dag.group_parent = pointer_i(group_parent)
        self.c.dag.group_first = pointer_i(group_first)
        self.c.dag.leaf_factor = pointer_i(leaf_factor)
        self.c.dag.coefficients = pointer(coefficients)
        self.arranged.reset(new ArrangedPlan(self.c, True))

    @property
    def address(self):
        """Address of the C++ struct that is evaluated, for benchmarks that call the core without this module."""
        return <uintptr_t>&self.arranged.get().plan

    @property
    def arrangement(self):
        """How the kernels evaluate radial series: in Chebyshev's polynomials or not, and for which l < moment_degrees after the sum."""
        cdef const PlanStruct *plan = &self.arranged.get().plan
        return {"chebyshev": bool(plan.radial.chebyshev), "moment_degrees": plan.moments.n_degrees}


cdef class RowPlan:
    """What basis rows need besides the plan: see core/rows.hpp for shapes."""

    cdef RowPlanStruct c
    cdef object arrays

    def __init__(self, *, int max_order, const int32_t[::1] product_first not None, const int32_t[::1] product_factor not None,
                 const int32_t[::1] A2B_first not None, const int32_t[::1] A2B_product not None, const double[::1] A2B_value not None,
                 const int32_t[::1] jacobian_first not None, const int32_t[::1] jacobian_A not None,
                 const int32_t[::1] jacobian_place not None):
        self.arrays = (product_first, product_factor, A2B_first, A2B_product, A2B_value, jacobian_first, jacobian_A, jacobian_place)
        self.c.n_functions = <int32_t>A2B_first.shape[0] - 1
        self.c.max_order = max_order
        self.c.product_first = pointer_i(product_first)
        self.c.product_factor = pointer_i(product_factor)
        self.c.A2B_first = pointer_i(A2B_first)
        self.c.A2B_product = pointer_i(A2B_product)
        self.c.A2B_value = pointer(A2B_value)
        self.c.jacobian_first = pointer_i(jacobian_first)
        self.c.jacobian_A = pointer_i(jacobian_A)
        self.c.jacobian_place = pointer_i(jacobian_place)


cdef class Memory:
    """Workspaces that are kept between calls. Not to be shared by threads that call at the same time."""

    cdef MemoryStruct c


cdef (int, int) no_pair = (-1, -1)


def evaluate(Plan plan not None, Memory memory not None, const double[:, ::1] xyzs not None, const int64_t[::1] first not None,
             const int32_t[::1] neighbor not None, const int32_t[::1] centres not None,
             double[::1] site_energies not None, double[:, ::1] forces, double[::1] virial, double[:, ::1] site_virials,
             double[:, ::1] edge_gradients, int n_threads, bint single=False):
    """Add a plan's energies (eV), forces (eV/Å) and virials (eV) to the outputs; arguments are validated by the caller.

    Parameters
    ----------
    plan, memory
        The lowered model and reusable workspaces.
    xyzs : (n_atoms + n_images, 4)
        Positions (Å) and species indices, below the plan's n_species, of atoms, then of images; −1 for an atom to be ignored.
    first : (n_atoms + 1,)
    neighbor : (n_edges,)
        Neighbour list in rows of `xyzs`.
    centres : (n_centres,)
        Atoms whose energies are added.
    site_energies : (n_atoms,)
    forces : (n_atoms + n_images, 4) or None
        None computes energies only.
    virial : (9,) or None
        Needed with forces.
    site_virials : (n_atoms + n_images, 9) or None
    edge_gradients : (n_edges, 3) or None
        ∂E_i/∂D; overwritten for edges inside the cutoff.
    n_threads : int
    single : bool
        Compute in single precision, see `ACECalculator`.

    Returns
    -------
    (int, int)
        Two rows of `xyzs` in the same place, or (−1, −1).
    """
    cdef System system
    cdef Outputs out
    cdef const RoundedPlan *rounded
    if centres.shape[0] == 0:
        return no_pair
    choose_kernels()
    system.xyzs = &xyzs[0, 0]
    system.first = &first[0]
    system.neighbor = pointer_i(neighbor)
    out.site_energies = &site_energies[0]
    out.forces = &forces[0, 0] if forces is not None else NULL
    out.virial = &virial[0] if virial is not None else NULL
    out.site_virials = &site_virials[0, 0] if site_virials is not None else NULL
    out.edge_gradients = &edge_gradients[0, 0] if edge_gradients is not None and edge_gradients.shape[0] else NULL
    if single:
        rounded = &plan.single.of(plan.arranged.get().plan)
        with nogil:
            c_evaluate_single(kernels[0].single[0], rounded[0], system, &centres[0], centres.shape[0], n_threads, memory.c, out)
        return out.coincident[0], out.coincident[1]
    with nogil:
        c_evaluate(kernels[0], plan.arranged.get().plan, system, &centres[0], centres.shape[0], n_threads, memory.c, out)
    return out.coincident[0], out.coincident[1]


def basis_rows(Plan plan not None, RowPlan rows not None, Memory memory not None, const double[:, ::1] xyzs not None,
               const int64_t[::1] first not None, const int32_t[::1] neighbor not None, const int32_t[::1] centres not None,
               const int32_t[::1] owner not None, double[:, ::1] site_basis,
               double[:, :, ::1] forces, double[:, ::1] virial, double[:, :, ::1] jacobian, int64_t first_column, int n_threads):
    """Add a plan's basis functions and their derivatives to those outputs that are not None; the caller validates.

    Parameters
    ----------
    plan, rows, memory, xyzs, first, neighbor, centres
        As in `evaluate`.
    owner : (n_atoms + n_images,)
        The atom to which the force on each row of `xyzs` goes.
    site_basis : (n_atoms, n_functions) or None
        B_i.
    forces : (n_atoms, 3, n_columns) or None
        −∂(Σ_i B_i)/∂r, n_functions columns for each species of centre, from `first_column` on.
    virial : (9, n_columns) or None
        −Σ D ⊗ ∂B_i/∂D in the same columns; given if and only if forces are.
    jacobian : (n_edges, 3, n_functions) or None
        ∂B_i/∂D of every edge.
    n_threads : int

    Returns
    -------
    (int, int)
        Two rows of `xyzs` in the same place, or (−1, −1).
    """
    cdef System system
    cdef RowResult out
    cdef int32_t coincident[2]
    if centres.shape[0] == 0 or rows.c.n_functions == 0:
        return no_pair
    choose_kernels()
    system.xyzs = &xyzs[0, 0]
    system.first = &first[0]
    system.neighbor = pointer_i(neighbor)
    out.begin = out.end = 0
    out.n_columns = forces.shape[2] if forces is not None else 0
    out.site_basis = &site_basis[0, 0] if site_basis is not None else NULL
    out.forces = &forces[0, 0, first_column] if forces is not None else NULL
    out.virial = &virial[0, first_column] if virial is not None else NULL
    out.jacobian = &jacobian[0, 0, 0] if jacobian is not None and jacobian.shape[0] else NULL
    out.owner = pointer_i(owner)
    out.coincident = coincident
    coincident[0] = coincident[1] = -1
    if plan.arranged_for_rows.get() is NULL:
        plan.arranged_for_rows.reset(new ArrangedPlan(plan.c, False))
    with nogil:
        c_basis_rows(kernels[0], plan.arranged_for_rows.get().plan, rows.c, system, &centres[0], centres.shape[0], n_threads, memory.c, out)
    return coincident[0], coincident[1]
