// A_nlm(i) = Σ_j R_nl Y_lm and the pair energy of every centre.
#include "block_edges.hpp"
#include "harmonics.hpp"
#include "radial.hpp"

namespace acepair::gpu {

constexpr int POOL_STRIDE = EDGE_THREADS + 1;  // odd: lanes that read one edge of several rows meet different banks

/// A and pair_energy of a chunk of columns. In turn the block's threads are edges, which leave R, Y and the pair energy in shared
/// memory, and sums, which each run through the edges of one column in their order. Blocks: columns_per_block columns.
ACEPAIR_KERNEL(EDGE_THREADS) pool(const Model *model_, const List *list_, const Work *work_, int64_t chunk_first, int64_t chunk_columns) {
    const Model model = *model_;
    const List list = *list_;
    const Work work = *work_;
    BlockEdges &block = *reinterpret_cast<BlockEdges *>(shared_memory());
    real *const R = reinterpret_cast<real *>(shared_memory() + BLOCK_EDGES_BYTES);
    real *const Y = R + N_R * POOL_STRIDE, *const energy = Y + N_Y * POOL_STRIDE;

    ACEPAIR_PHASE(t) {
        if (t == 0) count_block_edges(work, chunk_first, chunk_columns, block);
    }
    ACEPAIR_SYNC;
    const int n_edges = block.first[block.n_columns];
    // columns without edges have sums, too: at least one tile
    for (int tile = 0; tile == 0 || tile < n_edges; tile += EDGE_THREADS) {
        const int tile_end = tile + EDGE_THREADS < n_edges ? tile + EDGE_THREADS : n_edges;
        ACEPAIR_PHASE(t) {
            if (tile + t >= tile_end) continue;
            const Edge edge = block_edge(list, work, block, tile + t);
            const real x = real(edge.x), y = real(edge.y), z = real(edge.z);
            const real d = sqrt(x * x + y * y + z * z), inverse_d = 1 / d;
            energy[t] = pair_terms(model.pair_terms, edge.pair, d, inverse_d).value;
            if constexpr (HAS_MANY_BODY) {
                real values[N_R];
                radial_functions<false>(*model.radial, edge.pair, d, inverse_d, values, nullptr);
                unrolled<0, N_R>([&](auto k) { R[k.value * POOL_STRIDE + t] = values[k.value]; });
                const real scale = SPHERICAL ? inverse_d : real(1);
                Harmonics harmonics(x * scale, y * scale, z * scale);
                unrolled<0, LMAX + 1>([&](auto degree) {
                    constexpr int l = degree.value;
                    real y_l[2 * l + 1];
                    harmonics.template next<l>(y_l);
                    unrolled<0, 2 * l + 1>([&](auto m) { Y[(l * l + m.value) * POOL_STRIDE + t] = y_l[m.value]; });
                });
            }
        }
        ACEPAIR_SYNC;
        ACEPAIR_PHASE(t) {
            // columns whose edges begin in this tile start their sums, others go on; the last sum of a column is its pair energy
            for (int item = t; item < block.n_columns * (N_A + 1); item += EDGE_THREADS) {
                const int k = item / (N_A + 1), a = item - k * (N_A + 1);
                const int begin = block.first[k], end = block.first[k + 1];
                const bool starts = begin >= tile && (begin < tile_end || (begin == end && begin == tile_end));
                const bool goes_on = begin < tile && end > tile;
                if (!starts && !goes_on) continue;
                const int64_t column = block.column + k, place = column - chunk_first;
                const int from = begin > tile ? begin : tile, to = end < tile_end ? end : tile_end;
                if (a == N_A) {
                    double sum = goes_on ? work.pair_energy[place] : 0;
                    for (int e = from; e < to; ++e) sum += energy[e - tile];
                    work.pair_energy[place] = sum;
                    continue;
                }
                real *const A = work.A + a * work.chunk + place;
                real sum = goes_on ? *A : real(0);
                const int32_t *species_end = work.slot_end + column * N_SPECIES;
                const int32_t *function = model.A_function + list.column_species[column] * N_SPECIES * N_A + a;
                const real *const y = Y + model.A_harmonic[a] * POOL_STRIDE - tile;
                int e = from;
                for (int z = 0; z < N_SPECIES; ++z) {
                    const int z_end = begin + species_end[z] < to ? begin + species_end[z] : to;
                    const int f = read(function + z * N_A);
                    if (f < 0) {
                        e = e > z_end ? e : z_end;
                        continue;
                    }
                    const real *const r = R + f * POOL_STRIDE - tile;
                    for (; e < z_end; ++e) sum += r[e] * y[e];
                }
                *A = sum;
            }
        }
        ACEPAIR_SYNC;
    }
}

}  // namespace acepair::gpu
