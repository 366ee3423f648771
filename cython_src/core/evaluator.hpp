// Energies and edge gradients of one block of centres. Reads like the paper: edges, R and Y, A, products, and back.
#pragma once

#include "edges.hpp"
#include "harmonics.hpp"
#include "moments.hpp"
#include "precision.hpp"
#include "products.hpp"
#include "radial.hpp"

namespace acepair::ACEPAIR_ISA {

ACEPAIR_FN int64_t round_up(int64_t n, int64_t multiple) { return (n + multiple - 1) / multiple * multiple; }

/// What is kept of a block of W edges between the way forward and the way back, in vectors.
struct EdgeBlockLayout {
    int64_t D = 0, r = 3, inverse_r = 4, inside = 5, slope = 6, Y = 7, R, dR, size;  ///< inside: lanes that hold an edge

    explicit EdgeBlockLayout(const Plan &plan) {
        const int64_t n_Y = (plan.lmax + 1) * (plan.lmax + 1);
        const int64_t n_polynomials = plan.radial.kind == BasisKind::series ? plan.radial.n_polynomials : 0;
        const int64_t n_R = plan.lmax < 0 ? 0 : round_up(n_polynomials + plan.radial.n_functions, W > 8 ? W : 8);  // tables write whole columns
        R = Y + n_Y, dR = R + n_R, size = dR + n_R;
    }
};

/// Memory of one thread, carved from one buffer. All sizes follow from the plan and the longest neighbour list.
struct Workspace {
    EdgeBlockLayout layout;
    Edges edges[team];      ///< of the centres of a team
    int64_t max_blocks;     ///< edge blocks of one team
    Vec *edge_blocks;       ///< (W64, max_blocks, layout.size)
    int32_t *block_species; ///< (W64, max_blocks)
    int32_t n_blocks[W64];
    int64_t n_sums;         ///< places in a row of sums: whole vectors, and one to spare
    Real *sums;             ///< (W64, n_sums, team) sums over neighbours; on the way back ∂E/∂sums
    Vec *node, *node_adj;   ///< (n_A + n_internal + moments,) lanes are atoms
    Vec *scratch;
    Vec *Y_adj;             ///< (max_blocks, (lmax + 1)²) ∂E/∂Y of the edges of a team

    Workspace(const Plan &plan, int64_t max_neighbors, char *memory) : layout(plan), used(0), base(memory) {
        const int64_t n_z = plan.n_species, capacity = round_up(max_neighbors, W) + W;
        for (Edges &of_centre : edges) {
            of_centre.capacity = capacity;
            of_centre.x = take<Real>(n_z * capacity), of_centre.y = take<Real>(n_z * capacity);
            of_centre.z = take<Real>(n_z * capacity), of_centre.j = take<int32_t>(n_z * capacity);
            of_centre.count = take<int32_t>(n_z);
        }
        max_blocks = team * capacity / W64 + n_z;
        edge_blocks = take<Vec>(W64 * max_blocks * layout.size);
        block_species = take<int32_t>(W64 * max_blocks);
        n_sums = round_up(plan.n_sums, W64) + W64;
        sums = take<Real>(W64 * n_sums * team);
        const int64_t n_nodes = plan.n_A + plan.dag.n_internal + plan.moments.n;
        node = take<Vec>(n_nodes), node_adj = take<Vec>(n_nodes);
        scratch = take<Vec>(2 * W);
        Y_adj = take<Vec>(max_blocks * (plan.lmax + 1) * (plan.lmax + 1));
    }

    Vec *block(int t, int64_t b) const { return edge_blocks + (t * max_blocks + b) * layout.size; }
    Real *sums_of(int t) const { return sums + t * n_sums * team; }
    int64_t bytes() const { return used; }

protected:
    int64_t used;
    char *base;

