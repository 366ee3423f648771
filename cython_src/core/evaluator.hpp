// Energies and edge gradients of one block of centres. Reads like the paper: edges, R and Y, A, products, and back.
#pragma once

#include "edges.hpp"
#include "harmonics.hpp"
#include "moments.hpp"
#include "pooling.hpp"
#include "precision.hpp"
#include "products.hpp"
#include "radial.hpp"
#include "workspace.hpp"

namespace acepair::ACEPAIR_ISA {

/// Edges of every centre, found one behind the other: nothing waits for the places of atoms that come from far away. Places beyond
/// the last centre have none. out.coincident: two atoms in the same place, if there are.
ACEPAIR_FN void find_edges_of_block(const Plan &plan, const System &system, const CentreBlock &centres, Workspace &work, BlockResult &out) {
    out.coincident[0] = out.coincident[1] = -1;
    for (int k = 0; k < centres.count; ++k) {
        const int32_t i = centres.centre[k], coincident = find_edges(plan, system, i, centres.species, work.edges[k]);
        if (coincident >= 0) out.coincident[0] = i, out.coincident[1] = coincident;
    }
    for (int k = centres.count; k % team; ++k)
        for (int z_j = 0; z_j < plan.n_species; ++z_j) work.edges[k].count[z_j] = 0;
}

/// Vectors and distances of every edge of team t, in blocks of W64 edges of each of its centres to neighbours of one species.
ACEPAIR_STAGE void place_edges(const Plan &plan, const CentreBlock &centres, int t, Workspace &work, BlockResult &out, int64_t first_out) {
    const EdgeBlockLayout &at = work.layout;
    int32_t centre[team];
    for (int c = 0; c < team; ++c) centre[c] = centres.centre[t * team + c < centres.count ? t * team + c : t * team];
    Indices edge_of_lane{};
    for (int lane = 0; lane < W; ++lane) edge_of_lane[lane] = lane / team;
    Stretch *stretch = work.stretches_of(t);
    int b = 0;
    for (int z_j = 0; z_j < plan.n_species; ++z_j) {
        const Vec at_cutoff = broadcast(plan.rcut[centres.species * plan.n_species + z_j]);
        const Real *x_from[team], *y_from[team], *z_from[team];
        const int32_t *j_from[team];
        int32_t counts[team], most = 0;
        for (int c = 0; c < team; ++c) {
            const Edges &edges = work.edges[t * team + c];
            const int64_t first = z_j * edges.capacity;
            x_from[c] = edges.x + first, y_from[c] = edges.y + first, z_from[c] = edges.z + first, j_from[c] = edges.j + first;
            counts[c] = edges.count[z_j], most = counts[c] > most ? counts[c] : most;
        }
        if (!most) continue;
        *stretch++ = {z_j, b, (most + W64 - 1) / W64};
        const Indices count = broadcast_team(counts);
        for (int e = 0; e < most; e += W64, ++b) {
            const Indices has_edge = edge_of_lane + e < count;
            store(out.edge_neighbor + (first_out + b) * W, has_edge ? interleave_team(j_from) : broadcast_team(centre));
            const Mask inside = __builtin_convertvector(has_edge, Mask);
            // lanes without an edge get a harmless vector: at the cutoff along x
            const Vec x = select(inside, interleave_team(x_from), at_cutoff);
            const Vec y = select(inside, interleave_team(y_from), broadcast(0)), z = select(inside, interleave_team(z_from), broadcast(0));
            const Vec r = sqrt(x * x + y * y + z * z);
            Vec *block = work.block(t, b);
            block[at.D] = x, block[at.D + 1] = y, block[at.D + 2] = z, block[at.r] = r, block[at.inverse_r] = 1 / r;
            block[at.inside] = Vec(inside), block[at.slope] = broadcast(0);
            out.edge_count[first_out + b] = team * (most - e < W64 ? most - e : W64);
            for (int c = 0; c < team; ++c) x_from[c] += W64, y_from[c] += W64, z_from[c] += W64, j_from[c] += W64;
        }
    }
    work.n_blocks[t] = out.n_edge_blocks[t] = b;
    work.n_stretches[t] = int32_t(stretch - work.stretches_of(t));
}

/// Pair terms of every edge of team t: slopes into the blocks; energy += their sum, still over edges.
ACEPAIR_STAGE void embed_pairs(const Plan &plan, int z_i, int t, Workspace &work, Vec &energy) {
    const EdgeBlockLayout &at = work.layout;
    for (int p = 0; p < plan.n_pair_terms; ++p) {
        const RadialPlan &term = plan.pair_terms[p];
        for_stretches(work, t, [&](Stretch stretch) __attribute__((always_inline)) {
            const int pair = z_i * plan.n_species + stretch.species;
            for_blocks(stretch, term.kind != BasisKind::table, [&](int b, auto one_or_two) __attribute__((always_inline)) {
                using V = decltype(one_or_two);
                Vec *block = work.block(t, b);
                const auto of = [&](int64_t quantity) { return load_blocks<V>(block + quantity, at.size); };
                const ValueSlope<V> found = pair_term(term, pair, of(at.r), of(at.inverse_r), as_mask(of(at.inside)));
                energy += add_up(found.value);
                store_blocks(block + at.slope, at.size, of(at.slope) + found.slope);
            });
        });
    }
}

/// Radial functions of every edge of team t; of a series first all polynomials, each of which waits for the last, then their
/// contraction, which only multiplies and adds.
ACEPAIR_STAGE void embed_radial(const Plan &plan, int z_i, int t, Workspace &work) {
    const EdgeBlockLayout &at = work.layout;
    const RadialPlan &radial = plan.radial;
    // a general recurrence of two blocks needs more than 16 registers, Chebyshev's does not
    const bool in_twos = radial.chebyshev || (many_registers && radial.kind != BasisKind::table);
    for_stretches(work, t, [&](Stretch stretch) __attribute__((always_inline)) {
        const int pair = z_i * plan.n_species + stretch.species;
        for_blocks(stretch, in_twos, [&](int b, auto one_or_two) __attribute__((always_inline)) {
            using V = decltype(one_or_two);
            Vec *block = work.block(t, b);
            const auto of = [&](int64_t quantity) { return load_blocks<V>(block + quantity, at.size); };
            radial_functions(radial, pair, of(at.r), of(at.inverse_r), as_mask(of(at.inside)), work.scratch, block + at.R, block + at.dR, at.size);
        });
        if (radial.kind == BasisKind::series) contract_series(radial, pair, work.block(t, stretch.first) + at.R, at.dR - at.R, at.size, stretch.count);
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

/// The sums of every centre as nodes, whose lanes are atoms. Lanes of unused places hold stale numbers, which nothing reads.
ACEPAIR_FN void sums_to_nodes(const Plan &plan, const Workspace &work) {
    for (int s = 0; s < plan.n_sums; s += W64) {
        Vec tile[W64];
        for (int t = 0; t < W64; ++t) tile[t] = load(work.sums_of(t) + s * team);
        transpose64(tile);
        for (int k = 0; k < W64 && s + k < plan.n_sums; ++k) work.node[plan.sum_node[s + k]] = tile[k];
    }
    for (int k = 0; k < plan.n_without_sum; ++k) work.node[plan.nodes_without_sum[k]] = broadcast(0);
}

/// The way back: from ∂E/∂nodes.
ACEPAIR_FN void nodes_to_sums(const Plan &plan, const Workspace &work) {
    for (int s = 0; s < plan.n_sums; s += W64) {
        Vec tile[W64];
        for (int k = 0; k < W64; ++k) tile[k] = work.node_adj[plan.sum_node[s + k < plan.n_sums ? s + k : s]];
        transpose64(tile);
        for (int t = 0; t < W64; ++t) store(work.sums_of(t) + s * team, tile[t]);
    }
}

/// energy += what the products of A say, a lane an atom; leaves ∂E/∂sums in place of the sums.
ACEPAIR_FN void multiply(const Plan &plan, int z_i, Workspace &work, Vec &energy) {
    sums_to_nodes(plan, work);
    if (plan.moments.n) mix_moments(plan, z_i, work.node);
    products_forward_adjoint(plan.dag, plan.n_A, z_i, work.node, work.node_adj, energy);
    if (plan.moments.n) mix_moments_adjoint(plan, z_i, work.node_adj);
    nodes_to_sums(plan, work);
}

/// Gradients ∂E_i/∂D of every edge of team t.
template <int LMAX>
ACEPAIR_STAGE void backward(const Plan &plan, int z_i, int t, Workspace &work, BlockResult &out, int64_t first_out) {
    const EdgeBlockLayout &at = work.layout;
    const HarmonicsConstants constants(plan.harmonics, plan.lmax);
    const int64_t n_Y = (plan.lmax + 1) * (plan.lmax + 1);
    if (plan.lmax >= 0) pool_adjoint(plan, z_i, t, work);
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
        const Mask inside = as_mask(block[at.inside]);
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
    find_edges_of_block(plan, system, centres, work, out);
    Vec pair_energy[W64];
    int64_t first_out[W64], n_out = 0;
    for (int t = 0; t < W64; ++t) pair_energy[t] = broadcast(0), work.n_blocks[t] = 0, out.n_edge_blocks[t] = 0;

    for (int t = 0; t < n_teams; ++t) {
        first_out[t] = n_out;
        embed<LMAX>(plan, centres, t, work, out, n_out, pair_energy[t]);
        n_out += work.n_blocks[t];
        if (plan.lmax >= 0) pool(plan, z_i, t, work);
    }

    Vec energy = sums_over_edges(pair_energy);
    if (plan.lmax >= 0) multiply(plan, z_i, work, energy);
    store_wide(out.site_energy, energy, plan.E0[z_i]);
    if (!want_gradients) return;

    Vec virial[9];
    for (Vec &v : virial) v = broadcast(0);
    for (int t = 0; t < n_teams; ++t) {
        backward<LMAX>(plan, z_i, t, work, out, first_out[t]);
        add_virial(t, work, out, first_out[t], virial);
    }
    for (int c = 0; c < 9; ++c) out.virial[c] = sum(virial[c]);
}

}  // namespace acepair::ACEPAIR_ISA
