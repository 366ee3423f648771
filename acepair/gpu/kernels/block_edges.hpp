// The edges of one block: those within the cutoff of a few consecutive columns, numbered through, in tiles of EDGE_THREADS.
#pragma once

#include "arguments.hpp"

namespace acepair::gpu {

/// In shared memory; column k of the block has the edges first[k] .. first[k + 1].
struct BlockEdges {
    int32_t first[MAX_COLUMNS + 1];  ///< columns that the block lacks have no edges
    int32_t count[MAX_COLUMNS];
};
static_assert(sizeof(BlockEdges) <= BLOCK_EDGES_BYTES && (MAX_COLUMNS & (MAX_COLUMNS - 1)) == 0 && MAX_COLUMNS < EDGE_THREADS);

/// Which columns are a block's.
struct Columns {
    int64_t begin;  ///< the first, counted from that of the chunk
    int n;

    ACEPAIR_DEVICE Columns(const Work &work, int64_t chunk_columns) : begin(block_index() * work.columns_per_block) {
        n = int(chunk_columns - begin < work.columns_per_block ? chunk_columns - begin : work.columns_per_block);
    }
};

/// Fill `block`; ends where threads meet.
ACEPAIR_DEVICE void count_block_edges(const Work &work, int64_t chunk_first, const Columns &columns, BlockEdges &block) {
    ACEPAIR_PHASE(t) {
        if (t >= MAX_COLUMNS) continue;
        block.count[t] = t < columns.n ? work.slot_end[(chunk_first + columns.begin + t + 1) * N_SPECIES - 1] : 0;
    }
    ACEPAIR_SYNC;
    ACEPAIR_PHASE(t) {
        if (t > MAX_COLUMNS) continue;
        int32_t sum = 0;
        for (int k = 0; k < MAX_COLUMNS; ++k) sum += k < t ? block.count[k] : 0;
        block.first[t] = sum;
    }
    ACEPAIR_SYNC;
}

/// The last column of the block that begins at edge `e` or before.
ACEPAIR_DEVICE int column_of_edge(const BlockEdges &block, int e) {
    int column = 0;
    for (int step = MAX_COLUMNS / 2; step; step /= 2)
        if (block.first[column + step] <= e) column += step;
    return column;
}

/// One edge of a block: which, and its vector.
struct Edge {
    int64_t index;    ///< in the list
    int column;       ///< of the block
    int pair;         ///< of species, centre first
    double x, y, z;   ///< D, Å
};

ACEPAIR_DEVICE Edge block_edge(const List &list, const Work &work, int64_t first_column, const BlockEdges &block, int e) {
    Edge edge;
    edge.column = column_of_edge(block, e);
    const int64_t column = first_column + edge.column, first = list.first[column];
    edge.index = first + work.slot[first + e - block.first[edge.column]];
    const Four<double> centre = load_four(work.xyzs + 4 * int64_t(list.column_atom[column]));
    const Four<double> other = load_four(work.xyzs + 4 * int64_t(read(list.neighbor + edge.index)));
    edge.pair = list.column_species[column] * N_SPECIES + int(other.w);
    edge.x = other.x - centre.x, edge.y = other.y - centre.y, edge.z = other.z - centre.z;
    return edge;
}

}  // namespace acepair::gpu
