// What kernels are given: structs of 8-byte fields in device memory, written by acepair/gpu/arguments.py in this order.
#pragma once

#include "device.hpp"

namespace acepair::gpu {

enum class TransformKind { agnesi = 0, affine = 1 };                                              // as in core/plan.hpp
enum class EnvelopeKind { one = 0, poly_2sx = 1, poly_1sr = 2, ace1_poly_1sr = 3, inverse_r = 4 };
enum class BasisKind { recurrence = 0, series = 1, table = 2 };

/// Formulas: acepair/basis/transforms.py and core/plan.hpp.
struct alignas(2 * sizeof(real)) TransformParameters {
    real kind, p, q, a, rin, inverse_width, x_in, scale;
};
struct alignas(2 * sizeof(real)) EnvelopeParameters {
    real kind, p1, p2, rcut, r0, scale;
};

/// Numbers of one component's radial functions for every species pair. Kinds, exponents and sizes stand in model.hpp.
struct Radial {
    const TransformParameters *transform;  ///< (n_pairs,)
    const EnvelopeParameters *envelope;    ///< (n_pairs,)
    const real *rcut;                      ///< (n_pairs,) Å
    /// (n_pairs, N_POLYNOMIALS, functions that are contracted), of a pair term (n_pairs, N_POLYNOMIALS); last axis filled up to 16 bytes
    const real *weights;
    const real *table;                     ///< (n_pairs, TABLE_INTERVALS, TABLE_DEGREE + 1, TABLE_COLUMNS)
};

/// An internal node and its factors, all numbered among stored nodes.
struct alignas(16) Product {
    int32_t node, parent, factor, unused;
};

/// A leaf seen from one of its factors. One load brings it all.
struct alignas(2 * sizeof(real)) Leaf {
    real coefficient;
    int32_t other;  ///< the other factor, among stored nodes
};

/// An internal product seen from one of its factors.
struct alignas(8) Use {
    int32_t product;  ///< among internal nodes
    int32_t other;    ///< the other factor, among stored nodes
};

/// A model. Sizes that are known when the kernels are compiled stand in model.hpp.
struct Model {
    const double *E0;               ///< (NZ,) eV
    const double *rcut;             ///< (n_pairs,) Å
    const int32_t *channel_sum;     ///< (n_pairs, N_CHANNELS) first sum of a channel, −1 where it vanishes
    const int32_t *run_sum;         ///< (N_RUNS,) first of the 2 l + 1 sums of each radial function and l
    const int32_t *run_function;    ///< (n_pairs, N_RUNS) the radial function, −1 where the sums vanish
    const int32_t *mix_first;       ///< (N_A + 1,) with moments: terms of each A
    const int32_t *mix_sum;         ///< (n_mix_terms,)
    const real *mix_weight;         ///< (NZ, n_mix_terms)
    const int32_t *unmix_first;     ///< (N_SUMS + 1,) the same matrix by sums
    const int32_t *unmix_A;         ///< (n_mix_terms,)
    const real *unmix_weight;       ///< (NZ, n_mix_terms)
    const int32_t *product_first;   ///< (N_LEVELS + 1,) internal nodes of each level, from 1 on
    const Product *product;         ///< (N_INTERNAL,) by level
    const int32_t *row_first;       ///< (N_LEVELS + 2,) rows of the adjoint by level, the highest level first, A last
    const int32_t *row_node;        ///< (N_STORED,)
    const int32_t *leaf_first;      ///< (N_STORED + 1,) leaves in which a row's node is a factor
    const Leaf *leaf;               ///< (NZ, n_leaf_terms)
    const int32_t *use_first;       ///< (N_STORED + 1,) internal nodes of which a row's node is a factor
    const Use *use;
    const real *node_coefficient;   ///< (NZ, N_STORED) c̃ of stored nodes
    int64_t n_leaf_terms, n_mix_terms;
    Radial radial[1 + N_PAIR_TERMS];  ///< of the many-body part and of pair terms
};

/// Atoms and who is whose neighbour. Columns are centres sorted by species, each species filled up to whole tiles; rows are atoms
/// and then images, as in core/system.hpp; the owner of a row is the atom to which its forces belong.
struct List {
    int64_t n_columns, n_owners, n_rows, n_edges, n_structures, n_segments;
    const int32_t *column_atom;     ///< (n_columns,) −1: none
    const int32_t *column_species;  ///< (n_columns,)
    const int64_t *first;           ///< (n_columns + 1,) edges of a column
    const int32_t *neighbor;        ///< (n_edges,) rows, by species, within a column
    const int32_t *centre;          ///< (n_edges,) row of the centre
    const int64_t *incoming_first;  ///< (n_owners + 1,)
    const int64_t *incoming;        ///< (n_edges,) edges by the owner of their neighbour
    const int32_t *incoming_centre, *incoming_neighbor; ///< (n_edges,) their rows once more, in this order
    const int32_t *row_owner;       ///< (n_rows,)
    const int32_t *row_shift;       ///< (n_rows, 3) cell vectors
    const int32_t *row_species;     ///< (n_rows,) −1: ignored
    const int32_t *row_structure;   ///< (n_rows,)
    const int64_t *structure_first; ///< (n_structures + 1,) owners
    const int64_t *segment_first;   ///< (n_segments + 1,) owners summed by one block
    const int64_t *structure_segment; ///< (n_structures + 1,) segments
};

/// The cell of a structure, and how it has changed since the list was made.
struct Frame {
    double cell[9];    ///< Å, zero along axes that are not periodic
    double strain[9];
    double motion2;    ///< square of the motion allowed (Å²)
};

/// Where the atoms are, and where they were when the list was made.
struct Motion {
    const double *positions;   ///< (n_owners, 3) Å
    const double *reference;   ///< (n_owners, 3) Å, or null: the list is not to be checked
    const Frame *frame;        ///< (n_structures,)
};

/// Results and what stands between the kernels.
struct Work {
    double *xyzs;         ///< (n_rows, 4) Å and species
    int32_t *slot;        ///< (n_edges,) of each column the places, in its row of edges, of those within the cutoff
    int32_t *slot_end;    ///< (n_columns, NZ) how many of them up to and including each species
    real *sums, *sums_adj; ///< (chunk / PAD, N_SUMS, PAD) A, or what A is made of, and ∂E/∂sums
    real *A_adj;          ///< (chunk / PAD, N_A, PAD) with moments
    real *scratch;        ///< nodes that shared memory cannot hold
    double *pair_energy;  ///< (chunk,)
    real *gradient;       ///< (n_edges, 4) ∂E/∂D, eV/Å; zero beyond the cutoff
    double *site_energy;  ///< (n_owners,) eV, added to
    double *forces;       ///< (n_owners, 3) eV/Å, added to
    double *site_virial;  ///< (n_owners, 9) eV, added to; −D ⊗ g belongs to the neighbour
    double *partial;      ///< (n_segments, 10)
    double *totals;       ///< (n_structures, 10) energy and virial
    int64_t *status;      ///< (3,): 1 + an edge between atoms in the same place; 1 if the list holds no longer; 1 if not finite
    int64_t columns_per_block;
};

/// Where the first of `n` numbers of a column stands, the others following PAD apart: PAD columns lie together, so that distances
/// between sums are known when the code is compiled.
ACEPAIR_DEVICE int64_t first_of_column(int64_t column, int n) { return column / PAD * n * PAD + column % PAD; }

}  // namespace acepair::gpu
