// Sums over the edges of a centre, A and moments, and the way back: as many at a time as registers hold.
#pragma once

#include "precision.hpp"
#include "workspace.hpp"

namespace acepair::ACEPAIR_ISA {

/// sums[n (2 L + 1) + m] += Σ_edges R_n · Y_lm for N runs of one l, functions in even steps: every Y serves N of them.
template <int L, int N>
ACEPAIR_FN void pool_runs(const Vec *R, int64_t R_step, const Vec *Y, int64_t n_blocks, int64_t block_size, Real *sums) {
    constexpr int n_m = 2 * L + 1, n = N * n_m;
    Vec total[(n + W64 - 1) / W64 * W64];
#pragma GCC unroll 32
    for (Vec &one : total) one = broadcast(0);
    for (int64_t b = 0; b < n_blocks; ++b, R += block_size, Y += block_size) {
        Vec R_k[N];
#pragma GCC unroll 8
        for (int k = 0; k < N; ++k) R_k[k] = R[k * R_step];
#pragma GCC unroll 16
        for (int m = 0; m < n_m; ++m) {
            const Vec y = Y[m];
#pragma GCC unroll 8
            for (int k = 0; k < N; ++k) total[k * n_m + m] += R_k[k] * y;
        }
    }
#pragma GCC unroll 8
    for (int s = 0; s < n; s += W64, sums += W)
        store(sums, load(sums) + sums_over_edges(total + s));  // lanes beyond n add zeros to the sums behind
}

/// As pool_runs for one run of any l.
ACEPAIR_FN void pool_run(int l, const Vec *R, const Vec *Y, int64_t n_blocks, int64_t block_size, Real *sums) {
    for (int first = 0; first <= 2 * l; first += W64) {
        const int n = 2 * l + 1 - first < W64 ? 2 * l + 1 - first : W64;
        Vec total[W64];
        for (Vec &one : total) one = broadcast(0);
        for (int64_t b = 0; b < n_blocks; ++b)
            for (int m = 0; m < n; ++m) total[m] += R[b * block_size] * Y[b * block_size + first + m];
        Real *to = sums + first * team;
        store(to, load(to) + sums_over_edges(total));
    }
}

/// Sums over blocks of edges to one neighbour species, for the groups of one l.
template <int L>
ACEPAIR_FN void pool_groups(const RunGroup *group, const RunGroup *group_end, int l, const Vec *block, int64_t n_blocks,
                            const EdgeBlockLayout &at, Real *sums_of_team) {
    const Vec *Y = block + at.Y + l * l;
    for (; group != group_end; ++group) {
        const Vec *R = block + at.R + group->place;
        Real *sums = sums_of_team + group->first_sum * team;
        if constexpr (L >= 0) {
            // runs at a time whose totals stay in registers, beside R, Y and temporaries
            constexpr int n_totals = many_registers ? 24 : 12, most = many_registers ? 8 : 4, fit = n_totals / (2 * L + 1);
            in_chunks<fit < 1 ? 1 : fit < most ? fit : most>(0, group->count, [&](int k, auto size) __attribute__((always_inline)) {
                const int64_t step = group->place_step;
                pool_runs<L, size.value>(R + k * step, step, Y, n_blocks, at.size, sums + k * (2 * L + 1) * team);
            });
        } else {
            for (int n = 0; n < group->count; ++n, R += group->place_step, sums += (2 * l + 1) * team)
                pool_run(l, R, Y, n_blocks, at.size, sums);
        }
    }
}

/// Y_adj[lm] = Σ_n w_nlm R_nl for the groups of one l, for N blocks of edges whose Y_adj are `stride` apart; their slopes get
/// Σ_n dR_nl/dr Σ_m w_nlm Y_lm. w = ∂E/∂sums of each centre of the team.
template <int L, int N>
ACEPAIR_FN void pool_groups_adjoint(const RunGroup *group, const RunGroup *group_end, int l_, Vec *block, const EdgeBlockLayout &at,
                                const Real *__restrict sum_adj, Vec *__restrict Y_adj, int64_t stride) {
    const int l = L >= 0 ? L : l_;
    const Vec *Y = block + at.Y + l * l;
    Y_adj += l * l;
    if constexpr (L >= 0) {
        Vec y_adj[N][2 * L + 1], along[N];
#pragma GCC unroll 2
        for (int n = 0; n < N; ++n) {
            along[n] = broadcast(0);
#pragma GCC unroll 32
            for (int m = 0; m <= 2 * L; ++m) y_adj[n][m] = broadcast(0);
        }
        for (; group != group_end; ++group) {
            const Real *w = sum_adj + group->first_sum * team;
            const Vec *R = block + at.R + group->place, *dR = block + at.dR + group->place;
            for (int k = group->count; k > 0; --k, w += (2 * L + 1) * team, R += group->place_step, dR += group->place_step) {
                if constexpr (L == 0) {  // the gradient of Y_00 is zero
                    const Vec w_0 = broadcast_team(w);
#pragma GCC unroll 2
                    for (int n = 0; n < N; ++n) along[n] += w_0 * dR[n * at.size];
                    continue;
                }
                Vec R_n[N], t[N];
#pragma GCC unroll 2
                for (int n = 0; n < N; ++n) R_n[n] = R[n * at.size], t[n] = broadcast(0);
#pragma GCC unroll 32
                for (int m = 0; m <= 2 * L; ++m) {
                    const Vec w_m = broadcast_team(w + m * team);
#pragma GCC unroll 2
                    for (int n = 0; n < N; ++n) {
                        t[n] += w_m * Y[n * at.size + m];
                        y_adj[n][m] += w_m * R_n[n];
                    }
                }
#pragma GCC unroll 2
                for (int n = 0; n < N; ++n) along[n] += t[n] * dR[n * at.size];
            }
        }
#pragma GCC unroll 2
        for (int n = 0; n < N; ++n) {
            block[n * at.size + at.slope] += L == 0 ? along[n] * Y[n * at.size] : along[n];
#pragma GCC unroll 32
            for (int m = 0; m <= 2 * L; ++m) Y_adj[n * stride + m] = y_adj[n][m];
        }
    } else {
        for (int n = 0; n < N; ++n, block += at.size, Y += at.size, Y_adj += stride) {
            for (int m = 0; m <= 2 * l; ++m) Y_adj[m] = broadcast(0);
            for (const RunGroup *g = group; g != group_end; ++g)
                for (int k = 0; k < g->count; ++k) {
                    const int64_t place = g->place + k * g->place_step;
                    const Real *w = sum_adj + (g->first_sum + k * (2 * l + 1)) * team;
                    const Vec R = block[at.R + place];
                    Vec t = broadcast(0);
                    for (int m = 0; m <= 2 * l; ++m) {
                        const Vec w_m = broadcast_team(w + m * team);
                        t += w_m * Y[m];
                        Y_adj[m] += w_m * R;
                    }
                    block[at.slope] += t * block[at.dR + place];
                }
        }
    }
}

// Code for small l is unrolled; beyond, the general code (−1) serves.
#define ACEPAIR_FOR_L(l, CALL) \
    switch (l) {               \
    case 0: CALL(0); break;    \
    case 1: CALL(1); break;    \
    case 2: CALL(2); break;    \
    case 3: CALL(3); break;    \
    case 4: CALL(4); break;    \
    case 5: CALL(5); break;    \
    case 6: CALL(6); break;    \
    default: CALL(-1);         \
    }

/// A_nlm = Σ_j R_nl Y_lm of every centre of team t, or the moments Σ_j P_q Y_lm that it is made of, over all edges.
ACEPAIR_STAGE void pool(const Plan &plan, int z_i, int t, Workspace &work) {
    Real *sums = work.sums_of(t);
    for (int64_t s = 0; s < work.sums_stride * team; s += W) store(sums + s, broadcast(0));
    const int32_t *species = work.block_species + t * work.max_blocks;
    for (int64_t b = 0, n; b < work.n_blocks[t]; b += n) {
        for (n = 1; b + n < work.n_blocks[t] && species[b + n] == species[b];) ++n;
        const int32_t *first = plan.group_first + int64_t(z_i * plan.n_species + species[b]) * (plan.lmax + 1);
        for (int l = 0; l <= plan.lmax; ++l) {
#define ACEPAIR_POOL(L) pool_groups<L>(plan.groups + first[l], plan.groups + first[l + 1], l, work.block(t, b), n, work.layout, sums)
            ACEPAIR_FOR_L(l, ACEPAIR_POOL)
#undef ACEPAIR_POOL
        }
    }
}

/// From ∂E/∂sums to ∂E/∂Y and the slopes of every edge of team t. Two blocks at a time share the broadcasts of ∂E/∂sums.
ACEPAIR_STAGE void pool_adjoint(const Plan &plan, int z_i, int t, Workspace &work) {
    const int64_t n_Y = (plan.lmax + 1) * (plan.lmax + 1);
    const int32_t *species = work.block_species + t * work.max_blocks;
    const int32_t *first_of_centre = plan.group_first + int64_t(z_i) * plan.n_species * (plan.lmax + 1);
    for (int l = 0; l <= plan.lmax; ++l)
        for_blocks(species, work.n_blocks[t], true, [&](int b, auto one_or_two) __attribute__((always_inline)) {
            constexpr int N = n_vecs<decltype(one_or_two)>;
            const int32_t *first = first_of_centre + species[b] * (plan.lmax + 1);
#define ACEPAIR_POOL_ADJOINT(L) \
    pool_groups_adjoint<L, N>(plan.groups + first[l], plan.groups + first[l + 1], l, work.block(t, b), work.layout, work.sums_of(t), \
                          work.Y_adj + b * n_Y, n_Y)
            ACEPAIR_FOR_L(l, ACEPAIR_POOL_ADJOINT)
#undef ACEPAIR_POOL_ADJOINT
        });
}

}  // namespace acepair::ACEPAIR_ISA
