// The border between the kernels and what runs them: CUDA, or the host shim of the tests (tests/gpu/shim.hpp).
//
// A kernel is a sequence of phases. Threads of a block do not depend on each other within a phase, and meet between phases: on a
// device each thread runs every phase once and waits at ACEPAIR_SYNC; on the host a loop over the block's threads runs each phase.
// So what lives across phases is uniform over the block or stands in shared memory.
//
// Likewise for the 32 lanes of a warp, which may also vote: ACEPAIR_WARPS is a phase for warps, ACEPAIR_LANES one for lanes within it,
// and what lives across those of lanes is uniform over the warp or a PerLane.
#pragma once

#if defined(__CUDACC__) || defined(__CUDACC_RTC__)

#define ACEPAIR_DEVICE __device__ __forceinline__
#define ACEPAIR_CONSTANT __device__ constexpr
#define ACEPAIR_COEFFICIENTS __constant__  // operands of instructions; constants of 64 bits would have to be put into registers first
// threads of a block, and blocks that registers of a multiprocessor have room for, at least
#define ACEPAIR_KERNEL(threads, blocks) extern "C" __global__ void __launch_bounds__(threads, blocks)
#define ACEPAIR_PHASE(t) for (int t = threadIdx.x, once_##t = 1; once_##t; once_##t = 0)  // `continue` leaves the phase
#define ACEPAIR_SYNC __syncthreads()
#define ACEPAIR_WARPS(w) for (int w = threadIdx.x / 32, once_##w = 1; once_##w; once_##w = 0)
#define ACEPAIR_LANES(l) for (int l = threadIdx.x % 32, once_##l = 1; once_##l; once_##l = 0)
#define ACEPAIR_BY_VALUE(T) const __grid_constant__ T  // may be read where it is, without a copy in every thread
#define ACEPAIR_PRAGMA(text) _Pragma(#text)
#define ACEPAIR_UNROLL(times) ACEPAIR_PRAGMA(unroll times)

namespace acepair::gpu {

using int32_t = int;
using int64_t = long long;

ACEPAIR_DEVICE int64_t block_index() { return blockIdx.x; }
ACEPAIR_DEVICE int64_t n_blocks() { return gridDim.x; }
ACEPAIR_DEVICE char *shared_memory() {
    extern __shared__ __align__(16) double memory[];
    return reinterpret_cast<char *>(memory);
}
/// Read what no thread of this launch writes.
template <class T> ACEPAIR_DEVICE T read(const T *p) { return __ldg(p); }
/// Likewise, 8 or 16 bytes by one load; its size divides the address.
template <class T> ACEPAIR_DEVICE T read_vector(const T *p) {
    static_assert(sizeof(T) == 8 || sizeof(T) == 16, "what one load can bring");
    T value;
    if constexpr (sizeof(T) == 16) {
        const int4 bits = __ldg(reinterpret_cast<const int4 *>(p));
        memcpy(&value, &bits, 16);
    } else {
        const int2 bits = __ldg(reinterpret_cast<const int2 *>(p));
        memcpy(&value, &bits, 8);
    }
    return value;
}

/// The number that is there, which becomes one more, whoever else does the same.
ACEPAIR_DEVICE int64_t fetch_add_one(int64_t *number) {
    return int64_t(atomicAdd(reinterpret_cast<unsigned long long *>(number), 1ull));
}

/// A number of every lane.
template <class T> struct PerLane {
    T own;
    ACEPAIR_DEVICE T &operator[](int) { return own; }
};
/// Bit l is what lane l says.
template <class Predicate> ACEPAIR_DEVICE unsigned ballot(Predicate &&predicate) { return __ballot_sync(~0u, predicate(threadIdx.x % 32)); }
ACEPAIR_DEVICE int count_bits(unsigned bits) { return __popc(bits); }
/// Every lane gets the sum over the N lanes, one after the other, that it belongs to; the same bits each time.
template <int N> ACEPAIR_DEVICE void sum_of_lanes(PerLane<double> &number) {
    for (int step = N / 2; step; step /= 2) number.own += __shfl_xor_sync(~0u, number.own, step);
}

}  // namespace acepair::gpu

#else
#include "shim.hpp"
#endif

namespace acepair::gpu {

/// A number that is known when the code is compiled: std::integral_constant, which NVRTC has no header for.
template <int N> struct Int {
    static constexpr int value = N;
    ACEPAIR_DEVICE constexpr operator int() const { return N; }
};

/// body(Int<BEGIN>()), ..., body(Int<END − 1>()): unlike a loop, which a compiler may leave as it is, this cannot index arrays of
/// registers by what is known at run time only.
template <int BEGIN, int END, class Body> ACEPAIR_DEVICE void unrolled(Body &&body) {
    if constexpr (END - BEGIN == 1) {
        body(Int<BEGIN>());
    } else if constexpr (BEGIN < END) {  // halves: compilers limit how deep templates go
        constexpr int MIDDLE = BEGIN + (END - BEGIN) / 2;
        unrolled<BEGIN, MIDDLE>(body);
        unrolled<MIDDLE, END>(body);
    }
}

/// Two numbers that are read together, at an even place.
template <class T> struct alignas(2 * sizeof(T)) Two {
    T x, y;
};
template <class T> ACEPAIR_DEVICE Two<T> load_two(const T *p) { return *reinterpret_cast<const Two<T> *>(p); }

/// Four numbers that are read and written together, at an address that 16 divides.
template <class T> struct alignas(16) Four {
    T x, y, z, w;
};
template <class T> ACEPAIR_DEVICE Four<T> load_four(const T *p) { return *reinterpret_cast<const Four<T> *>(p); }
template <class T> ACEPAIR_DEVICE void store_four(T *p, const Four<T> &value) { *reinterpret_cast<Four<T> *>(p) = value; }

}  // namespace acepair::gpu
