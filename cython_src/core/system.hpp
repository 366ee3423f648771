// What a kernel reads besides the plan: atoms and their neighbours. LAMMPS's ghosts and a periodic cell's images look alike.
#pragma once

#include <cstdint>

namespace acepair {

struct System {
    const double *xyzs;       ///< (n_atoms + n_images, 4): position (Å) and species index, −1 for an atom to be ignored
    const int64_t *first;     ///< (n_atoms + 1,) into neighbor
    const int32_t *neighbor;  ///< rows of xyzs
};

/// Up to W centres of one species, evaluated together.
struct CentreBlock {
    const int32_t *centre;
    int32_t count, species;
};

/// Two atoms closer than this (Å) are an error of the input; no potential means anything there.
inline constexpr double min_distance = 1e-6;

/// Centres whose edges share vectors, a team: edges of two alternate in single precision, so that shuffles move 64 bits either way.
template <class Real> inline constexpr int team_size = sizeof(double) / sizeof(Real);

/// Everything one block of centres adds to the outputs, kept apart so that it can be added in the order of the blocks.
template <class Real> struct BlockResultOf {
    double *site_energy;      ///< (W,) eV
    double *virial;           ///< (9,) −Σ D ⊗ g, eV
    int32_t *n_edge_blocks;   ///< (W / team_size,) blocks of W edges of every team
    int32_t *edge_count;      ///< (edge blocks,) lanes of a block up to the last edge; lane e is the team's centre e % team_size's
    int32_t *edge_neighbor;   ///< (edge blocks, W) rows of xyzs; the centre itself in lanes without an edge
    Real *gradient;           ///< (edge blocks, 3, W) g = ∂E_i/∂D, eV/Å
    Real *vector;             ///< (edge blocks, 3, W) D, Å
    int32_t coincident[2];    ///< two atoms in the same place, or −1
};

using BlockResult = BlockResultOf<double>;

}  // namespace acepair
