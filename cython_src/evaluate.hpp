// One call from a host, the Cython module or the LAMMPS plugin: workspaces, blocks of centres, threads, sums.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <new>
#include <vector>

#include "centre_blocks.hpp"
#include "core/kernels.hpp"
#include "parallel.hpp"

namespace acepair {

/// Memory that is kept between calls and grows when needed.
class Buffer {
public:
    Buffer() = default;
    Buffer(const Buffer &) = delete;
    Buffer &operator=(const Buffer &) = delete;
    ~Buffer() { std::free(memory); }

    char *reserve(int64_t bytes) {
        if (bytes > size) {
            std::free(memory);
            size = 0;
            memory = static_cast<char *>(std::aligned_alloc(64, (bytes + 63) / 64 * 64));
            if (!memory) throw std::bad_alloc();
            size = bytes;
        }
        return memory;
    }

private:
    char *memory = nullptr;
    int64_t size = 0;
};

/// Constants of the harmonics' recurrences, in the layout of HarmonicsConstants.
inline std::vector<double> make_harmonics_constants(int lmax) {
    const int n = (lmax + 1) * (lmax + 2) / 2;
    std::vector<double> constants(5 * n, 0.0);
    // N_lm = sqrt((2l + 1)/4π (l − m)!/(l + m)!), times √2 if m > 0; only ratios appear, since factorials overflow
    const auto ratio = [](int l, int m, int l2, int m2) {  // N_lm / N_l2m2 for neighbouring indices
        double squared = (2 * l + 1.0) / (2 * l2 + 1.0) * (m ? 2 : 1) / (m2 ? 2 : 1);
        for (int k = l2 - m2 + 1; k <= l - m; ++k) squared *= k;
        for (int k = l - m + 1; k <= l2 - m2; ++k) squared /= k;
        for (int k = l2 + m2 + 1; k <= l + m; ++k) squared /= k;
        for (int k = l + m + 1; k <= l2 + m2; ++k) squared *= k;
        return std::sqrt(squared);
    };
    double diagonal = std::sqrt(1 / (4 * M_PI));  // Q_mm = N_mm (2m − 1)!!
    for (int m = 0; m <= lmax; ++m) {
        if (m) diagonal *= (2 * m - 1) * ratio(m, m, m - 1, m - 1);
        for (int l = m; l <= lmax; ++l) {
            const int k = l * (l + 1) / 2 + m;
            constants[k] = l == m ? diagonal : (2 * l - 1.0) / (l - m) * ratio(l, m, l - 1, m);
            if (l > m + 1) constants[n + k] = (l + m - 1.0) / (l - m) * ratio(l, m, l - 2, m);
            if (m) constants[2 * n + k] = 0.5 * (l + m) * (l + m - 1) * ratio(l, m, l - 1, m - 1);
            if (m + 1 < l) constants[3 * n + k] = (m ? 0.5 : 1.0) * ratio(l, m, l - 1, m + 1);
            if (m < l) constants[4 * n + k] = (l + m) * ratio(l, m, l - 1, m);
        }
    }
    return constants;
}

struct Outputs {
    double *site_energies;   ///< (n_atoms,)
    double *forces;          ///< (n_atoms + n_images, 4), added to; null: energies only
    double *virial;          ///< (9,), added to, or null
    double *site_virials;    ///< (n_atoms + n_images, 9), added to, or null
    double *edge_gradients;  ///< (edges of the list, 3), written, or null
    int32_t coincident[2];
};

/// Reusable memory of one evaluator.
struct Memory {
    Buffer workspace, slots;
    CentreBlocks centres;
};

/// Where the results of one block of centres wait to be added.
template <class Real> class SlotsOf {
public:
    SlotsOf(Memory &memory, int64_t n_slots, int width, int64_t max_edge_blocks, bool with_vectors)
        : W(width), edge_blocks(max_edge_blocks) {
        layout(nullptr, with_vectors);
        const int64_t bytes = used;
        char *base = memory.slots.reserve(bytes * n_slots);
        for (int64_t slot = 0; slot < n_slots; ++slot) results.push_back(layout(base + slot * bytes, with_vectors));
    }
    BlockResultOf<Real> &operator[](int64_t slot) { return results[slot]; }

private:
    int W;
    int64_t edge_blocks, used = 0;
    std::vector<BlockResultOf<Real>> results;

    template <class T> T *take(char *base, int64_t n) {
        const int64_t at = used;
        used += (n * int64_t(sizeof(T)) + 63) / 64 * 64;
        return base ? reinterpret_cast<T *>(base + at) : nullptr;  // without memory only sizes count
    }
    BlockResultOf<Real> layout(char *base, bool with_vectors) {
        used = 0;
        BlockResultOf<Real> r{};
        r.site_energy = take<double>(base, W), r.virial = take<double>(base, 9);
        r.n_edge_blocks = take<int32_t>(base, W / team_size<Real>), r.edge_count = take<int32_t>(base, edge_blocks);
        r.edge_neighbor = take<int32_t>(base, edge_blocks * W), r.gradient = take<Real>(base, edge_blocks * 3 * W);
        r.vector = with_vectors ? take<Real>(base, edge_blocks * 3 * W) : nullptr;
        return r;
    }
};

using Slots = SlotsOf<double>;

/// use(centre, block of edges, lane) for every edge.
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
        int64_t at = system.first[centre];
        while (system.neighbor[at] != result.edge_neighbor[b * W + e]) ++at;
        for (int c = 0; c < 3; ++c) gradients[3 * at + c] = result.gradient[(3 * b + c) * W + e];
    });
}

