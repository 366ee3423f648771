// One call of the Cython module: blocks of centres, threads, sums.
#pragma once

#include <algorithm>
#include <cstring>
#include <vector>

#include "core/kernels.hpp"
#include "memory.hpp"
#include "parallel.hpp"

namespace acepair {

struct Outputs {
    double *site_energies;   ///< (n_atoms,), added to
    double *forces;          ///< (n_atoms + n_images, 4), added to; null: energies only
    double *virial;          ///< (9,), added to, or null
    double *site_virials;    ///< (n_atoms + n_images, 9), added to, or null
    double *edge_gradients;  ///< (edges of the list, 3), written, or null
    int32_t coincident[2];   ///< two rows in the same place, or −1
};

/// use(centre, block of edges, lane) for every edge. A lane without one holds its centre as neighbour.
template <class Real, class Use>
void for_edges(int W, const CentreBlock &centres, const BlockResultOf<Real> &result, Use use) {
    constexpr int team = team_size<Real>;
    int64_t b = 0;
    for (int first = 0; first < centres.count; first += team)
        for (const int64_t end = b + result.n_edge_blocks[first / team]; b < end; ++b)
            for (int e = 0; e < result.edge_count[b]; ++e) {
                const int k = first + e % team;
                if (k < centres.count && result.edge_neighbor[b * W + e] != centres.centre[k]) use(centres.centre[k], b, e);
            }
}

template <class Real>
void add_site_virials(int W, const CentreBlock &centres, const BlockResultOf<Real> &result, double *site_virials) {
    for_edges(W, centres, result, [&](int32_t, int64_t b, int e) {
        for (int c = 0; c < 9; ++c)
            site_virials[9 * int64_t(result.edge_neighbor[b * W + e]) + c] -=
                double(result.vector[(3 * b + c / 3) * W + e]) * result.gradient[(3 * b + c % 3) * W + e];
    });
}

template <class Real>
void write_edge_gradients(int W, const System &system, const CentreBlock &centres, const BlockResultOf<Real> &result, double *gradients) {
    for_edges(W, centres, result, [&](int32_t centre, int64_t b, int e) {
        int64_t at = system.first[centre];  // a row is in a list once
        while (system.neighbor[at] != result.edge_neighbor[b * W + e]) ++at;
        for (int c = 0; c < 3; ++c) gradients[3 * at + c] = result.gradient[(3 * b + c) * W + e];
    });
}

/// Blocks worth a thread: with fewer, waking one takes as long as what it would do.
inline constexpr int64_t min_blocks_per_thread = 8;

template <class Real>
void evaluate(const KernelsOf<Real> &kernels, const PlanOf<Real> &plan, const System &system, const int32_t *centres,
              int64_t n_centres, int n_threads, Memory &memory, Outputs &out) {
    const int W = kernels.width;
    memory.centres.cut(system, centres, n_centres, plan.n_species, W);
    const std::vector<CentreBlock> &blocks = memory.centres.blocks;
    const int64_t max_neighbors = memory.centres.max_neighbors;
    const int64_t n_blocks = int64_t(blocks.size());
    out.coincident[0] = out.coincident[1] = -1;
    if (!n_blocks) return;
    n_threads = useful_threads(n_threads, n_blocks, min_blocks_per_thread);

    const int64_t edge_blocks = max_edge_blocks<Real>(memory.centres.max_block_neighbors, W, plan.n_species);
    SlotsOf<Real> slots(memory, slots_of(n_threads), W, edge_blocks, out.site_virials != nullptr);
    const int64_t work_bytes = kernels.workspace_bytes(plan, max_neighbors);
    char *workspace = memory.workspace.reserve(work_bytes * n_threads);

    const bool want_gradients = out.forces || out.virial || out.site_virials || out.edge_gradients;
    ordered_for(
        n_blocks, n_threads,
        [&](int64_t task, int64_t slot, int thread) {
            kernels.evaluate(plan, system, blocks[task], max_neighbors, workspace + work_bytes * thread, want_gradients, slots[slot]);
        },
        [&](int64_t task, int64_t slot) {
            const BlockResultOf<Real> &result = slots[slot];
            const CentreBlock &block = blocks[task];
            for (int k = 0; k < block.count; ++k) out.site_energies[block.centre[k]] += result.site_energy[k];
            if (result.coincident[0] >= 0) std::memcpy(out.coincident, result.coincident, sizeof out.coincident);
            if (out.forces) kernels.add_forces(block, result, out.forces);
            for (int c = 0; c < 9 && out.virial; ++c) out.virial[c] += result.virial[c];
            if (out.site_virials) add_site_virials(W, block, result, out.site_virials);
            if (out.edge_gradients) write_edge_gradients(W, system, block, result, out.edge_gradients);
        });
}

/// Vectors of functions worth a thread: each thread evaluates R, Y and A of all atoms anew.
inline constexpr int64_t min_functions_per_thread = 2;

/// Basis rows: threads share the functions, so that each owns its columns.
inline void basis_rows(const Kernels &kernels, const Plan &plan, const RowPlan &rows, const System &system, const int32_t *centres,
                       int64_t n_centres, int n_threads, Memory &memory, const RowResult &out) {
    const int W = kernels.width;
    memory.centres.cut(system, centres, n_centres, plan.n_species, W);
    const std::vector<CentreBlock> &blocks = memory.centres.blocks;
    if (blocks.empty() || !rows.n_functions) return;
    const int64_t max_neighbors = memory.centres.max_neighbors;
    const int64_t work_bytes = kernels.row_workspace_bytes(plan, rows, max_neighbors);
    n_threads = useful_threads(n_threads, rows.n_functions, min_functions_per_thread * W);
    char *workspace = memory.workspace.reserve(work_bytes * n_threads);
    const int chunk = (rows.n_functions + n_threads - 1) / n_threads;
    parallel_for(n_threads, n_threads, [&](int64_t part, int) {
        RowResult mine = out;
        mine.begin = int32_t(std::min<int64_t>(rows.n_functions, part * chunk));
        mine.end = int32_t(std::min<int64_t>(rows.n_functions, (part + 1) * chunk));
        int32_t ignored[2];
        if (part) mine.coincident = ignored;  // every part visits all atoms: the first one tells
        for (const CentreBlock &block : blocks)
            kernels.basis_rows(plan, rows, system, block, max_neighbors, workspace + work_bytes * part, mine);
    });
}

}  // namespace acepair
