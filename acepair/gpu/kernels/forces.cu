// What edges give to the atoms that are neighbours in them, gathered; and sums over structures. All in an order set by the list.
#include "arguments.hpp"

namespace acepair::gpu {

/// forces[j] −= Σ g over the edges whose neighbour belongs to j; site_virial[j] −= Σ D ⊗ g if wanted. Waits for memory: many blocks,
/// few registers. Warps: 32 / GATHER_LANES owners.
ACEPAIR_KERNEL(THREADS, 8)
gather_forces(ACEPAIR_BY_VALUE(Model), ACEPAIR_BY_VALUE(List) list, ACEPAIR_BY_VALUE(Work) work, int64_t, int64_t want_virial) {
    ACEPAIR_WARPS(warp) {
        const int64_t first_owner = (block_index() * (THREADS / 32) + warp) * (32 / GATHER_LANES);
        PerLane<double> f[3], v[9];
        ACEPAIR_LANES(lane) {
            for (int c = 0; c < 3; ++c) f[c][lane] = 0;
            for (int c = 0; c < 9; ++c) v[c][lane] = 0;
            const int64_t j = first_owner + lane / GATHER_LANES;
            if (j >= list.n_owners) continue;
            const int64_t end = list.incoming_first[j + 1];
            for (int64_t k = list.incoming_first[j] + lane % GATHER_LANES; k < end; k += GATHER_LANES) {
                const int64_t e = read(list.incoming + k);
                const Four<real> gradient = load_four(work.gradient + 4 * e);
                const double g[3] = {double(gradient.x), double(gradient.y), double(gradient.z)};
                for (int c = 0; c < 3; ++c) f[c][lane] += g[c];
                if (!want_virial) continue;
                const Four<double> from = load_four(work.xyzs + 4 * int64_t(read(list.incoming_centre + k)));
                const Four<double> to = load_four(work.xyzs + 4 * int64_t(read(list.incoming_neighbor + k)));
                const double D[3] = {to.x - from.x, to.y - from.y, to.z - from.z};
                for (int r = 0; r < 3; ++r)
                    for (int c = 0; c < 3; ++c) v[3 * r + c][lane] += D[r] * g[c];
            }
        }
        for (int c = 0; c < 3; ++c) sum_of_lanes<GATHER_LANES>(f[c]);
        if (want_virial)
            for (int c = 0; c < 9; ++c) sum_of_lanes<GATHER_LANES>(v[c]);
        ACEPAIR_LANES(lane) {
            const int64_t j = first_owner + lane / GATHER_LANES;
            if (lane % GATHER_LANES || j >= list.n_owners) continue;
            for (int c = 0; c < 3; ++c) work.forces[3 * j + c] -= f[c][lane];
            if (want_virial)
                for (int c = 0; c < 9; ++c) work.site_virial[9 * j + c] -= v[c][lane];
        }
    }
}

/// partial[segment] = energy and virial of the atoms of a segment. Blocks: segments.
ACEPAIR_KERNEL(THREADS, 1)
sum_segments(ACEPAIR_BY_VALUE(Model), ACEPAIR_BY_VALUE(List) list, ACEPAIR_BY_VALUE(Work) work, int64_t, int64_t want_virial) {
    double *const sums = reinterpret_cast<double *>(shared_memory());  // (10, THREADS)
    const int64_t segment = block_index(), begin = list.segment_first[segment], end = list.segment_first[segment + 1];
    const int n = want_virial ? 10 : 1;
    ACEPAIR_PHASE(t) {
        double own[10] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
        for (int64_t i = begin + t; i < end; i += THREADS) {
            own[0] += work.site_energy[i];
            if (want_virial)
                for (int c = 0; c < 9; ++c) own[1 + c] += work.site_virial[9 * i + c];
        }
        for (int c = 0; c < 10; ++c) sums[c * THREADS + t] = own[c];
    }
    ACEPAIR_SYNC;
    for (int half = THREADS / 2; half; half /= 2) {
        ACEPAIR_PHASE(t) {
            if (t >= half) continue;
            for (int c = 0; c < n; ++c) sums[c * THREADS + t] += sums[c * THREADS + t + half];
        }
        ACEPAIR_SYNC;
    }
    ACEPAIR_PHASE(t) {
        if (t < 10) work.partial[10 * segment + t] = sums[t * THREADS];
    }
}

/// totals[structure] = sum over its segments. Threads: structures × 10.
ACEPAIR_KERNEL(THREADS, 1)
sum_structures(ACEPAIR_BY_VALUE(Model), ACEPAIR_BY_VALUE(List) list, ACEPAIR_BY_VALUE(Work) work, int64_t, int64_t) {
    ACEPAIR_PHASE(t) {
        const int64_t item = block_index() * THREADS + t, structure = item / 10, c = item % 10;
        if (structure >= list.n_structures) continue;
        double sum = 0;
        for (int64_t s = list.structure_segment[structure]; s < list.structure_segment[structure + 1]; ++s)
            sum += work.partial[10 * s + c];
        work.totals[item] = sum;
    }
}

}  // namespace acepair::gpu
