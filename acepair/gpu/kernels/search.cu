// Neighbours by cells: the same for all models. Threads are atoms.
#include "search.hpp"
#include "sort.hpp"

namespace acepair::gpu {

/// Which cell an atom is in.
ACEPAIR_KERNEL(THREADS, 1) bin_atoms(ACEPAIR_BY_VALUE(Atoms) atoms, ACEPAIR_BY_VALUE(Search) search, const void *, int64_t, int64_t) {
    ACEPAIR_PHASE(t) {
        const int64_t i = block_index() * THREADS + t;
        if (i >= atoms.n_atoms) continue;
        const int structure = atoms.structure[i];
        const Grid &grid = atoms.grid[structure];
        const double *x = atoms.positions + 3 * i, *origin = atoms.positions + 3 * atoms.structure_first[structure];
        const double d[3] = {x[0] - origin[0], x[1] - origin[1], x[2] - origin[2]};
        int64_t cell = 0;
        for (int k = 0; k < 3; ++k) {
            double f = d[0] * grid.inverse[k] + d[1] * grid.inverse[3 + k] + d[2] * grid.inverse[6 + k];
            const double wrap = grid.periodic[k] ? floor(f) : 0;
            search.wrap[3 * i + k] = int32_t(wrap);
            f = (f - wrap - grid.origin[k]) / grid.extent[k];
            const int64_t c = int64_t(f * double(grid.n[k]));
            cell = cell * grid.n[k] + (c < 0 ? 0 : c < grid.n[k] ? c : grid.n[k] - 1);
        }
        search.cell[i] = grid.first_cell + cell;
    }
}

/// Count neighbours (fill = 0), or write their keys, sorted (fill = 1).
ACEPAIR_KERNEL(THREADS, 1)
find_neighbors(ACEPAIR_BY_VALUE(Atoms) atoms, ACEPAIR_BY_VALUE(Search) search, const void *, int64_t, int64_t fill) {
    ACEPAIR_PHASE(t) {
        const int64_t i = block_index() * THREADS + t;
        if (i >= atoms.n_atoms) continue;
        const Grid &grid = atoms.grid[atoms.structure[i]];
        const double cutoff2 = atoms.cutoff[0] * atoms.cutoff[0], *h = grid.cell, *x = atoms.positions + 3 * i;
        const int64_t *R = atoms.image_reach, n_images = (2 * R[0] + 1) * (2 * R[1] + 1) * (2 * R[2] + 1);
        const int32_t *w_i = search.wrap + 3 * i;
        int64_t own[3], rest = search.cell[i] - grid.first_cell;
        for (int k = 2; k >= 0; --k) own[k] = rest % grid.n[k], rest /= grid.n[k];

        int64_t n_found = 0, *key = fill ? search.key + search.first[i] : nullptr;
        int64_t d[3] = {0, 0, 0}, c[3], shift[3];
        const auto locate = [&](int k) {  // cell and shift along an axis; false if there is nothing
            c[k] = own[k] + d[k], shift[k] = 0;
            if (c[k] >= 0 && c[k] < grid.n[k]) return true;
            if (!grid.periodic[k]) return false;
            shift[k] = c[k] >= 0 ? c[k] / grid.n[k] : -((grid.n[k] - 1 - c[k]) / grid.n[k]);
            c[k] -= shift[k] * grid.n[k];
            return true;
        };
        for (d[0] = -grid.reach[0]; d[0] <= grid.reach[0]; ++d[0]) {
            if (!locate(0)) continue;
            for (d[1] = -grid.reach[1]; d[1] <= grid.reach[1]; ++d[1]) {
                if (!locate(1)) continue;
                for (d[2] = -grid.reach[2]; d[2] <= grid.reach[2]; ++d[2]) {
                    if (!locate(2)) continue;
                    const int64_t cell = grid.first_cell + (c[0] * grid.n[1] + c[1]) * grid.n[2] + c[2];
                    const int64_t image = ((shift[0] + R[0]) * (2 * R[1] + 1) + shift[1] + R[1]) * (2 * R[2] + 1) + shift[2] + R[2];
                    const bool own_image = shift[0] == 0 && shift[1] == 0 && shift[2] == 0;
                    for (int64_t k = search.cell_first[cell]; k < search.cell_first[cell + 1]; ++k) {
                        const int64_t j = search.order[k];
                        if (j == i && own_image) continue;
                        const double *y = atoms.positions + 3 * j;
                        const int32_t *w_j = search.wrap + 3 * j;
                        double d2 = 0, S[3];
                        for (int a = 0; a < 3; ++a) S[a] = double(shift[a] - w_j[a] + w_i[a]);
                        for (int a = 0; a < 3; ++a) {
                            const double D = (y[a] - x[a]) + (S[0] * h[a] + S[1] * h[3 + a] + S[2] * h[6 + a]);
                            d2 += D * D;
                        }
                        if (!(d2 < cutoff2)) continue;
                        if (fill) key[n_found] = j * n_images + image;
                        ++n_found;
                    }
                }
            }
        }
        if (fill)
            sort_keys(key, n_found);
        else
            search.count[i] = n_found;
    }
}

/// Tell the row of every neighbour. Threads: edges.
ACEPAIR_KERNEL(THREADS, 1)
find_rows(ACEPAIR_BY_VALUE(Rows) rows, const void *, const void *, int64_t, int64_t) {
    ACEPAIR_PHASE(t) {
        const int64_t e = block_index() * THREADS + t;
        if (e >= rows.n_edges) continue;
        const int64_t key = rows.key[e], atom = key / rows.n_images;
        if (key - atom * rows.n_images == rows.n_images / 2) {  // the image in the middle is the atom itself
            rows.neighbor[e] = int32_t(atom);
            continue;
        }
        int64_t low = 0, high = rows.n_rows - rows.n_atoms;  // the first image whose key is not below this one
        while (low < high) {
            const int64_t middle = (low + high) / 2;
            if (rows.image_key[middle] < key)
                low = middle + 1;
            else
                high = middle;
        }
        rows.neighbor[e] = int32_t(rows.n_atoms + low);
    }
}

/// Owners of rows, and how many cell vectors apart. Threads: rows.
ACEPAIR_KERNEL(THREADS, 1)
describe_rows(ACEPAIR_BY_VALUE(Rows) rows, const void *, const void *, int64_t, int64_t) {
    ACEPAIR_PHASE(t) {
        const int64_t row = block_index() * THREADS + t;
        if (row >= rows.n_rows) continue;
        const bool is_atom = row < rows.n_atoms;
        const int64_t key = is_atom ? 0 : rows.image_key[row - rows.n_atoms], owner = is_atom ? row : key / rows.n_images;
        int64_t image = is_atom ? rows.n_images / 2 : key % rows.n_images;
        rows.owner[row] = int32_t(owner);
        for (int k = 2; k >= 0; --k) {
            const int64_t reach = rows.image_reach[k], width = 2 * reach + 1;
            rows.shift[3 * row + k] = int32_t(image % width - reach) - rows.wrap[3 * owner + k];
            image /= width;
        }
    }
}

}  // namespace acepair::gpu
