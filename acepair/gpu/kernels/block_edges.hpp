// The edges of one block: those within the cutoff of a few consecutive columns, numbered through, in tiles of EDGE_THREADS.
#pragma once

#include "arguments.hpp"

namespace acepair::gpu {

/// In shared memory; column k of the block has the edges first[k] .. first[k + 1].
struct BlockEdges {
    int64_t column;  ///< the first
    int32_t n_columns;
    int32_t first[MAX_COLUMNS + 1];
};
constexpr int BLOCK_EDGES_BYTES = 16 * ((int(sizeof(BlockEdges)) + 15) / 16);

/// To be called by one thread.
ACEPAIR_DEVICE void count_block_edges(const Work &work, int64_t chunk_first, int64_t chunk_columns, BlockEdges &block) {
    const int64_t begin = block_index() * work.columns_per_block;
    block.column = chunk_first + begin;
    block.n_columns = int32_t(chunk_columns - begin < work.columns_per_block ? chunk_columns - begin : work.columns_per_block);
    block.first[0] = 0;
    for (int k = 0; k < block.n_columns; ++k) {
        const int32_t *end = work.slot_end + (block.column + k + 1) * N_SPECIES;
        block.first[k + 1] = block.first[k] + end[-1];
    }
}

/// One edge of a block: which, and its vector.
struct Edge {
    int64_t index;    ///< in the list
    int column;       ///< of the block
    int pair;         ///< of species, centre first
    double x, y, z;   ///< D, Å
};

ACEPAIR_DEVICE Edge block_edge(const List &list, const Work &work, const BlockEdges &block, int e) {
    Edge edge;
    edge.column = 0;  // the last that begins at e or before
    for (int end = block.n_columns; end - edge.column > 1;) {
        const int middle = (edge.column + end) / 2;
        (block.first[middle] <= e ? edge.column : end) = middle;
    }
    const int64_t column = block.column + edge.column, first = list.first[column];
    edge.index = first + work.slot[first + e - block.first[edge.column]];
    const Four<double> centre = load_four(work.xyzs + 4 * int64_t(list.column_atom[column]));
    const Four<double> other = load_four(work.xyzs + 4 * int64_t(read(list.neighbor + edge.index)));
    edge.pair = list.column_species[column] * N_SPECIES + int(other.w);
    edge.x = other.x - centre.x, edge.y = other.y - centre.y, edge.z = other.z - centre.z;
    return edge;
}

}  // namespace acepair::gpu