    template <class T> T *take(int64_t n) {
        const int64_t at = used;
        used += round_up(n * int64_t(sizeof(T)), 64);
        return base ? reinterpret_cast<T *>(base + at) : nullptr;  // without memory only sizes count
    }
};

/// Edges of every centre of team t, which begins with the given ones; `out` learns of atoms in the same place.
ACEPAIR_FN void find_edges_of_team(const Plan &plan, const System &system, const CentreBlock &centres, int t, Workspace &work, BlockResult &out) {
    for (int c = 0; c < team; ++c) {
        const int k = t * team + c;
        if (k >= centres.count) {
            for (int z_j = 0; z_j < plan.n_species; ++z_j) work.edges[c].count[z_j] = 0;
            continue;
        }
        const int32_t i = centres.centre[k], coincident = find_edges(plan, system, i, centres.species, work.edges[c]);
        if (coincident >= 0) out.coincident[0] = i, out.coincident[1] = coincident;
    }
}

/// Vectors and distances of every edge of team t, in blocks of W64 edges of each of its centres to neighbours of one species.
ACEPAIR_STAGE void place_edges(const Plan &plan, const CentreBlock &centres, int t, Workspace &work, BlockResult &out, int64_t first_out) {
    const EdgeBlockLayout &at = work.layout;
    int32_t centre[team];
    for (int c = 0; c < team; ++c) centre[c] = centres.centre[t * team + c < centres.count ? t * team + c : t * team];
    Indices edge_of_lane{};
    for (int lane = 0; lane < W; ++lane) edge_of_lane[lane] = lane / team;
    int64_t b = 0;
    for (int z_j = 0; z_j < plan.n_species; ++z_j) {
        const Vec at_cutoff = broadcast(plan.rcut[centres.species * plan.n_species + z_j]);
        const Real *x_from[team], *y_from[team], *z_from[team];
        const int32_t *j_from[team];
        int32_t counts[team], most = 0;
        for (int c = 0; c < team; ++c) {
            const Edges &edges = work.edges[c];
            const int64_t first = z_j * edges.capacity;
            x_from[c] = edges.x + first, y_from[c] = edges.y + first, z_from[c] = edges.z + first, j_from[c] = edges.j + first;
            counts[c] = edges.count[z_j], most = counts[c] > most ? counts[c] : most;
        }
        const Indices count = repeat(counts);
        for (int e = 0; e < most; e += W64, ++b) {
            const Indices has_edge = edge_of_lane + e < count;
            store(out.edge_neighbor + (first_out + b) * W, has_edge ? alternate(j_from) : repeat(centre));
            const Mask inside = __builtin_convertvector(has_edge, Mask);
            // lanes without an edge get a harmless vector: at the cutoff along x
            const Vec x = select(inside, alternate(x_from), at_cutoff);
            const Vec y = select(inside, alternate(y_from), broadcast(0)), z = select(inside, alternate(z_from), broadcast(0));
            const Vec r = sqrt(x * x + y * y + z * z);
            Vec *block = work.block(t, b);
            block[at.D] = x, block[at.D + 1] = y, block[at.D + 2] = z, block[at.r] = r, block[at.inverse_r] = 1 / r;
            block[at.inside] = Vec(inside), block[at.slope] = broadcast(0);
            work.block_species[t * work.max_blocks + b] = z_j;
            out.edge_count[first_out + b] = team * (most - e < W64 ? most - e : W64);
            for (int c = 0; c < team; ++c) x_from[c] += W64, y_from[c] += W64, z_from[c] += W64, j_from[c] += W64;
        }
    }
    work.n_blocks[t] = out.n_edge_blocks[t] = int32_t(b);
}

/// use(b, V()) for blocks b of edges: V = Two stands for b and b + 1 where both are of one species and `in_twos` allows it.
template <class Use>
ACEPAIR_FN void for_blocks(const int32_t *species, int n_blocks, bool in_twos, Use use) {
    for (int b = 0; b < n_blocks;) {
        if (in_twos && b + 1 < n_blocks && species[b] == species[b + 1]) use(b, Two()), b += 2;
        else use(b, Vec()), b += 1;
    }
}

/// Pair terms of every edge of team t: slopes into the blocks; energy += their sum, still over edges.
ACEPAIR_STAGE void embed_pairs(const Plan &plan, int z_i, int t, Workspace &work, Vec &energy) {
    const EdgeBlockLayout &at = work.layout;
    const int32_t *species = work.block_species + t * work.max_blocks;
    for (int p = 0; p < plan.n_pair_terms; ++p) {
        const RadialPlan &term = plan.pair_terms[p];
        for_blocks(species, work.n_blocks[t], term.kind != BasisKind::table, [&](int b, auto one_or_two) __attribute__((always_inline)) {
            using V = decltype(one_or_two);
            Vec *block = work.block(t, b);
            const auto of = [&](int64_t quantity) { return gather<V>(block + quantity, at.size); };
            const ValueSlope<V> found = pair_term(term, z_i * plan.n_species + species[b], of(at.r), of(at.inverse_r), mask(of(at.inside)));
            energy += both(found.value);
            scatter(block + at.slope, at.size, of(at.slope) + found.slope);
        });
    }
}

/// Radial functions of every edge of team t: first polynomials, each of which waits for the last, then what fills the multipliers.
ACEPAIR_STAGE void embed_radial(const Plan &plan, int z_i, int t, Workspace &work) {
    const EdgeBlockLayout &at = work.layout;
    const RadialPlan &radial = plan.radial;
    const int32_t *species = work.block_species + t * work.max_blocks;
    for_blocks(species, work.n_blocks[t], radial.chebyshev || (many_registers && radial.kind != BasisKind::table), [&](int b, auto one_or_two) __attribute__((always_inline)) {
        using V = decltype(one_or_two);
        Vec *block = work.block(t, b);
        const auto of = [&](int64_t quantity) { return gather<V>(block + quantity, at.size); };
        radial_functions(radial, z_i * plan.n_species + species[b], of(at.r), of(at.inverse_r), mask(of(at.inside)), work.scratch, block + at.R,
                         block + at.dR, at.size);
    });
    if (radial.kind != BasisKind::series) return;
    for_blocks(species, work.n_blocks[t], many_registers, [&](int b, auto one_or_two) __attribute__((always_inline)) {
        Vec *P = work.block(t, b) + at.R, *dP = work.block(t, b) + at.dR;
        const int n_q = radial.n_polynomials;
        series<decltype(one_or_two)>(radial, z_i * plan.n_species + species[b], P, dP, P + n_q, dP + n_q, at.size);
    });
}

/// Harmonics of every edge of team t.
template <int LMAX>
ACEPAIR_STAGE void embed_angular(const Plan &plan, int t, Workspace &work) {
    const EdgeBlockLayout &at = work.layout;
    const HarmonicsConstants constants(plan.harmonics, plan.lmax);
    for (int b = 0; b < work.n_blocks[t]; ++b) {
        Vec *block = work.block(t, b);
        const Vec scale = plan.spherical ? block[at.inverse_r] : broadcast(1);
        solid_harmonics<LMAX>(constants, plan.lmax, block[at.D] * scale, block[at.D + 1] * scale, block[at.D + 2] * scale, block + at.Y);
    }
}

/// Everything that depends on one edge, for every edge of team t; pair_energy is still a sum over edges.
template <int LMAX>
ACEPAIR_FN void embed(const Plan &plan, const CentreBlock &centres, int t, Workspace &work, BlockResult &out, int64_t first_out,
                      Vec &pair_energy) {
    place_edges(plan, centres, t, work, out, first_out);
    embed_pairs(plan, centres.species, t, work, pair_energy);
    if (plan.lmax < 0) return;
    embed_radial(plan, centres.species, t, work);
    embed_angular<LMAX>(plan, t, work);
}

/// sums[n (2 L + 1) + m] += Σ_edges R_n · Y_lm for N runs of one l, functions in even steps: every Y serves N of them.
template <int L, int N>
ACEPAIR_FN void pool_some(const Vec *R, int64_t R_step, const Vec *Y, int64_t n_blocks, int64_t block_size, Real *sums) {
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
    for (int s = 0; s < n; s += W64, sums += W) store(sums, load(sums) + sums_over_edges(total + s));
}

/// The `count` runs of a group, as many at a time as N, then the rest.
template <int L, int N>
ACEPAIR_FN void pool_in_turn(int count, int64_t R_step, const Vec *R, const Vec *Y, int64_t n_blocks, int64_t block_size, Real *sums) {
    for (; count >= N; count -= N, R += N * R_step, sums += N * (2 * L + 1) * team) pool_some<L, N>(R, R_step, Y, n_blocks, block_size, sums);
    if constexpr (N > 1) pool_in_turn<L, N - 1>(count, R_step, R, Y, n_blocks, block_size, sums);
}

/// As above for any l, one run.
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
        const Vec *R = block + at.R + group->function;
        Real *sums = sums_of_team + group->first_sum * team;
        if constexpr (L >= 0) {
            constexpr int fit = (many_registers ? 24 : 12) / (2 * L + 1), most = many_registers ? 8 : 4, N = fit > most ? most : fit > 1 ? fit : 1;
            pool_in_turn<L, N>(group->count, group->function_step, R, Y, n_blocks, at.size, sums);
        } else {
            for (int n = 0; n < group->count; ++n, R += group->function_step, sums += (2 * l + 1) * team)
                pool_run(l, R, Y, n_blocks, at.size, sums);
        }
    }
}

