// The sums over neighbours, A_nlm(i) = Σ_j R_nl Y_lm or moments, and the pair energy of every centre.
#include "block_edges.hpp"
#include "harmonics.hpp"
#include "radial.hpp"

namespace acepair::gpu {

/// The edges that one column of the block has in a tile of the block's edges.
struct Part {
    int k;                 ///< the column
    int first;             ///< its first edge, as all edges here counted from the beginning of the tile
    int begin, end;        ///< edges of this tile
    bool starts, goes_on;  ///< sums of the column; columns without edges start theirs, too

    ACEPAIR_DEVICE Part(const BlockEdges &block, int tile, int tile_end, int k_) : k(k_), first(block.first[k_] - tile) {
        const int size = tile_end - tile, last = block.first[k + 1] - tile;
        starts = first >= 0 && (first < size || (first == last && first == size));
        goes_on = first < 0 && last > 0;
        begin = first > 0 ? first : 0, end = last < size ? last : size;
    }
    ACEPAIR_DEVICE bool none() const { return !starts && !goes_on; }
};

/// Add a part's edges to the 2 L + 1 sums of a run: R is read once for all of them.
template <int L>
ACEPAIR_DEVICE void add_run(const Model &model, const List &list, const Work &work, int64_t chunk_first, int64_t chunk_column,
                            const Part &part, int run, const real *R, const real *Y) {
    const int64_t column = chunk_first + chunk_column;
    const int32_t *species_end = work.slot_end + column * N_SPECIES;
    const int32_t *function = model.run_function + list.column_species[column] * N_SPECIES * N_RUNS + run;
    real *const totals = work.sums + first_of_column(chunk_column, N_SUMS) + read(model.run_sum + run) * PAD;
    real sum[2 * L + 1];
    unrolled<0, 2 * L + 1>([&](auto m) { sum[m.value] = part.starts ? real(0) : totals[m.value * PAD]; });
    int e = part.begin;
    for (int z = 0; z < N_SPECIES; ++z) {
        const int z_end = part.first + species_end[z] < part.end ? part.first + species_end[z] : part.end;
        const int f = read(function + z * N_RUNS);
        if (f < 0) {
            e = e > z_end ? e : z_end;
            continue;
        }
        const real *const r = R + f * POOL_STRIDE, *const y = Y + L * L * POOL_STRIDE;
        const auto add_one = [&](int edge) {
            const real r_e = r[edge];
            unrolled<0, 2 * L + 1>([&](auto m) { sum[m.value] += r_e * (L ? y[m.value * POOL_STRIDE + edge] : HARMONICS_A[0]); });
        };
        if (e < z_end && e % 2) add_one(e++);
        const int n_twos = z_end > e ? (z_end - e) / 2 : 0;  // loads bring two edges
        const real *const r_first = r + e, *const y_first = y + e;
        ACEPAIR_UNROLL(4)
        for (int p = 0; p < n_twos; ++p) {
            const Two<real> r_e = load_two(r_first + 2 * p);
            unrolled<0, 2 * L + 1>([&](auto m) {
                const Two<real> y_e = L ? load_two(y_first + m.value * POOL_STRIDE + 2 * p) : Two<real>{HARMONICS_A[0], HARMONICS_A[0]};
                sum[m.value] += r_e.x * y_e.x;
                sum[m.value] += r_e.y * y_e.y;
            });
        }
        e += 2 * n_twos;
        if (e < z_end) add_one(e++);
    }
    unrolled<0, 2 * L + 1>([&](auto m) { totals[m.value * PAD] = sum[m.value]; });
}

/// Sums and pair_energy of a chunk of columns. In turn the block's threads are edges, which leave R, Y and the pair energy in shared
/// memory, and runs of sums, which each take the edges of one column in their order. Blocks: columns_per_block columns.
ACEPAIR_KERNEL(EDGE_THREADS, RESIDENT_EDGES / EDGE_THREADS)
pool(ACEPAIR_BY_VALUE(Model) model, ACEPAIR_BY_VALUE(List) list, ACEPAIR_BY_VALUE(Work) work, int64_t chunk_first, int64_t chunk_columns) {
    BlockEdges &block = *reinterpret_cast<BlockEdges *>(shared_memory());
    real *const R = reinterpret_cast<real *>(shared_memory() + BLOCK_EDGES_BYTES);
    real *const Y = R + N_R * POOL_STRIDE, *const energy = Y + N_Y * POOL_STRIDE;

    const Columns columns(work, chunk_columns);
    count_block_edges(work, chunk_first, columns, block);
    const int n_edges = block.first[MAX_COLUMNS];
    // columns without edges have sums, too: at least one tile
    for (int tile = 0; tile == 0 || tile < n_edges; tile += EDGE_THREADS) {
        const int tile_end = tile + EDGE_THREADS < n_edges ? tile + EDGE_THREADS : n_edges;
        ACEPAIR_PHASE(t) {
            if (tile + t >= tile_end) continue;
            const Edge edge = block_edge(list, work, chunk_first + columns.begin, block, tile + t);
            const real x = real(edge.x), y = real(edge.y), z = real(edge.z);
            const real d = sqrt(x * x + y * y + z * z), inverse_d = 1 / d;
            energy[t] = pair_terms(model, edge.pair, d, inverse_d).value;
            if constexpr (HAS_MANY_BODY) {
                radial_functions<false>(model.radial[0], edge.pair, d, inverse_d,
                                        [&](auto k, ValueSlope f) { R[k.value * POOL_STRIDE + t] = f.value; });
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
            const int begin = tile ? column_of_edge(block, tile) : 0, last = column_of_edge(block, tile_end);
            const int n_columns = (last < columns.n ? last + 1 : columns.n) - begin;  // that may have edges here
            int taken = 0;  // threads that have got work: whole warps, so that degrees go on side by side
            const auto first_item = [&] { return (t + EDGE_THREADS - taken) % EDGE_THREADS; };
            unrolled<0, HAS_MANY_BODY ? LMAX + 1 : 0>([&](auto degree) {
                constexpr int l = degree.value, n_runs = RUN_FIRST[l + 1] - RUN_FIRST[l];
                if constexpr (n_runs > 0) {
                    const int n_items = n_columns * n_runs;
                    for (int item = first_item(); item < n_items; item += EDGE_THREADS) {
                        const int k = item / n_runs, run = RUN_FIRST[l] + item - k * n_runs;
                        const Part part(block, tile, tile_end, begin + k);
                        if (!part.none()) add_run<l>(model, list, work, chunk_first, columns.begin + part.k, part, run, R, Y);
                    }
                    taken = (taken + (n_items + 31) / 32 * 32) % EDGE_THREADS;
                }
            });
            for (int k = begin + first_item(); k < begin + n_columns; k += EDGE_THREADS) {
                const Part part(block, tile, tile_end, k);
                if (part.none()) continue;
                double &total = work.pair_energy[columns.begin + k];
                double sum = part.starts ? 0 : total;
                for (int e = part.begin; e < part.end; ++e) sum += energy[e];
                total = sum;
            }
        }
        ACEPAIR_SYNC;
    }
}

}  // namespace acepair::gpu
