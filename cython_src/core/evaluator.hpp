// Energies and edge gradients of one block of centres. Reads like the paper: edges, R and Y, A, products, and back.
#pragma once

#include "edges.hpp"
#include "harmonics.hpp"
#include "precision.hpp"
#include "products.hpp"
#include "radial.hpp"

namespace acepair::ACEPAIR_ISA {

ACEPAIR_FN int64_t round_up(int64_t n, int64_t multiple) { return (n + multiple - 1) / multiple * multiple; }

/// What is kept of a block of W edges between the way forward and the way back, in vectors.
struct EdgeBlockLayout {
    int64_t D = 0, r = 3, inverse_r = 4, pair_slope = 5, Y = 6, R, dR, size;

    explicit EdgeBlockLayout(const Plan &plan) {
        const int64_t n_Y = (plan.lmax + 1) * (plan.lmax + 1);
        const int64_t n_R = plan.lmax < 0 ? 0 : round_up(plan.radial.n_functions, W > 8 ? W : 8);  // tables write whole columns
        R = Y + n_Y, dR = R + n_R, size = dR + n_R;
    }
};

/// Memory of one thread, carved from one buffer. All sizes follow from the plan and the longest neighbour list.
struct Workspace {
    EdgeBlockLayout layout;
    Edges edges;
    int64_t max_blocks;     ///< edge blocks of one centre
    Vec *edge_blocks;       ///< (W, max_blocks, layout.size)
    int32_t *block_species; ///< (W, max_blocks)
    int32_t n_blocks[W];
    Vec *A_lanes;           ///< (n_A rounded up,) sums of an atom, still over lanes of edges
    Real *A_atoms;          ///< (W, n_A rounded up): also the adjoint on the way back
    Vec *node, *node_adj;   ///< (n_A rounded up + n_internal,) lanes are atoms
    Vec *scratch, *Y_adj;

    Workspace(const Plan &plan, int64_t max_neighbors, char *memory) : layout(plan), used(0), base(memory) {
        const int64_t n_z = plan.n_species, n_A = round_up(plan.n_A, W);
        edges.capacity = round_up(max_neighbors, W) + W;
        max_blocks = edges.capacity / W + n_z;
        edges.x = take<Real>(n_z * edges.capacity), edges.y = take<Real>(n_z * edges.capacity);
        edges.z = take<Real>(n_z * edges.capacity), edges.j = take<int32_t>(n_z * edges.capacity);
        edges.count = take<int32_t>(n_z);
        edge_blocks = take<Vec>(W * max_blocks * layout.size);
        block_species = take<int32_t>(W * max_blocks);
        A_lanes = take<Vec>(n_A);
        A_atoms = take<Real>(W * n_A);
        node = take<Vec>(n_A + plan.dag.n_internal), node_adj = take<Vec>(n_A + plan.dag.n_internal);
        const int64_t n_q = plan.radial.n_polynomials;
        scratch = take<Vec>(2 * (n_q > W ? n_q : W));
        Y_adj = take<Vec>(2 * (plan.lmax + 1) * (plan.lmax + 1));  // of two blocks
    }

