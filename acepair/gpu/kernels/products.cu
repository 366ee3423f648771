// The product basis: site energies and ∂E/∂sums. A block holds the nodes of one tile of columns in shared memory; its threads are
// TILE columns × ROWS rows of work. No sum is shared by threads: adjoints are gathered row by row,
//
//     node_adj[v] = c_v + Σ_leaves c_k · node[other factor] + Σ_internal products k of v  node_adj[k] · node[other factor],
//
// products of higher levels first, and since leaves are linear in each factor, E = Σ_v node[v] (c_v + ½ Σ_leaves ...).
#include "arguments.hpp"

namespace acepair::gpu {

/// Row of a sparse matrix times a vector whose elements stand PAD apart.
ACEPAIR_DEVICE real mixed(const int32_t *first, const int32_t *index, const real *weight, int row, const real *vector) {
    real sum = 0;
    const int last = read(first + row + 1);
    ACEPAIR_UNROLL(1)
    for (int k = read(first + row); k < last; ++k) sum += read(weight + k) * vector[read(index + k) * PAD];
    return sum;
}

/// `chunk_column` is the tile's first column, counted from that of the chunk.
template <int TILE, int ROWS>
ACEPAIR_DEVICE void evaluate_tile(const Model &model, const List &list, const Work &work, int64_t chunk_first, int64_t chunk_column) {
    constexpr int64_t SHARED_NODES = (NODES_SHARED ? int64_t(N_STORED) * TILE : 0), SCRATCH_NODES = NODES_SHARED ? 0 : N_STORED;
    constexpr int64_t SCRATCH = (SCRATCH_NODES + (ADJOINTS_SHARED ? 0 : N_INTERNAL)) * TILE;
    double *const energy = reinterpret_cast<double *>(shared_memory());  // (ROWS, TILE)
    real *const shared = reinterpret_cast<real *>(energy + ROWS * TILE), *const scratch = work.scratch + block_index() * SCRATCH;
    real *const node = NODES_SHARED ? shared : scratch;                                                    // (N_STORED, TILE)
    real *const adj = ADJOINTS_SHARED ? shared + SHARED_NODES : scratch + SCRATCH_NODES * TILE;            // (N_INTERNAL, TILE)

    const int64_t column = chunk_first + chunk_column;
    const int species = list.column_species[column];
    const real *const mix_weight = model.mix_weight + species * model.n_mix_terms;
    const int64_t of_sums = first_of_column(chunk_column, N_SUMS), of_A = first_of_column(chunk_column, N_A);
    real *const A_adj = N_MOMENT_DEGREES ? work.A_adj : work.sums_adj;  // then the sums are A

    ACEPAIR_PHASE(t) {
        const int lane = t % TILE;
        energy[t] = 0;
        const real *const sums = work.sums + of_sums + lane;
        for (int a = t / TILE; a < N_A; a += ROWS)
            node[a * TILE + lane] = N_MOMENT_DEGREES ? mixed(model.mix_first, model.mix_sum, mix_weight, a, sums) : sums[a * PAD];
    }
    ACEPAIR_SYNC;
    for (int level = 0; level < N_LEVELS; ++level) {
        const int begin = model.product_first[level], end = model.product_first[level + 1];
        ACEPAIR_PHASE(t) {
            const int lane = t % TILE;
            for (int k = begin + t / TILE; k < end; k += ROWS) {
                const Product product = read_vector(model.product + k);
                node[product.node * TILE + lane] = node[product.parent * TILE + lane] * node[product.factor * TILE + lane];
            }
        }
        ACEPAIR_SYNC;
    }

    const Leaf *const leaf = model.leaf + species * model.n_leaf_terms;
    const real *const c_node = model.node_coefficient + species * N_STORED;
    for (int level = 0; level <= N_LEVELS; ++level) {
        const int begin = model.row_first[level], end = model.row_first[level + 1];
        ACEPAIR_PHASE(t) {
            const int lane = t % TILE;
            const real *const nodes = node + lane, *const adjoints = adj + lane;
            double own = 0;
            for (int row = begin + t / TILE; row < end; row += ROWS) {
                const int v = read(model.row_node + row);
                const real c = read(c_node + v);
                real leaves0 = 0, leaves1 = 0;
                int k = read(model.leaf_first + row);
                const int last = read(model.leaf_first + row + 1);
                for (; k + 1 < last; k += 2) {
                    const Leaf even = read_vector(leaf + k), odd = read_vector(leaf + k + 1);
                    leaves0 += even.coefficient * nodes[even.other * TILE];
                    leaves1 += odd.coefficient * nodes[odd.other * TILE];
                }
                if (k < last) {
                    const Leaf even = read_vector(leaf + k);
                    leaves0 += even.coefficient * nodes[even.other * TILE];
                }
                const real leaves = leaves0 + leaves1;
                own += double(nodes[v * TILE] * (c + real(0.5) * leaves));

                real sum = c + leaves;
                const int uses = read(model.use_first + row + 1);
                for (int u = read(model.use_first + row); u < uses; ++u) {
                    const Use use = read_vector(model.use + u);
                    sum += adjoints[use.product * TILE] * nodes[use.other * TILE];
                }
                if (level < N_LEVELS)
                    adj[(v - N_A) * TILE + lane] = sum;
                else
                    A_adj[of_A + v * PAD + lane] = sum;
            }
            energy[t] += own;
        }
        ACEPAIR_SYNC;
    }
    if constexpr (N_MOMENT_DEGREES > 0) {
        const real *const unmix_weight = model.unmix_weight + species * model.n_mix_terms;
        ACEPAIR_PHASE(t) {
            const int lane = t % TILE;
            for (int s = t / TILE; s < N_SUMS; s += ROWS)
                work.sums_adj[of_sums + s * PAD + lane] = mixed(model.unmix_first, model.unmix_A, unmix_weight, s, A_adj + of_A + lane);
        }
    }
    ACEPAIR_PHASE(t) {
        if (t >= TILE) continue;
        const int32_t atom = list.column_atom[column + t];
        if (atom < 0) continue;
        double sum = 0;
        for (int row = 0; row < ROWS; ++row) sum += energy[row * TILE + t];
        work.site_energy[atom] += model.E0[species] + work.pair_energy[chunk_column + t] + sum;
    }
}

/// Every n_blocks()-th tile, so that memory outside of shared memory is needed for as many tiles as are evaluated at a time.
template <int TILE, int ROWS>
ACEPAIR_DEVICE void evaluate_tiles(const Model &model, const List &list, const Work &work, int64_t chunk_first, int64_t chunk_columns) {
    for (int64_t column = block_index() * TILE; column < chunk_columns; column += n_blocks() * TILE) {
        evaluate_tile<TILE, ROWS>(model, list, work, chunk_first, column);
        ACEPAIR_SYNC;
    }
}

ACEPAIR_KERNEL(TILE * PRODUCT_ROWS, 1)
products(ACEPAIR_BY_VALUE(Model) model, ACEPAIR_BY_VALUE(List) list, ACEPAIR_BY_VALUE(Work) work, int64_t chunk_first,
         int64_t chunk_columns) {
    evaluate_tiles<TILE, PRODUCT_ROWS>(model, list, work, chunk_first, chunk_columns);
}

/// Where there are fewer tiles than multiprocessors: smaller ones keep all of them busy.
ACEPAIR_KERNEL(SMALL_TILE * SMALL_TILE_ROWS, 1)
products_of_small_tiles(ACEPAIR_BY_VALUE(Model) model, ACEPAIR_BY_VALUE(List) list, ACEPAIR_BY_VALUE(Work) work, int64_t chunk_first,
                        int64_t chunk_columns) {
    evaluate_tiles<SMALL_TILE, SMALL_TILE_ROWS>(model, list, work, chunk_first, chunk_columns);
}

}  // namespace acepair::gpu
