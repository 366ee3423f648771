// LAMMPS's atoms and full neighbour list in the form the kernels read.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "evaluate.hpp"

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

/// Positions with species of one numbering, and the centres in order of species.
class PackedAtoms {
public:
    explicit PackedAtoms(std::vector<int32_t> species_of_type, int n_species) : species_of_type(std::move(species_of_type)), n_species(n_species) {}

    std::vector<double> xyzs;             ///< (rows, 4)
    std::vector<int32_t> centres;         ///< in order of species
    std::vector<int64_t> species_first;   ///< (n_species + 1,) into centres
    std::vector<CentreBlock> blocks;
    int64_t longest_block = 0, longest = 0;
    int64_t n_orders = 0;                 ///< how often the centres were put in order

    /// Take positions and types; returns whether a type has changed (fix atom/swap does that): the centres are in no order then.
    bool pack(int n_rows, const double *const *x, const int *type);
    /// Put the centres, those of LAMMPS's list, in order and cut them into blocks.
    void order(const int *type, int n_centres, const int *ilist, const NeighborCopy &list, int width);

    System system(const NeighborCopy &list) const { return {xyzs.data(), list.first.data(), list.neighbor.data()}; }
    double bytes() const { return double(xyzs.capacity() * sizeof(double) + centres.capacity() * sizeof(int32_t)); }

private:
    std::vector<int32_t> species_of_type;  ///< by atom type, from 1; −1 for NULL
    int n_species;
};

}  // namespace acepair
