// Sorting of a few numbers by one thread.
#pragma once

#include "device.hpp"

namespace acepair::gpu {

/// Sort `n` keys; Shell's method needs no memory and gets along with long rows.
ACEPAIR_DEVICE void sort_keys(int64_t *key, int64_t n) {
    int64_t gap = 1;
    while (gap < n / 3) gap = 3 * gap + 1;
    for (; gap > 0; gap /= 3)
        for (int64_t a = gap; a < n; ++a) {
            const int64_t moving = key[a];
            int64_t b = a;
            for (; b >= gap && key[b - gap] > moving; b -= gap) key[b] = key[b - gap];
            key[b] = moving;
        }
}

}  // namespace acepair::gpu