    Vec *block(int k, int64_t b) const { return edge_blocks + (k * max_blocks + b) * layout.size; }
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

/// Vectors and distances of every edge of centre k, in blocks of W edges to neighbours of one species.
ACEPAIR_STAGE void place_edges(const Plan &plan, int z_i, int k, Workspace &work, BlockResult &out, int64_t first_out) {
    const EdgeBlockLayout &at = work.layout;
    int64_t b = 0;
    for (int z_j = 0; z_j < plan.n_species; ++z_j) {
        const int count = work.edges.count[z_j];
        const int64_t offset = z_j * work.edges.capacity;
        for (int e = 0; e < count; e += W, ++b) {
            const int lanes = count - e < W ? count - e : W;
            const Mask inside = first_lanes(lanes);
            // lanes without an edge get a harmless vector: at the cutoff along x
            const Vec x = select(inside, load(work.edges.x + offset + e), broadcast(plan.rcut[z_i * plan.n_species + z_j]));
            const Vec y = select(inside, load(work.edges.y + offset + e), broadcast(0));
            const Vec z = select(inside, load(work.edges.z + offset + e), broadcast(0));
            const Vec r = sqrt(x * x + y * y + z * z);
            Vec *block = work.block(k, b);
            block[at.D] = x, block[at.D + 1] = y, block[at.D + 2] = z, block[at.r] = r, block[at.inverse_r] = 1 / r;
            block[at.pair_slope] = broadcast(0);
            work.block_species[k * work.max_blocks + b] = z_j;
            out.edge_count[first_out + b] = lanes;
            for (int lane = 0; lane < W; ++lane)
                out.edge_neighbor[(first_out + b) * W + lane] = work.edges.j[offset + e + (lane < lanes ? lane : 0)];
        }
    }
    work.n_blocks[k] = int32_t(b);
}

/// Pair terms of every edge of centre k: slopes into the blocks; energy += their sum, still over lanes of edges.
ACEPAIR_STAGE void embed_pairs(const Plan &plan, int z_i, int k, const int32_t *lanes, Workspace &work, Vec &energy) {
    const EdgeBlockLayout &at = work.layout;
    const int32_t *species = work.block_species + k * work.max_blocks;
    for (int t = 0; t < plan.n_pair_terms; ++t)
        for (int b = 0; b < work.n_blocks[k]; ++b) {
            Vec *block = work.block(k, b);
            const ValueSlope term =
                pair_term(plan.pair_terms[t], z_i * plan.n_species + species[b], block[at.r], block[at.inverse_r], first_lanes(lanes[b]));
            energy += term.value, block[at.pair_slope] += term.slope;
        }
}

/// Radial functions of every edge of centre k.
ACEPAIR_STAGE void embed_radial(const Plan &plan, int z_i, int k, const int32_t *lanes, Workspace &work) {
    const EdgeBlockLayout &at = work.layout;
    const int32_t *species = work.block_species + k * work.max_blocks;
    for (int b = 0; b < work.n_blocks[k]; ++b) {
        Vec *block = work.block(k, b);
        radial_functions(plan.radial, z_i * plan.n_species + species[b], block[at.r], block[at.inverse_r], first_lanes(lanes[b]),
                         work.scratch, block + at.R, block + at.dR);
    }
}

/// Harmonics of every edge of centre k.
template <int LMAX>
ACEPAIR_STAGE void embed_angular(const Plan &plan, int k, Workspace &work) {
    const EdgeBlockLayout &at = work.layout;
    const HarmonicsConstants constants(plan.harmonics, plan.lmax);
    for (int b = 0; b < work.n_blocks[k]; ++b) {
        Vec *block = work.block(k, b);
        const Vec scale = plan.spherical ? block[at.inverse_r] : broadcast(1);
        solid_harmonics<LMAX>(constants, plan.lmax, block[at.D] * scale, block[at.D + 1] * scale, block[at.D + 2] * scale, block + at.Y);
    }
}

/// Everything that depends on one edge, for every edge of centre k; pair_energy is still a sum over lanes of edges.
template <int LMAX>
ACEPAIR_FN void embed(const Plan &plan, int z_i, int k, Workspace &work, BlockResult &out, int64_t first_out, Vec &pair_energy) {
    place_edges(plan, z_i, k, work, out, first_out);
    embed_pairs(plan, z_i, k, out.edge_count + first_out, work, pair_energy);
    if (plan.lmax < 0) return;
    embed_radial(plan, z_i, k, out.edge_count + first_out, work);
    embed_angular<LMAX>(plan, k, work);
}

/// A_lanes[first + m] += Σ_blocks R · Y_lm for N runs of one l: every Y serves N of them.
template <int L, int N>
ACEPAIR_FN void pool_some(const Run *run, const Vec *block, int64_t n_blocks, const EdgeBlockLayout &at, Vec *__restrict A_lanes) {
    const Vec *Y = block + at.Y + L * L, *R[N];
    Vec sum[N][2 * L + 1];
#pragma GCC unroll 8
    for (int n = 0; n < N; ++n) {
        R[n] = block + at.R + run[n].function;
#pragma GCC unroll 16
        for (int m = 0; m <= 2 * L; ++m) sum[n][m] = A_lanes[run[n].first + m];
    }
    for (int64_t b = 0, offset = 0; b < n_blocks; ++b, offset += at.size) {
#pragma GCC unroll 16
        for (int m = 0; m <= 2 * L; ++m) {
            const Vec y = Y[offset + m];
#pragma GCC unroll 8
            for (int n = 0; n < N; ++n) sum[n][m] += R[n][offset] * y;
        }
    }
#pragma GCC unroll 8
    for (int n = 0; n < N; ++n) {
#pragma GCC unroll 16
        for (int m = 0; m <= 2 * L; ++m) A_lanes[run[n].first + m] = sum[n][m];
    }
}

/// A_lanes[first + m] += Σ_blocks R · Y_lm over blocks of one neighbour species, for the runs of one l.
template <int L>
ACEPAIR_FN void pool_runs(const Run *run, const Run *run_end, int l, const Vec *block, int64_t n_blocks, const EdgeBlockLayout &at,
                          Vec *__restrict A_lanes) {
    if constexpr (L >= 0) {
        constexpr int accumulators = register_bytes == 64 ? 20 : 12, fit = accumulators / (2 * L + 1), N = fit > 4 ? 4 : fit > 1 ? fit : 1;
        for (; run_end - run >= N; run += N) pool_some<L, N>(run, block, n_blocks, at, A_lanes);
        for (; run != run_end; ++run) pool_some<L, 1>(run, block, n_blocks, at, A_lanes);
    } else {
        for (; run != run_end; ++run) {
            const Vec *R = block + at.R + run->function, *Y = block + at.Y + l * l;
            for (int64_t b = 0; b < n_blocks; ++b, R += at.size, Y += at.size)
                for (int m = 0; m <= 2 * l; ++m) A_lanes[run->first + m] += *R * Y[m];
        }
    }
}

/// Y_adj[lm] = Σ_n w_nlm R_nl for the runs of one l, for N blocks of edges whose Y_adj are `stride` apart; slope[] gets
/// Σ_n dR_nl/dr Σ_m w_nlm Y_lm.
template <int L, int N>
ACEPAIR_FN void backward_runs(const Run *run, const Run *run_end, int l_, const Vec *__restrict block, const EdgeBlockLayout &at,
                              const Real *__restrict A_adj, Vec *__restrict Y_adj, int64_t stride, Vec *slope) {
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
        const Vec *const R_all = block + at.R;
        const int64_t to_slope = at.dR - at.R;
        for (; run != run_end; ++run) {
            const Real *w = A_adj + run->first;
            const Vec *R_run = R_all + run->function;
            Vec R[N], t[N];
#pragma GCC unroll 2
            for (int n = 0; n < N; ++n) R[n] = R_run[n * at.size], t[n] = broadcast(0);
#pragma GCC unroll 32
            for (int m = 0; m <= 2 * L; ++m) {
                const Vec w_m = broadcast(w[m]);
#pragma GCC unroll 2
                for (int n = 0; n < N; ++n) {
                    t[n] += w_m * Y[n * at.size + m];
                    y_adj[n][m] += w_m * R[n];
                }
            }
#pragma GCC unroll 2
            for (int n = 0; n < N; ++n) along[n] += t[n] * R_run[n * at.size + to_slope];
        }
#pragma GCC unroll 2
        for (int n = 0; n < N; ++n) {
            slope[n] += along[n];
#pragma GCC unroll 32
            for (int m = 0; m <= 2 * L; ++m) Y_adj[n * stride + m] = y_adj[n][m];
        }
    } else {
        for (int n = 0; n < N; ++n, block += at.size, Y += at.size, Y_adj += stride) {
            for (int m = 0; m <= 2 * l; ++m) Y_adj[m] = broadcast(0);
            for (const Run *one = run; one != run_end; ++one) {
                const Vec R = block[at.R + one->function];
                Vec t = broadcast(0);
                for (int m = 0; m <= 2 * l; ++m) {
                    const Vec w_m = broadcast(A_adj[one->first + m]);
                    t += w_m * Y[m];
                    Y_adj[m] += w_m * R;
                }
                slope[n] += t * block[at.dR + one->function];
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

/// A_nlm = Σ_j R_nl Y_lm of centre k, summed over all its edges, into A_atoms.
ACEPAIR_STAGE void pool(const Plan &plan, int z_i, int k, Workspace &work) {
    const int64_t n_A = round_up(plan.n_A, W);
    for (int64_t a = 0; a < n_A; ++a) work.A_lanes[a] = broadcast(0);
    const int32_t *species = work.block_species + k * work.max_blocks;
    for (int64_t b = 0, n; b < work.n_blocks[k]; b += n) {
        for (n = 1; b + n < work.n_blocks[k] && species[b + n] == species[b];) ++n;
        const int32_t *first = plan.run_first + int64_t(z_i * plan.n_species + species[b]) * (plan.lmax + 1);
        for (int l = 0; l <= plan.lmax; ++l) {
#define ACEPAIR_POOL(L) \
    pool_runs<L>(plan.runs + first[l], plan.runs + first[l + 1], l, work.block(k, b), n, work.layout, work.A_lanes)
            ACEPAIR_FOR_L(l, ACEPAIR_POOL)
#undef ACEPAIR_POOL
        }
    }
    for (int64_t a = 0; a < n_A; a += W) store(work.A_atoms + k * n_A + a, sums_over_lanes(work.A_lanes + a));
}

/// Gradients ∂E_i/∂D of N neighbouring blocks of edges of centre k, all to one species, from its row of ∂E/∂A.
template <int LMAX, int N>
ACEPAIR_FN void backward_blocks(const Plan &plan, int z_i, int k, int64_t b, Workspace &work, BlockResult &out, int64_t first_out,
                                Vec *virial) {
    const EdgeBlockLayout &at = work.layout;
    const HarmonicsConstants constants(plan.harmonics, plan.lmax);
    const int64_t n_Y = (plan.lmax + 1) * (plan.lmax + 1);
    const Real *A_adj = work.A_atoms + k * round_up(plan.n_A, W);
    const Vec *block = work.block(k, b);
    Vec slopes[N];
    for (int n = 0; n < N; ++n) slopes[n] = block[n * at.size + at.pair_slope];
    if (plan.lmax >= 0) {
        const int z_j = work.block_species[k * work.max_blocks + b];
        const int32_t *first = plan.run_first + int64_t(z_i * plan.n_species + z_j) * (plan.lmax + 1);
        for (int l = 0; l <= plan.lmax; ++l) {
#define ACEPAIR_BACKWARD(L) \
    backward_runs<L, N>(plan.runs + first[l], plan.runs + first[l + 1], l, block, at, A_adj, work.Y_adj, n_Y, slopes)
            ACEPAIR_FOR_L(l, ACEPAIR_BACKWARD)
#undef ACEPAIR_BACKWARD
        }
    }
    for (int n = 0; n < N; ++n, ++b, block += at.size) {
        const Vec inverse_r = block[at.inverse_r];
        const Vec x = block[at.D], y = block[at.D + 1], z = block[at.D + 2];
        Vec slope = slopes[n], gx = broadcast(0), gy = broadcast(0), gz = broadcast(0);
        if (plan.lmax >= 0) {
            add_harmonics_gradient<LMAX>(constants, plan.lmax, block + at.Y, work.Y_adj + n * n_Y, gx, gy, gz);
            if (plan.spherical) {  // Y depends on u = D / r: ∂u/∂D = (1 − u ⊗ u) / r
                gx *= inverse_r, gy *= inverse_r, gz *= inverse_r;
                slope -= (gx * x + gy * y + gz * z) * inverse_r;
            }
        }
        const Vec along = slope * inverse_r;
        const Mask inside = first_lanes(out.edge_count[first_out + b]);
        gx = select(inside, gx + along * x, broadcast(0));
        gy = select(inside, gy + along * y, broadcast(0));
        gz = select(inside, gz + along * z, broadcast(0));
        Real *gradient = out.gradient + (first_out + b) * 3 * W;
        store(gradient, gx), store(gradient + W, gy), store(gradient + 2 * W, gz);
        if (out.vector) {
            Real *vector = out.vector + (first_out + b) * 3 * W;
            store(vector, x), store(vector + W, y), store(vector + 2 * W, z);
        }
        virial[0] -= x * gx, virial[1] -= x * gy, virial[2] -= x * gz;
        virial[3] -= y * gx, virial[4] -= y * gy, virial[5] -= y * gz;
        virial[6] -= z * gx, virial[7] -= z * gy, virial[8] -= z * gz;
    }
}

/// Gradients ∂E_i/∂D of every edge of centre k. Two blocks at a time share the broadcasts of ∂E/∂A.
template <int LMAX>
ACEPAIR_STAGE void backward(const Plan &plan, int z_i, int k, Workspace &work, BlockResult &out, int64_t first_out, Vec *virial) {
    const int32_t *species = work.block_species + k * work.max_blocks, n_blocks = work.n_blocks[k];
    for (int64_t b = 0; b < n_blocks;) {
        if (b + 1 < n_blocks && species[b] == species[b + 1])
            backward_blocks<LMAX, 2>(plan, z_i, k, b, work, out, first_out, virial), b += 2;
        else
            backward_blocks<LMAX, 1>(plan, z_i, k, b, work, out, first_out, virial), b += 1;
    }
}

/// Energies and gradients of a block of centres.
template <int LMAX>
void evaluate_block(const Plan &plan, const System &system, const CentreBlock &centres, Workspace &work, bool want_gradients,
                    BlockResult &out) {
    const int z_i = centres.species;
    const int64_t n_A = round_up(plan.n_A, W);
    out.coincident[0] = out.coincident[1] = -1;
    Vec pair_energy[W];
    int64_t first_out[W], n_out = 0;
    for (int k = 0; k < W; ++k) pair_energy[k] = broadcast(0), work.n_blocks[k] = 0, out.n_edge_blocks[k] = 0;

    for (int k = 0; k < centres.count; ++k) {
        const int32_t i = centres.centre[k], coincident = find_edges(plan, system, i, z_i, work.edges);
        if (coincident >= 0) out.coincident[0] = i, out.coincident[1] = coincident;
        first_out[k] = n_out;
        embed<LMAX>(plan, z_i, k, work, out, n_out, pair_energy[k]);
        out.n_edge_blocks[k] = work.n_blocks[k];
        n_out += work.n_blocks[k];
        if (plan.lmax >= 0) pool(plan, z_i, k, work);
    }

    Vec energy = sums_over_lanes(pair_energy);
    if (plan.lmax >= 0) {
        for (int64_t a = 0; a < n_A; a += W)  // lanes of unused places hold stale numbers, which nothing reads
            transpose(work.A_atoms + a, n_A, reinterpret_cast<Real *>(work.node + a), W);
        products_forward_adjoint(plan.dag, plan.n_A, z_i, work.node, work.node_adj, energy);
    }
    store_wide(out.site_energy, energy, plan.E0[z_i]);
    if (!want_gradients) return;

    for (int64_t a = 0; a < n_A && plan.lmax >= 0; a += W)
        transpose(reinterpret_cast<Real *>(work.node_adj + a), W, work.A_atoms + a, n_A);
    Vec virial[9];
    for (Vec &v : virial) v = broadcast(0);
    for (int k = 0; k < centres.count; ++k) backward<LMAX>(plan, z_i, k, work, out, first_out[k], virial);
    for (int c = 0; c < 9; ++c) out.virial[c] = sum(virial[c]);
}

}  // namespace acepair::ACEPAIR_ISA
