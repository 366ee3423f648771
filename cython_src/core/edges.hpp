// An atom's neighbours within the cutoff, sorted by species; place_edges (evaluator.hpp) cuts them into blocks.
#pragma once

#include "precision.hpp"

namespace acepair::ACEPAIR_ISA {

/// Edges of one centre by neighbour species; `capacity` places for each species, a multiple of W.
struct Edges {
    int64_t capacity;
    Real *x, *y, *z;   ///< (n_species, capacity) D = r_j − r_i, Å
    int32_t *j;        ///< (n_species, capacity)
    int32_t *count;    ///< (n_species,)
};

/// Up to here it costs less to store nothing than to foresee wrongly whether there is something to store.
inline constexpr int few_species = 4;

/// Fill `edges` with the neighbours of atom i closer than the cutoffs; returns an atom that coincides with i, or −1.
ACEPAIR_STAGE int32_t find_edges(const Plan &plan, const System &system, int32_t i, int z_i, Edges edges) {
    const double *const xyzs = system.xyzs, *const centre = xyzs + 4 * int64_t(i);
    const int32_t *j = system.neighbor + system.first[i], *const end = system.neighbor + system.first[i + 1];
    const Real *rcut = plan.rcut + z_i * plan.n_species;
    const int n_species = plan.n_species;
    for (int z_j = 0; z_j < n_species; ++z_j) edges.count[z_j] = 0;

    int32_t coincident = -1, last[W];
    for (int64_t left = end - j; left > 0; left -= W, j += W) {
        if (left < W) {  // the list may end here
            for (int k = 0; k < W; ++k) last[k] = j[k < left - 1 ? k : left - 1];
            j = last;
        }
        Vec x, y, z, s;
        gather_differences(xyzs, j, centre, x, y, z, s);
        const Vec d2 = x * x + y * y + z * z;
        const Mask valid = first_lanes(left < W ? int(left) : W) & (s >= 0.0);
        const Mask too_close = valid & (d2 < Real(min_distance * min_distance));
        if (bits(too_close))
            for (int k = 0; k < W; ++k) coincident = too_close[k] ? j[k] : coincident;
        Vec species = broadcast(0);
        for (int z_j = 0; z_j < n_species; ++z_j, species += 1) {
            const Mask inside = valid & (s == species) & (d2 < rcut[z_j] * rcut[z_j]);
            if (n_species > few_species && !bits(inside)) continue;
            const int64_t at = z_j * edges.capacity + edges.count[z_j];
            store_selected(edges.x + at, inside, x);
            store_selected(edges.y + at, inside, y);
            store_selected(edges.z + at, inside, z);
            edges.count[z_j] += store_selected(edges.j + at, inside, j);
        }
    }
    return coincident;
}

}  // namespace acepair::ACEPAIR_ISA