/// Blocks of edges of a block of centres, at most: each holds width / team_size edges of every centre of a team, and the last of every
/// team and species may be partly empty.
template <class Real = double> int64_t max_edge_blocks(int64_t longest_block, int width, int n_species) {
    const int of_centre = width / team_size<Real>;
    return longest_block / of_centre + of_centre * n_species;
}

/// Blocks worth a thread: with fewer, waking one takes as long as what it would do.
inline constexpr int64_t min_blocks_per_thread = 8;

inline int useful_threads(int n_threads, int64_t n_blocks) {
    return int(std::max<int64_t>(1, std::min<int64_t>(n_threads, n_blocks / min_blocks_per_thread)));
}

template <class Real>
void evaluate(const KernelsOf<Real> &kernels, const PlanOf<Real> &plan, const System &system, const int32_t *centres,
              int64_t n_centres, int n_threads, Memory &memory, Outputs &out) {
    const int W = kernels.width;
    memory.centres.cut(system, centres, n_centres, plan.n_species, W);
    const std::vector<CentreBlock> &blocks = memory.centres.blocks;
    const int64_t longest = memory.centres.longest, longest_block = memory.centres.longest_block;
    const int64_t n_blocks = int64_t(blocks.size());
    out.coincident[0] = out.coincident[1] = -1;
    if (!n_blocks) return;
    n_threads = useful_threads(n_threads, n_blocks);

    SlotsOf<Real> slots(memory, n_threads == 1 ? 1 : n_threads * slots_per_thread, W,
                        max_edge_blocks<Real>(longest_block, W, plan.n_species), out.site_virials != nullptr);
    const int64_t work_bytes = kernels.workspace_bytes(plan, longest);
    char *workspace = memory.workspace.reserve(work_bytes * n_threads);

    const bool want_gradients = out.forces || out.virial || out.site_virials || out.edge_gradients;
    ordered_for(
        n_blocks, n_threads,
        [&](int64_t task, int64_t slot, int thread) {
            kernels.evaluate(plan, system, blocks[task], longest, workspace + work_bytes * thread, want_gradients, slots[slot]);
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

/// Basis rows: threads share the functions, so that each owns its columns.
inline void basis_rows(const Kernels &kernels, const Plan &plan, const RowPlan &rows, const System &system, const int32_t *centres,
                       int64_t n_centres, int n_threads, Memory &memory, const RowResult &out) {
    const int W = kernels.width;
    memory.centres.cut(system, centres, n_centres, plan.n_species, W);
    const std::vector<CentreBlock> &blocks = memory.centres.blocks;
    if (blocks.empty() || !rows.n_functions) return;
    const int64_t longest = memory.centres.longest;
    const int64_t work_bytes = kernels.row_workspace_bytes(plan, rows, longest);
    n_threads = std::max(1, std::min(n_threads, rows.n_functions / (2 * W)));
    char *workspace = memory.workspace.reserve(work_bytes * n_threads);
    const int chunk = (rows.n_functions + n_threads - 1) / n_threads;
    parallel_for(n_threads, n_threads, [&](int64_t part, int) {
        RowResult mine = out;
        mine.begin = int32_t(std::min<int64_t>(rows.n_functions, part * chunk));
        mine.end = int32_t(std::min<int64_t>(rows.n_functions, (part + 1) * chunk));
        int32_t ignored[2];
        if (part) mine.coincident = ignored;  // every part visits all atoms: the first one tells
        for (const CentreBlock &block : blocks)
            kernels.basis_rows(plan, rows, system, block, longest, workspace + work_bytes * part, mine);
    });
}

}  // namespace acepair
