// The time-stamp counter of x86, which runs at a constant rate whatever the core's clock does.
#pragma once

#include <cstdint>

inline uint64_t time_stamp() {
    unsigned low, high, processor;
    __asm__ volatile("rdtscp" : "=a"(low), "=d"(high), "=c"(processor)::"memory");
    return uint64_t(high) << 32 | low;
}