/// Y_adj[lm] = Σ_n w_nlm R_nl for the groups of one l, for N blocks of edges whose Y_adj are `stride` apart; their slopes get
/// Σ_n dR_nl/dr Σ_m w_nlm Y_lm. w = ∂E/∂sums of each centre of the team.
template <int L, int N>
ACEPAIR_FN void backward_groups(const RunGroup *group, const RunGroup *group_end, int l_, Vec *block, const EdgeBlockLayout &at,
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
            const Vec *R = block + at.R + group->function, *dR = block + at.dR + group->function;
            for (int k = group->count; k > 0; --k, w += (2 * L + 1) * team, R += group->function_step, dR += group->function_step) {
                if constexpr (L == 0) {  // the gradient of Y_00 is zero
                    const Vec w_0 = repeat(w);
#pragma GCC unroll 2
                    for (int n = 0; n < N; ++n) along[n] += w_0 * dR[n * at.size];
                    continue;
                }
                Vec R_n[N], t[N];
#pragma GCC unroll 2
                for (int n = 0; n < N; ++n) R_n[n] = R[n * at.size], t[n] = broadcast(0);
#pragma GCC unroll 32
                for (int m = 0; m <= 2 * L; ++m) {
                    const Vec w_m = repeat(w + m * team);
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
                    const int64_t function = g->function + k * g->function_step;
                    const Real *w = sum_adj + (g->first_sum + k * (2 * l + 1)) * team;
                    const Vec R = block[at.R + function];
                    Vec t = broadcast(0);
                    for (int m = 0; m <= 2 * l; ++m) {
                        const Vec w_m = repeat(w + m * team);
                        t += w_m * Y[m];
                        Y_adj[m] += w_m * R;
                    }
                    block[at.slope] += t * block[at.dR + function];
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
    for (int64_t s = 0; s < work.n_sums * team; s += W) store(sums + s, broadcast(0));
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

/// The sums of every centre as nodes, whose lanes are atoms. Lanes of unused places hold stale numbers, which nothing reads.
ACEPAIR_FN void gather_sums(const Plan &plan, const Workspace &work) {
    for (int s = 0; s < plan.n_sums; s += W64) {
        Vec tile[W64];
        for (int t = 0; t < W64; ++t) tile[t] = load(work.sums_of(t) + s * team);
        transpose64(tile);
        for (int k = 0; k < W64 && s + k < plan.n_sums; ++k) work.node[plan.sum_node[s + k]] = tile[k];
    }
    for (int k = 0; k < plan.n_without_sum; ++k) work.node[plan.nodes_without_sum[k]] = broadcast(0);
}

/// The way back: from ∂E/∂nodes.
ACEPAIR_FN void scatter_sums(const Plan &plan, const Workspace &work) {
    for (int s = 0; s < plan.n_sums; s += W64) {
        Vec tile[W64];
        for (int k = 0; k < W64; ++k) tile[k] = work.node_adj[plan.sum_node[s + k < plan.n_sums ? s + k : s]];
        transpose64(tile);
        for (int t = 0; t < W64; ++t) store(work.sums_of(t) + s * team, tile[t]);
    }
}

/// energy += what the products of A say, a lane an atom; leaves ∂E/∂A in node_adj.
ACEPAIR_FN void multiply(const Plan &plan, int z_i, Workspace &work, Vec &energy) {
    gather_sums(plan, work);
    if (plan.moments.n) mix_moments(plan, z_i, work.node);
    products_forward_adjoint(plan.dag, plan.n_A, z_i, work.node, work.node_adj, energy);
}

/// ∂E/∂sums of every centre, in place of the sums.
ACEPAIR_FN void return_adjoint(const Plan &plan, int z_i, Workspace &work) {
    if (plan.moments.n) mix_moments_adjoint(plan, z_i, work.node_adj);
    scatter_sums(plan, work);
}

/// From ∂E/∂sums to ∂E/∂Y and the slopes of every edge of team t. Two blocks at a time share the broadcasts of ∂E/∂sums.
ACEPAIR_STAGE void unpool(const Plan &plan, int z_i, int t, Workspace &work) {
    const int64_t n_Y = (plan.lmax + 1) * (plan.lmax + 1);
    const int32_t *species = work.block_species + t * work.max_blocks;
    const int32_t *first_of_centre = plan.group_first + int64_t(z_i) * plan.n_species * (plan.lmax + 1);
    for (int l = 0; l <= plan.lmax; ++l)
        for_blocks(species, work.n_blocks[t], true, [&](int b, auto one_or_two) __attribute__((always_inline)) {
            constexpr int N = sizeof(one_or_two) / sizeof(Vec);
            const int32_t *first = first_of_centre + species[b] * (plan.lmax + 1);
#define ACEPAIR_UNPOOL(L) \
    backward_groups<L, N>(plan.groups + first[l], plan.groups + first[l + 1], l, work.block(t, b), work.layout, work.sums_of(t), \
                          work.Y_adj + b * n_Y, n_Y)
            ACEPAIR_FOR_L(l, ACEPAIR_UNPOOL)
#undef ACEPAIR_UNPOOL
        });
}

/// Gradients ∂E_i/∂D of every edge of team t.
template <int LMAX>
ACEPAIR_STAGE void backward(const Plan &plan, int z_i, int t, Workspace &work, BlockResult &out, int64_t first_out) {
    const EdgeBlockLayout &at = work.layout;
    const HarmonicsConstants constants(plan.harmonics, plan.lmax);
    const int64_t n_Y = (plan.lmax + 1) * (plan.lmax + 1);
    if (plan.lmax >= 0) unpool(plan, z_i, t, work);
    for (int64_t b = 0; b < work.n_blocks[t]; ++b) {
        const Vec *block = work.block(t, b);
        const Vec inverse_r = block[at.inverse_r];
        const Vec x = block[at.D], y = block[at.D + 1], z = block[at.D + 2];
        Vec slope = block[at.slope], gx = broadcast(0), gy = broadcast(0), gz = broadcast(0);
        if (plan.lmax >= 0) {
            add_harmonics_gradient<LMAX>(constants, plan.lmax, block + at.Y, work.Y_adj + b * n_Y, gx, gy, gz);
            if (plan.spherical) {  // Y depends on u = D / r: ∂u/∂D = (1 − u ⊗ u) / r
                gx *= inverse_r, gy *= inverse_r, gz *= inverse_r;
                slope -= (gx * x + gy * y + gz * z) * inverse_r;
            }
        }
        const Vec along = slope * inverse_r;
        const Mask inside = mask(block[at.inside]);
        Real *gradient = out.gradient + (first_out + b) * 3 * W;
        store(gradient, select(inside, gx + along * x, broadcast(0)));
        store(gradient + W, select(inside, gy + along * y, broadcast(0)));
        store(gradient + 2 * W, select(inside, gz + along * z, broadcast(0)));
    }
}

/// virial −= Σ_edges D ⊗ ∂E_i/∂D, still over lanes; and the vectors themselves, where they are asked for.
ACEPAIR_STAGE void add_virial(int t, const Workspace &work, BlockResult &out, int64_t first_out, Vec *virial) {
    Vec total[9];
    for (int c = 0; c < 9; ++c) total[c] = virial[c];
    for (int64_t b = 0; b < work.n_blocks[t]; ++b) {
        const Vec *D = work.block(t, b) + work.layout.D;
        const Real *gradient = out.gradient + (first_out + b) * 3 * W;
        const Vec g[3] = {load(gradient), load(gradient + W), load(gradient + 2 * W)};
        for (int c = 0; c < 9; ++c) total[c] -= D[c / 3] * g[c % 3];
        for (int c = 0; c < 3 && out.vector; ++c) store(out.vector + ((first_out + b) * 3 + c) * W, D[c]);
    }
    for (int c = 0; c < 9; ++c) virial[c] = total[c];
}

/// Energies and gradients of a block of centres.
template <int LMAX>
void evaluate_block(const Plan &plan, const System &system, const CentreBlock &centres, Workspace &work, bool want_gradients,
                    BlockResult &out) {
    const int z_i = centres.species, n_teams = (centres.count + team - 1) / team;
    out.coincident[0] = out.coincident[1] = -1;
    Vec pair_energy[W64];
    int64_t first_out[W64], n_out = 0;
    for (int t = 0; t < W64; ++t) pair_energy[t] = broadcast(0), work.n_blocks[t] = 0, out.n_edge_blocks[t] = 0;

    for (int t = 0; t < n_teams; ++t) {
        find_edges_of_team(plan, system, centres, t, work, out);
        first_out[t] = n_out;
        embed<LMAX>(plan, centres, t, work, out, n_out, pair_energy[t]);
        n_out += work.n_blocks[t];
        if (plan.lmax >= 0) pool(plan, z_i, t, work);
    }

    Vec energy = sums_over_edges(pair_energy);
    if (plan.lmax >= 0) multiply(plan, z_i, work, energy);
    store_wide(out.site_energy, energy, plan.E0[z_i]);
    if (!want_gradients) return;

    if (plan.lmax >= 0) return_adjoint(plan, z_i, work);
    Vec virial[9];
    for (Vec &v : virial) v = broadcast(0);
    for (int t = 0; t < n_teams; ++t) {
        backward<LMAX>(plan, z_i, t, work, out, first_out[t]);
        add_virial(t, work, out, first_out[t], virial);
    }
    for (int c = 0; c < 9; ++c) out.virial[c] = sum(virial[c]);
}

}  // namespace acepair::ACEPAIR_ISA
