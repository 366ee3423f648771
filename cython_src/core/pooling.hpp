// Sums over the edges of a centre, A and moments, and the way back: as many at a time as registers hold.
#pragma once

#include "precision.hpp"
#include "workspace.hpp"

namespace acepair::ACEPAIR_ISA {

/// The groups of one l for edges to neighbours of one species.
struct Groups {
    const RunGroup *begin, *end;

    Groups(const Plan &plan, int z_i, int z_j, int l) {
        const int32_t *first = plan.group_first + int64_t(z_i * plan.n_species + z_j) * (plan.lmax + 1) + l;
        begin = plan.groups + first[0], end = plan.groups + first[1];
    }
};

/// sums[n] += Y_00 Σ_edges R_n for N runs of l = 0.
template <int N>
ACEPAIR_FN void pool_constants(const Vec *R, Vec Y, int64_t n_blocks, int64_t block_size, Real *sums) {
    Vec total[(N + W64 - 1) / W64 * W64];
#pragma GCC unroll 32
    for (Vec &one : total) one = broadcast(0);
    for (int64_t b = 0; b < n_blocks; ++b, R += block_size) {
#pragma GCC unroll 32
        for (int k = 0; k < N; ++k) total[k] += R[k];
    }
#pragma GCC unroll 8
    for (int s = 0; s < N; s += W64, sums += W)
        store(sums, load(sums) + Y * sums_over_edges(total + s));  // lanes beyond N add zeros to the sums behind
}

/// sums[n (2 L + 1) + m] += Σ_edges R_n · Y_lm for N runs of one l: every R serves 2 L + 1 of them.
template <int L, int N>
ACEPAIR_FN void pool_runs(const Vec *R, const Vec *Y, int64_t n_blocks, int64_t block_size, Real *sums) {
    constexpr int n_m = 2 * L + 1, n = N * n_m;
    Vec total[(n + W64 - 1) / W64 * W64];
#pragma GCC unroll 32
    for (Vec &one : total) one = broadcast(0);
    for (int64_t b = 0; b < n_blocks; ++b, R += block_size, Y += block_size) {
#pragma GCC unroll 8
        for (int k = 0; k < N; ++k) {
            const Vec R_k = R[k];
#pragma GCC unroll 16
            for (int m = 0; m < n_m; ++m) total[k * n_m + m] += R_k * Y[m];
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
ACEPAIR_FN void pool_groups(Groups groups, int l, const Vec *block, int64_t n_blocks, const EdgeBlockLayout &at, Real *sums_of_team) {
    const Vec *Y = block + at.Y + l * l;
    for (const RunGroup *group = groups.begin; group != groups.end; ++group) {
        const Vec *R = block + at.R + group->place;
        Real *sums = sums_of_team + group->first_sum * team;
        if constexpr (L == 0) {
            in_chunks<15>(0, group->count, [&](int k, auto size) __attribute__((always_inline)) {
                pool_constants<size.value>(R + k, Y[0], n_blocks, at.size, sums + k * team);
            });
        } else if constexpr (L > 0) {
            // runs at a time whose totals stay in registers, beside R, Y and temporaries
            constexpr int n_totals = many_registers ? 24 : 15, most = many_registers ? 8 : 5, fit = n_totals / (2 * L + 1);
            in_chunks<fit < 1 ? 1 : fit < most ? fit : most>(0, group->count, [&](int k, auto size) __attribute__((always_inline)) {
                pool_runs<L, size.value>(R + k, Y, n_blocks, at.size, sums + k * (2 * L + 1) * team);
            });
        } else {
            for (int n = 0; n < group->count; ++n, ++R, sums += (2 * l + 1) * team)
                pool_run(l, R, Y, n_blocks, at.size, sums);
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
    for_stretches(work, t, [&](Stretch stretch) __attribute__((always_inline)) {
        const Vec *block = work.block(t, stretch.first);
        for (int l = 0; l <= plan.lmax; ++l) {
#define ACEPAIR_POOL(L) pool_groups<L>(Groups(plan, z_i, stretch.species, l), l, block, stretch.count, work.layout, sums)
            ACEPAIR_FOR_L(l, ACEPAIR_POOL)
#undef ACEPAIR_POOL
        }
    });
}

/// Slopes of N blocks of edges from l = 0, whose harmonic is a constant. sum_adj: ∂E/∂sums of each centre of the team.
template <int N>
ACEPAIR_FN void pool_constants_adjoint(Groups groups, const Real *sum_adj, const EdgeBlockLayout &at, Vec *block) {
    Vec along[N];
#pragma GCC unroll 4
    for (Vec &one : along) one = broadcast(0);
    for (const RunGroup *group = groups.begin; group != groups.end; ++group) {
        const Real *w = sum_adj + group->first_sum * team, *const w_end = w + group->count * team;
        const Vec *dR = block + at.dR + group->place;
        for (; w != w_end; w += team, ++dR) {
            const Vec w_n = broadcast_team(w);
#pragma GCC unroll 4
            for (int n = 0; n < N; ++n) along[n] += w_n * dR[n * at.size];
        }
    }
#pragma GCC unroll 4
    for (int n = 0; n < N; ++n) block[n * at.size + at.slope] += along[n] * block[n * at.size + at.Y];
}

/// From l = 0 to the slopes of every edge of team t.
ACEPAIR_STAGE void pool_constants_adjoint(const Plan &plan, int z_i, int t, Workspace &work) {
    const EdgeBlockLayout at = work.layout;
    const Real *sum_adj = work.sums_of(t);
    for_stretches(work, t, [&](Stretch stretch) __attribute__((always_inline)) {
        const Groups groups(plan, z_i, stretch.species, 0);
        Vec *block = work.block(t, stretch.first);
        in_chunks<4>(0, stretch.count, [&](int, auto n) __attribute__((always_inline)) {
            pool_constants_adjoint<n.value>(groups, sum_adj, at, block);
            block += n.value * at.size;
        });
    });
}

/// Of N blocks of edges: Y_adj[m] = Σ_n w_nlm R_nl for M harmonics of degree l from number `first` on; slopes get
/// Σ_n dR_nl/dr Σ_m w_nlm Y_lm of these. sum_adj: ∂E/∂sums of each centre of the team.
template <int M, int N>
ACEPAIR_FN void pool_harmonics_adjoint(Groups groups, const Real *sum_adj, int l, int first, const EdgeBlockLayout &at, Vec *block, Vec *Y_adj,
                                       int64_t n_Y) {
    const int64_t size = at.size, w_step = (2 * l + 1) * team;
    const Vec *Y = block + at.Y + l * l + first;
    Vec y_adj[N][M], along[N];
#pragma GCC unroll 2
    for (int n = 0; n < N; ++n) {
        along[n] = broadcast(0);
#pragma GCC unroll 16
        for (Vec &one : y_adj[n]) one = broadcast(0);
    }
    for (const RunGroup *group = groups.begin; group != groups.end; ++group) {
        const Real *w = sum_adj + group->first_sum * team + first * team, *const w_end = w + group->count * w_step;
        const Vec *R = block + at.R + group->place, *dR = block + at.dR + group->place;
        for (; w != w_end; w += w_step, ++R, ++dR) {
            if constexpr (N * (2 * M + 3) + 1 > n_registers) Y = forget(Y);
            Vec R_n[N], t[N];
#pragma GCC unroll 2
            for (int n = 0; n < N; ++n) R_n[n] = R[n * size];
#pragma GCC unroll 16
            for (int m = 0; m < M; ++m) {
                const Vec w_m = broadcast_team(w + m * team);
#pragma GCC unroll 2
                for (int n = 0; n < N; ++n) {
                    const Vec w_Y = w_m * Y[n * size + m];
                    t[n] = m ? t[n] + w_Y : w_Y;
                    y_adj[n][m] += w_m * R_n[n];
                }
            }
#pragma GCC unroll 2
            for (int n = 0; n < N; ++n) along[n] += t[n] * dR[n * size];
        }
    }
#pragma GCC unroll 2
    for (int n = 0; n < N; ++n, Y_adj += n_Y) {
        block[n * size + at.slope] += along[n];
#pragma GCC unroll 16
        for (int m = 0; m < M; ++m) Y_adj[m] = y_adj[n][m];
    }
}

/// From M harmonics of degree l, from number `first` on, to every edge of team t. Two blocks at a time share what multiplies them.
template <int M>
ACEPAIR_STAGE void pool_harmonics_adjoint(const Plan &plan, int z_i, int t, int l, int first, Workspace &work) {
    const EdgeBlockLayout at = work.layout;
    const Real *sum_adj = work.sums_of(t);
    const int64_t n_Y = (plan.lmax + 1) * (plan.lmax + 1);
    for_stretches(work, t, [&](Stretch stretch) __attribute__((always_inline)) {
        const Groups groups(plan, z_i, stretch.species, l);
        Vec *block = work.block(t, stretch.first), *Y_adj = work.Y_adj + stretch.first * n_Y + l * l + first;
        in_chunks<2>(0, stretch.count, [&](int, auto n) __attribute__((always_inline)) {
            pool_harmonics_adjoint<M, n.value>(groups, sum_adj, l, first, at, block, Y_adj, n_Y);
            block += n.value * at.size, Y_adj += n.value * n_Y;
        });
    });
}

/// From ∂E/∂sums to ∂E/∂Y and the slopes of every edge of team t.
ACEPAIR_FN void pool_adjoint(const Plan &plan, int z_i, int t, Workspace &work) {
    constexpr int most = many_registers ? 11 : 5;  // harmonics whose sums over functions, of two blocks, stay in registers
    pool_constants_adjoint(plan, z_i, t, work);
    for (int l = 1; l <= plan.lmax; ++l) {
        const int n_m = 2 * l + 1, part = n_m > 2 * most ? most : n_m > most ? (n_m + 1) / 2 : n_m;
        for (int m = 0; m < n_m; m += part)
            with_count<most>(n_m - m < part ? n_m - m : part, [&](auto n) { pool_harmonics_adjoint<n.value>(plan, z_i, t, l, m, work); });
    }
}

}  // namespace acepair::ACEPAIR_ISA
