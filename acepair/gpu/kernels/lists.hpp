// What the kernels that order lists are given; fields as in arguments.hpp.
#pragma once

#include "device.hpp"

namespace acepair::gpu {

/// A list as it was found, by centres, and as evaluation wants it, by columns: see List in arguments.hpp.
struct Ordering {
    int64_t n_columns, n_owners, n_edges;
    const int64_t *found_first;   ///< (n_centres + 1,)
    const int32_t *found;         ///< (n_found,) rows
    const int32_t *row_species;
    const int32_t *row_owner;
    const int32_t *column_atom;
    const int64_t *first;         ///< (n_columns + 1,)
    int32_t *neighbor, *centre;   ///< (n_edges,)
    int64_t *place;               ///< (n_owners,) how many edges have the owner for a neighbour; then where the next of them goes
    const int64_t *incoming_first;
    int64_t *unsorted, *incoming; ///< (n_edges,)
    int32_t *incoming_centre, *incoming_neighbor; ///< (n_edges,)
};

}  // namespace acepair::gpu
