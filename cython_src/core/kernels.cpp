// The entry points of one instruction set in one precision. Compiled for each, with -DACEPAIR_ISA=<name> and -DACEPAIR_REAL=<type>; no
// std:: templates in here, since a weak symbol compiled for AVX-512 might be the one the linker keeps for every CPU.
#include "kernels.hpp"

#include "evaluator.hpp"

namespace acepair::ACEPAIR_ISA {
namespace {

int64_t workspace_bytes(const Plan &plan, int64_t max_neighbors) { return Workspace(plan, max_neighbors, nullptr).bytes(); }

void evaluate(const Plan &plan, const System &system, const CentreBlock &centres, int64_t max_neighbors, void *memory, bool want_gradients,
              BlockResult &out) {
    Workspace work(plan, max_neighbors, static_cast<char *>(memory));
#define ACEPAIR_EVALUATE(LMAX) evaluate_block<LMAX>(plan, system, centres, work, want_gradients, out)
    ACEPAIR_FOR_L(plan.lmax, ACEPAIR_EVALUATE)
#undef ACEPAIR_EVALUATE
}

void add_forces(const CentreBlock &centres, const BlockResult &result, double *forces) {
    int64_t b = 0;
    for (int t = 0; t * team < centres.count; ++t) {
        Vec fx = broadcast(0), fy = broadcast(0), fz = broadcast(0);
        for (const int64_t end = b + result.n_edge_blocks[t]; b < end; ++b) {
            const Real *g = result.gradient + b * 3 * W;
            const Vec gx = load(g), gy = load(g + W), gz = load(g + 2 * W);
            subtract_rows(forces, result.edge_neighbor + b * W, gx, gy, gz);  // lanes without an edge subtract zero from the centre
            fx += gx, fy += gy, fz += gz;
        }
        const Vec x = sums_by_remainder(fx, team), y = sums_by_remainder(fy, team), z = sums_by_remainder(fz, team);
        for (int c = 0; c < team && t * team + c < centres.count; ++c) {
            double *f = forces + 4 * int64_t(centres.centre[t * team + c]);
            f[0] += x[c], f[1] += y[c], f[2] += z[c];
        }
    }
}

}  // namespace

#define ACEPAIR_STRING_(x) #x
#define ACEPAIR_STRING(x) ACEPAIR_STRING_(x)
extern const KernelsOf<Real> kernels;
const KernelsOf<Real> kernels = {ACEPAIR_STRING(ACEPAIR_ISA), W, workspace_bytes, evaluate, add_forces};

}  // namespace acepair::ACEPAIR_ISA
