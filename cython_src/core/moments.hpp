// From moments of the neighbours' density to A and back: radial weights applied once an atom instead of once an edge.
#pragma once

#include "precision.hpp"

namespace acepair::ACEPAIR_ISA {

/// A[first + m] += Σ_q W_q M[q][m] of K runs: every moment serves K sums.
template <int K>
ACEPAIR_FN void mix_runs(const Run *run, const Real *weights, int n_q, const Vec *M, int n_m, Vec *A) {
    const Real *w[K];
    for (int k = 0; k < K; ++k) w[k] = weights + int64_t(run[k].function) * n_q;
    for (int m = 0; m < n_m; ++m) {
        Vec sum[K];
        for (int k = 0; k < K; ++k) sum[k] = broadcast(0);
        for (int q = 0; q < n_q; ++q)
#pragma GCC unroll 10
            for (int k = 0; k < K; ++k) sum[k] += w[k][q] * M[q * n_m + m];
        for (int k = 0; k < K; ++k) A[run[k].first + m] += sum[k];
    }
}

/// ∂E/∂M[q][m] = Σ_runs W_q ∂E/∂A[first + m] of K polynomials.
template <int K>
ACEPAIR_FN void mix_runs_adjoint(const Run *run, const Run *run_end, const Real *weights, int n_q, const Vec *A_adj, int n_m, Vec *M_adj) {
    for (int m = 0; m < n_m; ++m) {
        Vec sum[K];
        for (int k = 0; k < K; ++k) sum[k] = broadcast(0);
        for (const Run *r = run; r != run_end; ++r) {
            const Real *w = forget(weights + int64_t(r->function) * n_q);
#pragma GCC unroll 10
            for (int k = 0; k < K; ++k) sum[k] += w[k] * A_adj[r->first + m];
        }
        for (int k = 0; k < K; ++k) M_adj[k * n_m + m] = sum[k];
    }
}

/// use(l, runs, end of runs, weights of the pair, place of the moments) for every degree and neighbour species.
template <class Use>
ACEPAIR_FN void for_moments(const Plan &plan, int z_i, Use use) {
    const int n_q = plan.radial.n_polynomials;
    for (int z_j = 0; z_j < plan.n_species; ++z_j) {
        const int64_t pair = int64_t(z_i) * plan.n_species + z_j;
        const int32_t *first = plan.run_first + pair * (plan.lmax + 1);
        for (int l = 0; l < plan.moments.n_degrees; ++l)
            use(l, plan.runs + first[l], plan.runs + first[l + 1], plan.moments.weights + pair * plan.moments.n_functions * n_q,
                moment_offset(plan.n_species, n_q, l, z_j));
    }
}

/// Add to A what the moments say, which stand behind the last node; lanes are atoms.
ACEPAIR_STAGE void mix_moments(const Plan &plan, int z_i, Vec *node) {
    const Vec *moment = node + plan.n_A + plan.dag.n_internal;
    const int n_q = plan.radial.n_polynomials;
    for_moments(plan, z_i, [&](int l, const Run *run, const Run *run_end, const Real *weights, int offset) __attribute__((always_inline)) {
        in_chunks<10>(0, int(run_end - run), [&](int k, auto size) __attribute__((always_inline)) {
            mix_runs<size.value>(run + k, weights, n_q, moment + offset, 2 * l + 1, node);
        });
    });
}

/// ∂E/∂moment from ∂E/∂A.
ACEPAIR_STAGE void mix_moments_adjoint(const Plan &plan, int z_i, Vec *node_adj) {
    Vec *moment_adj = node_adj + plan.n_A + plan.dag.n_internal;
    const int n_q = plan.radial.n_polynomials;
    for_moments(plan, z_i, [&](int l, const Run *run, const Run *run_end, const Real *weights, int offset) __attribute__((always_inline)) {
        in_chunks<8>(0, n_q, [&](int q, auto size) __attribute__((always_inline)) {
            mix_runs_adjoint<size.value>(run, run_end, weights + q, n_q, node_adj, 2 * l + 1, moment_adj + offset + q * (2 * l + 1));
        });
    });
}

}  // namespace acepair::ACEPAIR_ISA
