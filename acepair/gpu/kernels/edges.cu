// Positions of atoms and images, and which neighbours are within the cutoff now.
#include "arguments.hpp"

namespace acepair::gpu {

constexpr double MIN_DISTANCE = 1e-6;  // Å, as in core/system.hpp

/// Fill work.xyzs: positions relative to the first atom of a structure, and species; results become zero. Tells in work.status whether
/// an atom has moved further than the list allows, or a position is not finite. Threads: rows.
ACEPAIR_KERNEL(THREADS, 1)
pack_rows(ACEPAIR_BY_VALUE(Motion) motion, ACEPAIR_BY_VALUE(List) list, ACEPAIR_BY_VALUE(Work) work, int64_t, int64_t) {
    ACEPAIR_PHASE(t) {
        const int64_t row = block_index() * THREADS + t;
        if (row >= list.n_rows) continue;
        const int64_t atom = list.row_owner[row];
        const int structure = list.row_structure[row];
        const Frame &frame = motion.frame[structure];
        const double *x = motion.positions + 3 * atom, *h = frame.cell;
        const double *origin = motion.positions + 3 * list.structure_first[structure];
        const int32_t *shift = list.row_shift + 3 * row;
        const auto along = [&](int c) {
            return (x[c] - origin[c]) + (shift[0] * h[c] + shift[1] * h[3 + c] + shift[2] * h[6 + c]);
        };
        store_four(work.xyzs + 4 * row, {along(0), along(1), along(2), double(list.row_species[row])});
        if (row >= list.n_owners) continue;

        work.site_energy[atom] = 0;
        for (int c = 0; c < 3; ++c) work.forces[3 * atom + c] = 0;
        for (int c = 0; c < 9; ++c) work.site_virial[9 * atom + c] = 0;
        double moved = 0, zero_or_nan = 0;
        for (int c = 0; c < 3; ++c) zero_or_nan += 0 * x[c];  // zero if all are finite
        if (motion.reference) {
            const double *x0 = motion.reference + 3 * atom, *e = frame.strain;
            for (int c = 0; c < 3; ++c) {
                const double u = (x[c] - x0[c]) - (x0[0] * e[c] + x0[1] * e[3 + c] + x0[2] * e[6 + c]);
                moved += u * u;
            }
            if (!(moved <= frame.motion2)) work.status[1] = 1;
        }
        if (zero_or_nan != 0) work.status[2] = 1;
    }
}

/// Collect the edges within the cutoffs, in the order of the list: by species of the neighbour. The gradients of all others become
/// zero. Warps: columns; lanes: their edges.
ACEPAIR_KERNEL(THREADS, 1)
find_edges(ACEPAIR_BY_VALUE(Model) model, ACEPAIR_BY_VALUE(List) list, ACEPAIR_BY_VALUE(Work) work, int64_t, int64_t) {
    ACEPAIR_WARPS(warp) {
        const int64_t column = block_index() * (THREADS / 32) + warp;
        if (column >= list.n_columns) continue;
        const int32_t atom = list.column_atom[column];
        const Four<double> centre = load_four(work.xyzs + 4 * int64_t(atom < 0 ? 0 : atom));
        const double *const rcut = model.rcut + list.column_species[column] * N_SPECIES;
        const int64_t first = list.first[column];
        const int32_t n = int32_t(list.first[column + 1] - first);  // none if there is no atom
        int32_t end[N_SPECIES] = {}, *const slot = work.slot + first;
        for (int32_t begin = 0; begin < n; begin += 32) {
            PerLane<int> species;  // N_SPECIES beyond the cutoff
            ACEPAIR_LANES(lane) {
                species[lane] = N_SPECIES;
                if (begin + lane >= n) continue;
                const int64_t e = first + begin + lane;
                const Four<double> other = load_four(work.xyzs + 4 * int64_t(read(list.neighbor + e)));
                const double x = other.x - centre.x, y = other.y - centre.y, z = other.z - centre.z;
                const double d2 = x * x + y * y + z * z;
                const int z_j = int(other.w);
                if (z_j < 0 || !(d2 < rcut[z_j] * rcut[z_j])) {
                    store_four(work.gradient + 4 * e, {real(0), real(0), real(0), real(0)});
                    continue;
                }
                species[lane] = z_j;
                if (d2 < MIN_DISTANCE * MIN_DISTANCE) work.status[0] = 1 + e;
            }
            const unsigned inside = ballot([&](int lane) { return species[lane] < N_SPECIES; });
            ACEPAIR_LANES(lane) {
                const unsigned before = inside & ((1u << lane) - 1);
                if (inside >> lane & 1) slot[end[N_SPECIES - 1] + count_bits(before)] = begin + lane;
            }
            for (int z = 0; z < N_SPECIES; ++z) end[z] += count_bits(ballot([&](int lane) { return species[lane] <= z; }));
        }
        ACEPAIR_LANES(lane) {
            if (lane) continue;
            for (int z = 0; z < N_SPECIES; ++z) work.slot_end[column * N_SPECIES + z] = end[z];
        }
    }
}

}  // namespace acepair::gpu
