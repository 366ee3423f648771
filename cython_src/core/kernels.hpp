// The kernels of one instruction set as tables of functions, and the choice among the tables.
#pragma once

#include "plan.hpp"
#include "rows.hpp"
#include "system.hpp"

namespace acepair {

/// The kernels of one instruction set in one precision. Positions, forces and energies are doubles outside.
template <class Real> struct KernelsOf {
    const char *isa;
    int32_t width;  ///< W: edges or atoms in a vector, centres in a block

    /// Bytes of workspace a thread needs, to be aligned to 64.
    int64_t (*workspace_bytes)(const PlanOf<Real> &plan, int64_t max_neighbors);

    /// Energies and, if asked for, edge gradients and virial of one block of centres.
    void (*evaluate)(const PlanOf<Real> &plan, const System &system, const CentreBlock &centres, int64_t max_neighbors, void *workspace,
                     bool want_gradients, BlockResultOf<Real> &out);

    /// forces (n, 4): F_i += Σ g, F_j −= g. The order of additions is that of the list.
    void (*add_forces)(const CentreBlock &centres, const BlockResultOf<Real> &result, double *forces);
};

/// Basis rows, in double precision only.
struct RowKernels {
    /// Bytes of workspace for rows.
    int64_t (*row_workspace_bytes)(const Plan &plan, const RowPlan &rows, int64_t max_neighbors);

    /// Basis functions of a block of centres and their derivatives, added to what `out` asks for.
    void (*basis_rows)(const Plan &plan, const RowPlan &rows, const System &system, const CentreBlock &centres, int64_t max_neighbors,
                       void *workspace, const RowResult &out);
};

/// The kernels of one instruction set.
struct Kernels : KernelsOf<double>, RowKernels {
    const KernelsOf<float> *single;  ///< the same for plans in single precision
};

/// All tables this library was built with that this CPU can run, best first; ends with a null pointer.
const Kernels *const *available_kernels();

/// The table called `isa`, the best one if isa is null or empty; null if there is none of that name here.
const Kernels *select_kernels(const char *isa);

}  // namespace acepair
