// CUDA's side of acepair/gpu/kernels/device.hpp on the host: blocks one after the other, each phase for all threads of a block.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#define ACEPAIR_DEVICE inline
#define ACEPAIR_CONSTANT constexpr
#define ACEPAIR_COEFFICIENTS constexpr
#define ACEPAIR_KERNEL(threads, blocks) extern "C" void
#define ACEPAIR_PHASE(t) for (int t##_ = 0, t = shim::thread(0); t##_ < shim::block_size; t = shim::thread(++t##_))
#define ACEPAIR_SYNC
#define ACEPAIR_WARPS(w) for (int w##_ = 0, w = shim::warp(0); w##_ < shim::block_size / 32; w = shim::warp(++w##_))
#define ACEPAIR_LANES(l) for (int l##_ = 0, l = shim::lane(0); l##_ < 32; l = shim::lane(++l##_))
#define ACEPAIR_BY_VALUE(T) const T &
#define ACEPAIR_UNROLL(times)

namespace acepair::gpu {

using std::int32_t, std::int64_t, std::sqrt, std::floor;

namespace shim {
inline int64_t block_index, n_blocks;
inline int block_size;
inline bool backwards;  // threads and blocks from the last to the first: none may depend on another
inline int thread(int k) { return backwards ? block_size - 1 - k : k; }
inline int warp(int k) { return backwards ? block_size / 32 - 1 - k : k; }
inline int lane(int k) { return backwards ? 31 - k : k; }
inline std::vector<double> shared;
}  // namespace shim

inline int64_t block_index() { return shim::block_index; }
inline int64_t n_blocks() { return shim::n_blocks; }
inline char *shared_memory() { return reinterpret_cast<char *>(shim::shared.data()); }
template <class T> T read(const T *p) { return *p; }
template <class T> T read_vector(const T *p) { return *p; }

inline int64_t fetch_add_one(int64_t *number) { return (*number)++; }

template <class T> struct PerLane {
    T of_lane[32];
    T &operator[](int lane) { return of_lane[lane]; }
};
template <class Predicate> unsigned ballot(Predicate &&predicate) {
    unsigned bits = 0;
    for (int lane = 0; lane < 32; ++lane) bits |= unsigned(bool(predicate(lane))) << lane;
    return bits;
}
inline int count_bits(unsigned bits) { return __builtin_popcount(bits); }
template <int N> void sum_of_lanes(PerLane<double> &number) {
    for (int step = N / 2; step; step /= 2) {
        const PerLane<double> before = number;
        for (int lane = 0; lane < 32; ++lane) number.of_lane[lane] += before.of_lane[lane ^ step];
    }
}

}  // namespace acepair::gpu

using ShimKernel = void (*)(const void *, const void *, const void *, int64_t, int64_t);

/// Run a kernel; shared memory holds NaN when a block begins, and a guard behind it must be whole when it ends.
extern "C" int shim_launch(ShimKernel kernel, int64_t n_blocks, int n_threads, int64_t shared_bytes, const void *a, const void *b,
                           const void *c, int64_t first, int64_t count, int backwards) {
    using namespace acepair::gpu;
    constexpr double guard = 1234567890123;
    const size_t n = (shared_bytes + 7) / 8;
    shim::block_size = n_threads;
    shim::n_blocks = n_blocks;
    shim::backwards = backwards;
    for (int64_t k = 0; k < n_blocks; ++k) {
        shim::block_index = backwards ? n_blocks - 1 - k : k;
        shim::shared.assign(n, std::numeric_limits<double>::quiet_NaN());
        shim::shared.resize(n + 64, guard);
        kernel(a, b, c, first, count);
        for (size_t end = n; end < n + 64; ++end)
            if (shim::shared[end] != guard) return 1;
    }
    return 0;
}
