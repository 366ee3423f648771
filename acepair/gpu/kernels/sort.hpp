// Sorting of some tens of numbers, each different from the others.
#pragma once

#include "device.hpp"

namespace acepair::gpu {

/// Write n numbers to another array, in ascending order: every lane counts how many are less than its own.
ACEPAIR_DEVICE void sort_by_warp(const int64_t *numbers, int64_t n, int64_t *sorted) {
    ACEPAIR_LANES(lane) {
        for (int64_t k = lane; k < n; k += 32) {
            const int64_t own = read(numbers + k);
            int64_t rank = 0;
            for (int64_t other = 0; other < n; ++other) rank += read(numbers + other) < own;
            sorted[rank] = own;
        }
    }
}

}  // namespace acepair::gpu
