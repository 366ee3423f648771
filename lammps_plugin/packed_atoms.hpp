// LAMMPS's atoms and full neighbour list in the form the kernels read.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "memory.hpp"

namespace acepair {

/// The full list as one array. Rebuilt when LAMMPS rebuilds its own.
class NeighborCopy {
public:
    std::vector<int64_t> first;      ///< (nlocal + 1,); atoms that are in no list have no neighbours
    std::vector<int32_t> neighbor;   ///< local atoms and ghosts

    /// Keep the neighbours closer than `rlist` (Å): under hybrid styles LAMMPS's list may reach further than this style needs.
    void copy(int n_local, int n_rows, const int *ilist, const int *numneigh, const int *const *firstneigh, int mask, const double *const *x,
              double rlist);
};

/// Positions with species of one numbering, and the centres in blocks of one species.
class PackedAtoms {
public:
    explicit PackedAtoms(std::vector<int32_t> species_of_type, int n_species) : species_of_type(std::move(species_of_type)), n_species(n_species) {}

    std::vector<double> xyzs;             ///< (rows, 4)
    std::vector<int32_t> centres;         ///< those of LAMMPS's list
    CentreBlocks centre_blocks;           ///< without those that have no species
    int64_t n_cuts = 0;                   ///< tells whether the centres are others than before

    /// Take positions and types; returns whether a type has changed (fix atom/swap does that): the blocks are of no use then.
    bool pack(int n_rows, const double *const *x, const int *type);
    /// Take the centres and cut them into blocks; after `pack`, which knows their species.
    void cut(int n_centres, const int *ilist, const NeighborCopy &list, int width);

    System system(const NeighborCopy &list) const { return {xyzs.data(), list.first.data(), list.neighbor.data()}; }
    double bytes() const { return double(xyzs.capacity() * sizeof(double) + centres.capacity() * sizeof(int32_t)); }

private:
    std::vector<int32_t> species_of_type;  ///< by atom type, from 1; −1 for NULL
    int n_species;
};

}  // namespace acepair
