// CUDA's side of acepair/gpu/kernels/device.hpp on the host: blocks one after the other, each phase for all threads of a block.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <vector>

#define ACEPAIR_DEVICE inline
#define ACEPAIR_CONSTANT constexpr
#define ACEPAIR_KERNEL(threads) extern "C" void
#define ACEPAIR_PHASE(t) for (int t = 0; t < shim::block_size; ++t)
#define ACEPAIR_SYNC
#define ACEPAIR_NO_UNROLL

namespace acepair::gpu {

using std::int32_t, std::int64_t, std::sqrt, std::floor;

namespace shim {
inline int64_t block_index;
inline int block_size;
inline std::vector<double> shared;
}  // namespace shim

inline int64_t block_index() { return shim::block_index; }
inline int block_size() { return shim::block_size; }
inline char *shared_memory() { return reinterpret_cast<char *>(shim::shared.data()); }
template <class T> T read(const T *p) { return *p; }

}  // namespace acepair::gpu

using ShimKernel = void (*)(const void *, const void *, const void *, int64_t, int64_t);

/// Run a kernel; shared memory holds NaN when a block begins, and a guard behind it must be whole when it ends.
extern "C" int shim_launch(ShimKernel kernel, int64_t n_blocks, int n_threads, int64_t shared_bytes, const void *a, const void *b,
                                  const void *c, int64_t first, int64_t count) {
    using namespace acepair::gpu;
    constexpr double guard = 1234567890123;
    const size_t n = (shared_bytes + 7) / 8;
    shim::block_size = n_threads;
    for (shim::block_index = 0; shim::block_index < n_blocks; ++shim::block_index) {
        shim::shared.assign(n, std::numeric_limits<double>::quiet_NaN());
        shim::shared.resize(n + 64, guard);
        kernel(a, b, c, first, count);
        for (size_t k = n; k < n + 64; ++k)
            if (shim::shared[k] != guard) return 1;
    }
    return 0;
}
