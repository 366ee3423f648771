// Sorting of some tens of numbers, each different from the others.
#pragma once

#include "device.hpp"

namespace acepair::gpu {

/// keep(rank, number) for n numbers: every lane counts how many are less than its own.
template <class Keep> ACEPAIR_DEVICE void sort_by_warp(const int64_t *numbers, int64_t n, Keep &&keep) {
    ACEPAIR_LANES(lane) {
        for (int64_t k = lane; k < n; k += 32) {
            const int64_t own = read(numbers + k);
            int64_t rank = 0;
            for (int64_t other = 0; other < n; ++other) rank += read(numbers + other) < own;
            keep(rank, own);
        }
    }
}

}  // namespace acepair::gpu
