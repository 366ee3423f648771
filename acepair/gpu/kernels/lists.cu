// Lists by columns, and edges by the atom that is neighbour in them. order_edges ranks the edges of a column; place_incoming gives out
// places by atomics, and sort_incoming sorts them, so that the order does not depend on who came first.
#include "lists.hpp"
#include "sort.hpp"

namespace acepair::gpu {

/// Bring the edges of every column into the order of the neighbours' species, those of a species as they were found; ignored atoms, of
/// species −1, come first. Counts the edges of every owner. Warps: columns; lanes: edges.
ACEPAIR_KERNEL(THREADS, 1)
order_edges(ACEPAIR_BY_VALUE(Ordering) ordering, const void *, const void *, int64_t, int64_t) {
    ACEPAIR_WARPS(warp) {
        const int64_t column = block_index() * (THREADS / 32) + warp;
        if (column >= ordering.n_columns) continue;
        const int32_t atom = ordering.column_atom[column];
        if (atom < 0) continue;
        const int64_t first = ordering.first[column];
        const int32_t n = int32_t(ordering.first[column + 1] - first);
        const int32_t *const found = ordering.found + ordering.found_first[atom];
        ACEPAIR_LANES(lane) {
            for (int32_t k = lane; k < n; k += 32) {
                const int32_t row = read(found + k), species = read(ordering.row_species + row);
                int32_t rank = 0;
                for (int32_t other = 0; other < n; ++other) {
                    const int32_t z = read(ordering.row_species + read(found + other));
                    rank += z < species || (z == species && other < k);
                }
                ordering.neighbor[first + rank] = row;
                ordering.centre[first + rank] = atom;
                fetch_add_one(ordering.place + read(ordering.row_owner + row));
            }
        }
    }
}

/// Give every edge a place among those of the owner of its neighbour. Threads: edges.
ACEPAIR_KERNEL(THREADS, 1)
place_incoming(ACEPAIR_BY_VALUE(Ordering) ordering, const void *, const void *, int64_t, int64_t) {
    ACEPAIR_PHASE(t) {
        const int64_t e = block_index() * THREADS + t;
        if (e < ordering.n_edges) ordering.unsorted[fetch_add_one(ordering.place + read(ordering.row_owner + ordering.neighbor[e]))] = e;
    }
}

/// Warps: owners.
ACEPAIR_KERNEL(THREADS, 1)
sort_incoming(ACEPAIR_BY_VALUE(Ordering) ordering, const void *, const void *, int64_t, int64_t) {
    ACEPAIR_WARPS(warp) {
        const int64_t j = block_index() * (THREADS / 32) + warp;
        if (j >= ordering.n_owners) continue;
        const int64_t first = ordering.incoming_first[j];
        sort_by_warp(ordering.unsorted + first, ordering.incoming_first[j + 1] - first, [&](int64_t rank, int64_t e) {
            ordering.incoming[first + rank] = e;
            ordering.incoming_centre[first + rank] = read(ordering.centre + e);
            ordering.incoming_neighbor[first + rank] = read(ordering.neighbor + e);
        });
    }
}

}  // namespace acepair::gpu
