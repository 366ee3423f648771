// An atom's neighbours within the cutoff, sorted by species: blocks of W edges of one species pair.
#pragma once

#include "plan.hpp"
#include "simd.hpp"
#include "system.hpp"

namespace acepair::ACEPAIR_ISA {

/// Edges of one centre by neighbour species; `capacity` places for each species, a multiple of W.
struct Edges {
    int64_t capacity;
    double *x, *y, *z;   ///< (n_species, capacity) D = r_j − r_i, Å
    int32_t *j;          ///< (n_species, capacity)
    int32_t *count;      ///< (n_species,)
    double *x_all, *y_all, *z_all, *s_all;  ///< (capacity,) before they are sorted by species
    int32_t *j_all;
};

/// Fill `edges` with the neighbours of atom i closer than the cutoffs; returns an atom that coincides with i, or −1.
ACEPAIR_STAGE int32_t find_edges(const Plan &plan, const System &system, int32_t i, int z_i, const Edges &edges) {
    const double *centre = system.xyzs + 4 * int64_t(i);
    const int64_t begin = system.first[i], end = system.first[i + 1];
    const double *rcut = plan.rcut + z_i * plan.n_species;
    double rcut_max = 0;
    for (int z = 0; z < plan.n_species; ++z) rcut_max = rcut[z] > rcut_max ? rcut[z] : rcut_max;

    const bool one_species = plan.n_species == 1;
    double *x_out = one_species ? edges.x : edges.x_all, *y_out = one_species ? edges.y : edges.y_all;
    double *z_out = one_species ? edges.z : edges.z_all;
    int32_t *j_out = one_species ? edges.j : edges.j_all;

    int n = 0;
    int32_t coincident = -1;
    for (int64_t e = begin; e < end; e += W) {
        const int lanes = end - e < W ? int(end - e) : W;
        int32_t j[W];
        for (int k = 0; k < W; ++k) j[k] = system.neighbor[k < lanes ? e + k : e];
        Vec x, y, z, s;
        gather_rows(system.xyzs, j, x, y, z, s);
        x -= centre[0], y -= centre[1], z -= centre[2];
        const Vec d2 = x * x + y * y + z * z;
        const Mask inside = (d2 < rcut_max * rcut_max) & (s >= 0.0) & first_lanes(lanes);
        const Mask too_close = inside & (d2 < min_distance * min_distance);
        if (any(too_close))
            for (int k = 0; k < W; ++k) coincident = too_close[k] ? j[k] : coincident;
        store_selected(x_out + n, inside, x);
        store_selected(y_out + n, inside, y);
        store_selected(z_out + n, inside, z);
        if (!one_species) store_selected(edges.s_all + n, inside, s);
        n += store_selected(j_out + n, inside, j);
    }
    if (one_species) {
        edges.count[0] = n;
        return coincident;
    }
    for (int z = 0; z < plan.n_species; ++z) edges.count[z] = 0;
    for (int e = 0; e < n; ++e) {
        const int z = int(edges.s_all[e]);
        const double x = edges.x_all[e], y = edges.y_all[e], w = edges.z_all[e];
        const int64_t at = z * edges.capacity + edges.count[z];
        edges.x[at] = x, edges.y[at] = y, edges.z[at] = w, edges.j[at] = edges.j_all[e];
        edges.count[z] += x * x + y * y + w * w < rcut[z] * rcut[z];
    }
    return coincident;
}

}  // namespace acepair::ACEPAIR_ISA
