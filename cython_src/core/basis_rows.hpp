// Every basis function of a block of centres and its derivatives: rows of design matrices.
#pragma once

#include "evaluator.hpp"
#include "rows.hpp"

namespace acepair::ACEPAIR_ISA {

static_assert(is_double && team == 1, "basis rows are in double precision only: a team is one centre here");

struct RowWorkspace : Workspace {
    Vec *jacobian;          ///< (n_jacobian rounded up,) ∂B_b/∂A_a, lanes are atoms
    double *jacobian_atoms; ///< (W, n_jacobian rounded up) the same, one atom after the other
    int64_t n_jacobian;
    Vec (*dY)[3];
    Vec (*dA)[3];           ///< (n_A,) ∂A_a/∂D of W edges
    int32_t n_edge_blocks[W];
    int32_t *edge_count;    ///< (W, max_blocks)
    int32_t *edge_neighbor; ///< (W, max_blocks, W)

    RowWorkspace(const Plan &plan, const RowPlan &rows, int64_t max_neighbors, char *memory) : Workspace(plan, max_neighbors, memory) {
        n_jacobian = round_up(rows.jacobian_first[rows.n_functions], W);
        jacobian = take<Vec>(n_jacobian);
        jacobian_atoms = take<double>(W * n_jacobian);
        dY = reinterpret_cast<Vec(*)[3]>(take<Vec>(3 * (plan.lmax + 1) * (plan.lmax + 1)));
        dA = reinterpret_cast<Vec(*)[3]>(take<Vec>(3 * round_up(plan.n_A, W)));
        edge_count = take<int32_t>(W * max_blocks);
        edge_neighbor = take<int32_t>(W * W * max_blocks);
    }
};

/// B_b and ∂B_b/∂A_a for functions [begin, end), lanes are atoms.
template <class UseValue>
ACEPAIR_FN void functions_of_A(const RowPlan &rows, const RowResult &out, const Vec *A, Vec *jacobian, UseValue use_value) {
    for (int64_t p = rows.jacobian_first[out.begin]; p < rows.jacobian_first[out.end]; ++p) jacobian[p] = broadcast(0);
    for (int b = out.begin; b < out.end; ++b) {
        Vec value = broadcast(0);
        for (int e = rows.A2B_first[b]; e < rows.A2B_first[b + 1]; ++e) {
            const int product = rows.A2B_product[e], begin = rows.product_first[product], order = rows.product_first[product + 1] - begin;
            const int32_t *factor = rows.product_factor + begin, *place = rows.jacobian_place + int64_t(e) * rows.max_order;
            Vec before = broadcast(rows.A2B_value[e]);  // coefficient times the factors before the one left out
            for (int t = 0; t < order; ++t) {
                Vec others = before;
                for (int s = t + 1; s < order; ++s) others *= A[factor[s]];
                jacobian[place[t]] += others;
                before *= A[factor[t]];
            }
            value += before;
        }
        use_value(b, value);
    }
}

/// ∂A_a/∂D for one block of edges.
ACEPAIR_FN void gradients_of_A(const Plan &plan, int pair, const Vec *block, RowWorkspace &work) {
    const EdgeBlockLayout &at = work.layout;
    harmonics_gradients(HarmonicsConstants(plan.harmonics, plan.lmax), plan.lmax, block + at.Y, work.dY);
    const Vec inverse_r = block[at.inverse_r];
    const Vec u[3] = {block[at.D] * inverse_r, block[at.D + 1] * inverse_r, block[at.D + 2] * inverse_r};
    for (int a = 0; a < plan.n_A; ++a) work.dA[a][0] = work.dA[a][1] = work.dA[a][2] = broadcast(0);
    const int32_t *first = plan.group_first + int64_t(pair) * (plan.lmax + 1);
    for (int l = 0; l <= plan.lmax; ++l)
        for (const RunGroup *group = plan.groups + first[l]; group != plan.groups + first[l + 1]; ++group)
            for (int k = 0; k < group->count; ++k) {
                const Vec R = block[at.R + group->place + k], dR = block[at.dR + group->place + k];
                const int32_t *a = plan.sum_node + group->first_sum + k * (2 * l + 1);
                for (int m = 0; m <= 2 * l; ++m) {
                    Vec slope = dR * block[at.Y + l * l + m];
                    Vec g[3] = {work.dY[l * l + m][0], work.dY[l * l + m][1], work.dY[l * l + m][2]};
                    const Vec scale = plan.spherical ? R * inverse_r : R;
                    if (plan.spherical) slope -= scale * (g[0] * u[0] + g[1] * u[1] + g[2] * u[2]);
                    for (int c = 0; c < 3; ++c) work.dA[a[m]][c] = scale * g[c] + slope * u[c];
                }
            }
}

/// Place of neighbour j in the list of centre i.
ACEPAIR_FN int64_t place_in_list(const System &system, int32_t i, int32_t j) {
    int64_t e = system.first[i];
    while (system.neighbor[e] != j) ++e;
    return e;
}

/// Where the gradients of one block of edges go: rows of `stride` doubles for x, y and z.
struct GradientRows {
    int lanes;               ///< edges in the block
    const Vec *D;
    double *centre;          ///< force on the centre, or null
    double *neighbor[W];     ///< forces on the neighbours
    double *virial;          ///< nine rows, or null
    int64_t stride;
    double *jacobian[W];     ///< ∂B/∂D of every edge, or null
    int64_t jacobian_stride;
};

ACEPAIR_FN GradientRows find_rows(const System &system, const RowPlan &rows, const RowResult &out, int32_t i, int64_t column,
                                  const Vec *D, int lanes, const int32_t *neighbor) {
    GradientRows to{};
    to.lanes = lanes, to.D = D, to.stride = out.n_columns, to.jacobian_stride = rows.n_functions;
    if (out.virial) to.virial = out.virial + column;
    if (out.forces) to.centre = out.forces + 3 * int64_t(i) * out.n_columns + column;
    for (int e = 0; e < lanes; ++e) {
        if (out.forces) to.neighbor[e] = out.forces + 3 * int64_t(out.owner[neighbor[e]]) * out.n_columns + column;
        if (out.jacobian) to.jacobian[e] = out.jacobian + 3 * place_in_list(system, i, neighbor[e]) * rows.n_functions;
    }
    return to;
}

/// row[0..n) += v
ACEPAIR_FN void add_to_row(double *row, Vec v, int n) {
    if (n == W) return store(row, load(row) + v);
    for (int k = 0; k < n; ++k) row[k] += v[k];
}

/// Add gradients of functions [b, b + n), given as [function][component] over W edges; beyond n they are zero.
ACEPAIR_FN void add_gradients(const GradientRows &to, int b, int n, const Vec (*g)[3]) {
    Vec virial[3][3] = {};  // sums of D ⊗ g
#pragma GCC unroll 3
    for (int c = 0; c < 3; ++c) {
        alignas(64) double tile[W * W];  // [edge][function]
        transpose(reinterpret_cast<const double *>(&g[0][c]), 3 * W, tile, W);
        Vec total = broadcast(0);
        for (int e = 0; e < to.lanes; ++e) {
            const Vec row = load(tile + e * W);
            total += row;
#pragma GCC unroll 3
            for (int a = 0; a < 3; ++a) virial[a][c] += to.D[a][e] * row;
            if (to.centre) add_to_row(to.neighbor[e] + c * to.stride + b, -row, n);
            if (to.jacobian[0]) add_to_row(to.jacobian[e] + c * to.jacobian_stride + b, row, n);
        }
        if (to.centre) add_to_row(to.centre + c * to.stride + b, total, n);
    }
    for (int c = 0; c < 9 && to.virial; ++c) add_to_row(to.virial + c * to.stride + b, -virial[c / 3][c % 3], n);
}

template <int LMAX>
void basis_rows_block(const Plan &plan, const RowPlan &rows, const System &system, const CentreBlock &centres, RowWorkspace &work,
                      const RowResult &out) {
    const int z_i = centres.species;
    const int64_t column = int64_t(z_i) * rows.n_functions;
    BlockResult edges{};
    edges.edge_count = work.edge_count, edges.edge_neighbor = work.edge_neighbor, edges.n_edge_blocks = work.n_edge_blocks;
    find_edges_of_block(plan, system, centres, work, edges);
    if (edges.coincident[0] >= 0) out.coincident[0] = edges.coincident[0], out.coincident[1] = edges.coincident[1];
    Vec unused_energy = broadcast(0);
    for (int k = 0; k < centres.count; ++k) {
        embed<LMAX>(plan, centres, k, work, edges, k * work.max_blocks, unused_energy);
        pool(plan, z_i, k, work);
    }
    sums_to_nodes(plan, work);
    functions_of_A(rows, out, work.node, work.jacobian, [&](int b, Vec value) __attribute__((always_inline)) {
        for (int k = 0; k < centres.count && out.site_basis; ++k)
            out.site_basis[centres.centre[k] * int64_t(rows.n_functions) + b] = value[k];
    });
    if (!out.forces && !out.virial && !out.jacobian) return;

    for (int64_t p = 0; p < work.n_jacobian; p += W)
        transpose(reinterpret_cast<double *>(work.jacobian + p), W, work.jacobian_atoms + p, work.n_jacobian);
    for (int k = 0; k < centres.count; ++k) {
        const double *jacobian = work.jacobian_atoms + k * work.n_jacobian;
        const Stretch *stretch = work.stretches_of(k);
        for (int64_t block = 0; block < work.n_blocks[k]; ++block) {
            if (block == stretch->first + stretch->count) ++stretch;
            const int pair = z_i * plan.n_species + stretch->species;
            gradients_of_A(plan, pair, work.block(k, block), work);
            const int64_t at = k * work.max_blocks + block;
            const GradientRows to = find_rows(system, rows, out, centres.centre[k], column, work.block(k, block) + work.layout.D,
                                              work.edge_count[at], work.edge_neighbor + at * W);
            for (int b = out.begin; b < out.end; b += W) {
                const int n = out.end - b < W ? out.end - b : W;
                Vec g[W][3];
                for (int q = 0; q < n; ++q) {
                    Vec gx = broadcast(0), gy = broadcast(0), gz = broadcast(0);
                    for (int p = rows.jacobian_first[b + q]; p < rows.jacobian_first[b + q + 1]; ++p) {
                        const Vec w = broadcast(jacobian[p]);
                        const Vec *dA = work.dA[rows.jacobian_A[p]];
                        gx += w * dA[0], gy += w * dA[1], gz += w * dA[2];
                    }
                    g[q][0] = gx, g[q][1] = gy, g[q][2] = gz;
                }
                for (int q = n; q < W; ++q) g[q][0] = g[q][1] = g[q][2] = broadcast(0);
                add_gradients(to, b, n, g);
            }
        }
    }
}

}  // namespace acepair::ACEPAIR_ISA
