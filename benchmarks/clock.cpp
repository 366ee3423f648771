// Rates of the time-stamp counter and of the core's clock, the latter by a chain of multiplications of three cycles each.
#include "clock.hpp"

#include <chrono>

/// ticks of the counter per second, and per cycle of the core.
extern "C" __attribute__((visibility("default"))) void clock_rates(double *ticks_per_second, double *ticks_per_cycle) {
    using clock = std::chrono::steady_clock;
    const auto start = clock::now();
    const uint64_t first = time_stamp();
    *ticks_per_cycle = 1e300;
    while (clock::now() - start < std::chrono::milliseconds(200)) {
        uint64_t x = 0;
        const uint64_t before = time_stamp();
        for (int k = 0; k < 10000; ++k)
            __asm__ volatile(
                "imul $3, %0, %0\n imul $3, %0, %0\n imul $3, %0, %0\n imul $3, %0, %0\n imul $3, %0, %0\n"
                "imul $3, %0, %0\n imul $3, %0, %0\n imul $3, %0, %0\n imul $3, %0, %0\n imul $3, %0, %0\n"
                : "+r"(x));
        const double ticks = double(time_stamp() - before) / (10000 * 10 * 3.0);
        if (ticks < *ticks_per_cycle) *ticks_per_cycle = ticks;
    }
    const uint64_t last = time_stamp();
    *ticks_per_second = double(last - first) / std::chrono::duration<double>(clock::now() - start).count();
}
