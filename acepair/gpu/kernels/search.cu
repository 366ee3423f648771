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

/// Put positions, wrapped and relative to the first atom of a structure, into the order of the cells. Threads: atoms in that order.
ACEPAIR_KERNEL(THREADS, 1)
pack_atoms(ACEPAIR_BY_VALUE(Atoms) atoms, ACEPAIR_BY_VALUE(Search) search, const void *, int64_t, int64_t) {
    ACEPAIR_PHASE(t) {
        const int64_t k = block_index() * THREADS + t;
        if (k >= atoms.n_atoms) continue;
        const int64_t i = search.order[k];
        const int structure = atoms.structure[i];
        const double *const h = atoms.grid[structure].cell, *x = atoms.positions + 3 * i;
        const double *const origin = atoms.positions + 3 * atoms.structure_first[structure];
        const int32_t *const w = search.wrap + 3 * i;
        const auto along = [&](int c) { return (x[c] - origin[c]) - (w[0] * h[c] + w[1] * h[3 + c] + w[2] * h[6 + c]); };
        store_four(search.packed + 4 * k, {along(0), along(1), along(2), double(i)});
    }
}

/// Count neighbours (fill = 0), or write their keys (fill = 1). Threads: atoms in the order of cells, so that they look at the same ones.
ACEPAIR_KERNEL(THREADS, 4)
find_neighbors(ACEPAIR_BY_VALUE(Atoms) atoms, ACEPAIR_BY_VALUE(Search) search, const void *, int64_t, int64_t fill) {
    ACEPAIR_PHASE(t) {
        const int64_t place = block_index() * THREADS + t;
        if (place >= atoms.n_atoms) continue;
        const Four<double> centre = load_four(search.packed + 4 * place);
        const int64_t i = int64_t(centre.w);
        const Grid &grid = atoms.grid[atoms.structure[i]];
        const double cutoff2 = atoms.cutoff[0] * atoms.cutoff[0];
        // what is written below could be these: they are read once
        double h[9];
        int32_t n[3], reach[3], image_reach[3], own[3];
        for (int k = 0; k < 9; ++k) h[k] = grid.cell[k];
        for (int k = 0; k < 3; ++k) {
            n[k] = int32_t(grid.n[k]), reach[k] = int32_t(grid.reach[k]);
            image_reach[k] = int32_t(atoms.image_reach[k]);
        }
        const bool periodic[3] = {grid.periodic[0] != 0, grid.periodic[1] != 0, grid.periodic[2] != 0};
        const int64_t first_cell = grid.first_cell, width[2] = {2 * image_reach[1] + 1, 2 * image_reach[2] + 1};
        const int64_t n_images = (2 * image_reach[0] + 1) * width[0] * width[1];
        int64_t rest = search.cell[i] - first_cell;
        for (int k = 2; k >= 0; --k) own[k] = int32_t(rest % n[k]), rest /= n[k];

        int64_t n_found = 0, *const key = fill ? search.key + search.first[i] : nullptr;
        int32_t d[3] = {0, 0, 0}, c[3], shift[3];
        const auto locate = [&](int k) {  // cell and shift along an axis; false if there is nothing
            c[k] = own[k] + d[k], shift[k] = 0;
            if (c[k] >= 0 && c[k] < n[k]) return true;
            if (!periodic[k]) return false;
            shift[k] = c[k] >= 0 ? c[k] / n[k] : -((n[k] - 1 - c[k]) / n[k]);
            c[k] -= shift[k] * n[k];
            return true;
        };
        for (d[0] = -reach[0]; d[0] <= reach[0]; ++d[0]) {
            if (!locate(0)) continue;
            for (d[1] = -reach[1]; d[1] <= reach[1]; ++d[1]) {
                if (!locate(1)) continue;
                for (d[2] = -reach[2]; d[2] <= reach[2]; ++d[2]) {
                    if (!locate(2)) continue;
                    const int64_t cell = first_cell + (int64_t(c[0]) * n[1] + c[1]) * n[2] + c[2], end = search.cell_first[cell + 1];
                    const int64_t image = ((shift[0] + image_reach[0]) * width[0] + shift[1] + image_reach[1]) * width[1] +
                                          shift[2] + image_reach[2];
                    const bool own_image = shift[0] == 0 && shift[1] == 0 && shift[2] == 0;
                    const double s[3] = {double(shift[0]), double(shift[1]), double(shift[2])};
                    const double x = s[0] * h[0] + s[1] * h[3] + s[2] * h[6] - centre.x;
                    const double y = s[0] * h[1] + s[1] * h[4] + s[2] * h[7] - centre.y;
                    const double z = s[0] * h[2] + s[1] * h[5] + s[2] * h[8] - centre.z;
                    for (int64_t k = search.cell_first[cell]; k < end; ++k) {
                        const Four<double> other = load_four(search.packed + 4 * k);
                        const double dx = other.x + x, dy = other.y + y, dz = other.z + z;
                        if (!(dx * dx + dy * dy + dz * dz < cutoff2) || (k == place && own_image)) continue;
                        if (fill) key[n_found] = int64_t(other.w) * n_images + image;
                        ++n_found;
                    }
                }
            }
        }
        if (!fill) search.count[i] = n_found;
    }
}

/// Sort the keys of every atom. Warps: atoms.
ACEPAIR_KERNEL(THREADS, 1)
sort_neighbors(ACEPAIR_BY_VALUE(Atoms) atoms, ACEPAIR_BY_VALUE(Search) search, const void *, int64_t, int64_t) {
    ACEPAIR_WARPS(warp) {
        const int64_t i = block_index() * (THREADS / 32) + warp;
        if (i >= atoms.n_atoms) continue;
        const int64_t first = search.first[i];
        int64_t *const sorted = search.sorted_key + first;
        sort_by_warp(search.key + first, search.first[i + 1] - first, [&](int64_t rank, int64_t key) { sorted[rank] = key; });
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
