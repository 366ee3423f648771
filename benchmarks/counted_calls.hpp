// What count_calls.py calls in a library that counts instructions: one evaluation of one structure by the kernels of ACEPAIR_ISA.
#pragma once

#include "evaluate.hpp"

namespace acepair::ACEPAIR_ISA {
extern const Kernels kernels;
}

/// Energies, forces and virial of one structure; what is counted is written under the name.
extern "C" __attribute__((visibility("default"))) void count_evaluate(const char *name, const acepair::Plan *plan, const double *xyzs,
                                                                      const int64_t *first, const int32_t *neighbor,
                                                                      const int32_t *centres, int64_t n_centres,
                                                                      double *energies, double *forces, double *virial);

inline void evaluate_once(const acepair::Plan &plan, const double *xyzs, const int64_t *first, const int32_t *neighbor,
                          const int32_t *centres, int64_t n_centres, double *energies, double *forces, double *virial) {
    const acepair::System system{xyzs, first, neighbor};
    acepair::Memory memory;
    acepair::Outputs out{};
    out.site_energies = energies, out.forces = forces, out.virial = virial;
    evaluate(acepair::ACEPAIR_ISA::kernels, plan, system, centres, n_centres, 1, memory, out);
}
