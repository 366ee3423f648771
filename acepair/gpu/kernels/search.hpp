// What the kernels of the neighbour search are given; fields as in arguments.hpp.
#pragma once

#include "device.hpp"

namespace acepair::gpu {

/// The grid of one structure: cells numbered from 0 on in the space of its cell vectors, non-periodic ones completed.
struct Grid {
    double cell[9], inverse[9];  ///< Å, 1/Å
    double origin[3];            ///< fractional coordinates of the corner of cell 0 along non-periodic axes, else 0
    double extent[3];            ///< of the grid in fractional coordinates: 1 along periodic axes
    int64_t n[3], reach[3];      ///< cells, and how many of them the cutoff spans
    int64_t periodic[3];
    int64_t first_cell;          ///< among those of all structures
};

struct Atoms {
    int64_t n_atoms;
    const double *positions;      ///< (n_atoms, 3) Å
    const int32_t *structure;     ///< (n_atoms,)
    const Grid *grid;             ///< (n_structures,)
    const int64_t *structure_first; ///< (n_structures + 1,)
    const double *cutoff;         ///< (1,) Å
    const int64_t *image_reach;   ///< (3,) images are looked for in −reach .. reach cell vectors of the wrapped atoms
};

struct Search {
    int64_t *cell;                ///< (n_atoms,)
    int32_t *wrap;                ///< (n_atoms, 3) cell vectors to be taken off a position to bring it into the cell
    const int64_t *order;         ///< (n_atoms,) atoms by cell
    const int64_t *cell_first;    ///< (n_cells + 1,)
    int64_t *count;               ///< (n_atoms,) neighbours
    const int64_t *first;         ///< (n_atoms + 1,)
    double *packed;               ///< (n_atoms, 4) by cell: wrapped positions (Å) and number
    int64_t *key, *sorted_key;    ///< (n_edges,) neighbour · number of images + image; in ascending order for each atom
};

/// Atoms and the images that are somebody's neighbour: the rows of a list.
struct Rows {
    int64_t n_atoms, n_edges, n_rows, n_images;  ///< n_images: that an atom may have, itself included
    const int64_t *key;           ///< (n_edges,) as Search's, sorted
    const int64_t *image_key;     ///< (n_rows − n_atoms,) in ascending order
    const int64_t *image_reach;   ///< as in Atoms
    const int32_t *wrap;          ///< as in Search
    int32_t *neighbor;            ///< (n_edges,) rows
    int32_t *owner;               ///< (n_rows,)
    int32_t *shift;               ///< (n_rows, 3) cell vectors
};

}  // namespace acepair::gpu
