#include "packed_atoms.hpp"

namespace acepair {

void NeighborCopy::copy(int n_local, int n_rows, const int *ilist, const int *numneigh, const int *const *firstneigh, int mask,
                        const double *const *x, double rlist) {
    int64_t total = 0;
    first.assign(n_local + 1, 0);
    for (int k = 0; k < n_rows; ++k) total += first[ilist[k] + 1] = numneigh[ilist[k]];
    neighbor.resize(total);  // at most
    const double r2 = rlist * rlist;
    for (int i = 0; i < n_local; ++i) {
        const int n = int(first[i + 1]);
        const int *const j_of = n ? firstneigh[i] : nullptr;
        int64_t end = first[i];
        for (int e = 0; e < n; ++e) {
            const int j = j_of[e] & mask;
            const double dx = x[j][0] - x[i][0], dy = x[j][1] - x[i][1], dz = x[j][2] - x[i][2];
            neighbor[end] = j;
            end += dx * dx + dy * dy + dz * dz < r2;
        }
        first[i + 1] = end;
    }
    neighbor.resize(first[n_local]);
}

bool PackedAtoms::pack(int n_rows, const double *const *x, const int *type) {
    xyzs.resize(4 * size_t(n_rows));
    bool other_species = false;
    double *row = xyzs.data();
    for (int i = 0; i < n_rows; ++i, row += 4) {
        const double s = species_of_type[type[i]];
        row[0] = x[i][0], row[1] = x[i][1], row[2] = x[i][2];
        other_species |= row[3] != s;
        row[3] = s;
    }
    return other_species;
}

void PackedAtoms::cut(int n_centres, const int *ilist, const NeighborCopy &list, int width) {
    ++n_cuts;
    centres.assign(ilist, ilist + n_centres);
    centre_blocks.cut(system(list), centres.data(), n_centres, n_species, width);
}

}  // namespace acepair
