// The one place that knows the instruction set: vectors of W doubles and the few data movements the kernels need.
#pragma once

#include <cstdint>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#ifdef __has_builtin
#if !__has_builtin(__builtin_shufflevector)
#error "acepair needs GCC 12 or newer, or Clang"
#endif
#endif

#ifndef ACEPAIR_ISA
#error "compile with -DACEPAIR_ISA=<name>: every instruction set gets a namespace of its own"
#endif

// Nothing in here is visible to the linker, so that no symbol compiled for one instruction set can be chosen for another.
#define ACEPAIR_FN static inline __attribute__((always_inline))
// A stage of the calculation: a function of its own, whose inner loops have all the registers to themselves.
#define ACEPAIR_STAGE static __attribute__((noinline))

namespace acepair::ACEPAIR_ISA {

#if defined(__AVX512F__)
inline constexpr int W = 8;
#elif defined(__AVX2__)
inline constexpr int W = 4;
#else
inline constexpr int W = 2;
#endif

typedef double Vec __attribute__((vector_size(8 * W)));
typedef double UnalignedVec __attribute__((vector_size(8 * W), aligned(8)));
typedef int64_t Mask __attribute__((vector_size(8 * W)));  // lanes are 0 or −1
typedef double Row4 __attribute__((vector_size(32)));      // x, y, z and one more, of one atom
typedef double UnalignedRow4 __attribute__((vector_size(32), aligned(8)));

ACEPAIR_FN Vec load(const double *p) { return *reinterpret_cast<const UnalignedVec *>(p); }
ACEPAIR_FN void store(double *p, Vec v) { *reinterpret_cast<UnalignedVec *>(p) = v; }

ACEPAIR_FN Vec broadcast(double x) {
#if defined(__AVX512F__)
    return _mm512_set1_pd(x);
#elif defined(__AVX2__)
    return _mm256_set1_pd(x);
#else
    return Vec{x, x};
#endif
}

ACEPAIR_FN Vec sqrt(Vec v) {
#if defined(__AVX512F__)
    return _mm512_maskz_sqrt_pd(0xff, v);  // the plain one draws a false warning from GCC 12
#elif defined(__AVX2__)
    return _mm256_sqrt_pd(v);
#else
    return Vec{__builtin_sqrt(v[0]), __builtin_sqrt(v[1])};
#endif
}

ACEPAIR_FN Vec select(Mask m, Vec a, Vec b) { return m ? a : b; }

ACEPAIR_FN bool any(Mask m) {
#if defined(__AVX512F__)
    return _mm512_movepi64_mask(reinterpret_cast<__m512i>(m));
#elif defined(__AVX2__)
    return _mm256_movemask_pd(reinterpret_cast<__m256d>(m));
#else
    return m[0] | m[1];
#endif
}

/// Lanes 0..n−1 are true.
ACEPAIR_FN Mask first_lanes(int n) {
    Mask lane{};
    for (int k = 0; k < W; ++k) lane[k] = k;
    return lane < int64_t(n);
}

// Interleaving at the granularity of 1, 2 and 4 elements: the stages of every transposition below.
#if defined(__AVX512F__)
#define ACEPAIR_EVEN1(a, b) __builtin_shufflevector(a, b, 0, 8, 2, 10, 4, 12, 6, 14)
#define ACEPAIR_ODD1(a, b) __builtin_shufflevector(a, b, 1, 9, 3, 11, 5, 13, 7, 15)
#define ACEPAIR_EVEN2(a, b) __builtin_shufflevector(a, b, 0, 1, 8, 9, 4, 5, 12, 13)
#define ACEPAIR_ODD2(a, b) __builtin_shufflevector(a, b, 2, 3, 10, 11, 6, 7, 14, 15)
#define ACEPAIR_EVEN4(a, b) __builtin_shufflevector(a, b, 0, 1, 2, 3, 8, 9, 10, 11)
#define ACEPAIR_ODD4(a, b) __builtin_shufflevector(a, b, 4, 5, 6, 7, 12, 13, 14, 15)
#elif defined(__AVX2__)
#define ACEPAIR_EVEN1(a, b) __builtin_shufflevector(a, b, 0, 4, 2, 6)
#define ACEPAIR_ODD1(a, b) __builtin_shufflevector(a, b, 1, 5, 3, 7)
#define ACEPAIR_EVEN2(a, b) __builtin_shufflevector(a, b, 0, 1, 4, 5)
#define ACEPAIR_ODD2(a, b) __builtin_shufflevector(a, b, 2, 3, 6, 7)
#else
#define ACEPAIR_EVEN1(a, b) __builtin_shufflevector(a, b, 0, 2)
#define ACEPAIR_ODD1(a, b) __builtin_shufflevector(a, b, 1, 3)
#endif

/// out[c][r] = in[r][c] for a W × W tile; rows are `in_stride` and `out_stride` doubles apart.
ACEPAIR_FN void transpose(const double *in, int64_t in_stride, double *out, int64_t out_stride) {
#if defined(__AVX512F__)
    Vec t[8], u[8];
    for (int k = 0; k < 8; k += 2) {
        const Vec a = load(in + k * in_stride), b = load(in + (k + 1) * in_stride);
        t[k] = ACEPAIR_EVEN1(a, b);
        t[k + 1] = ACEPAIR_ODD1(a, b);
    }
    for (int k = 0; k < 8; k += 4)
        for (int o = 0; o < 2; ++o) {
            u[k + o] = ACEPAIR_EVEN2(t[k + o], t[k + 2 + o]);
            u[k + 2 + o] = ACEPAIR_ODD2(t[k + o], t[k + 2 + o]);
        }
    for (int k = 0; k < 4; ++k) {
        store(out + k * out_stride, ACEPAIR_EVEN4(u[k], u[4 + k]));
        store(out + (4 + k) * out_stride, ACEPAIR_ODD4(u[k], u[4 + k]));
    }
#elif defined(__AVX2__)
    Vec t[4];
    for (int k = 0; k < 4; k += 2) {
        const Vec a = load(in + k * in_stride), b = load(in + (k + 1) * in_stride);
        t[k] = ACEPAIR_EVEN1(a, b);
        t[k + 1] = ACEPAIR_ODD1(a, b);
    }
    for (int k = 0; k < 2; ++k) {
        store(out + k * out_stride, ACEPAIR_EVEN2(t[k], t[2 + k]));
        store(out + (2 + k) * out_stride, ACEPAIR_ODD2(t[k], t[2 + k]));
    }
#else
    const Vec a = load(in), b = load(in + in_stride);
    store(out, ACEPAIR_EVEN1(a, b));
    store(out + out_stride, ACEPAIR_ODD1(a, b));
#endif
}

/// The sums over lanes of W vectors, as one vector.
ACEPAIR_FN Vec sums_over_lanes(const Vec *v) {
#if defined(__AVX512F__)
    Vec s[4], t[2];
    for (int k = 0; k < 4; ++k) s[k] = ACEPAIR_EVEN1(v[2 * k], v[2 * k + 1]) + ACEPAIR_ODD1(v[2 * k], v[2 * k + 1]);
    for (int k = 0; k < 2; ++k) t[k] = ACEPAIR_EVEN2(s[2 * k], s[2 * k + 1]) + ACEPAIR_ODD2(s[2 * k], s[2 * k + 1]);
    return ACEPAIR_EVEN4(t[0], t[1]) + ACEPAIR_ODD4(t[0], t[1]);
#elif defined(__AVX2__)
    Vec s[2];
    for (int k = 0; k < 2; ++k) s[k] = ACEPAIR_EVEN1(v[2 * k], v[2 * k + 1]) + ACEPAIR_ODD1(v[2 * k], v[2 * k + 1]);
    return ACEPAIR_EVEN2(s[0], s[1]) + ACEPAIR_ODD2(s[0], s[1]);
#else
    return ACEPAIR_EVEN1(v[0], v[1]) + ACEPAIR_ODD1(v[0], v[1]);
#endif
}

ACEPAIR_FN double sum(Vec v) {
    for (int stride = W / 2; stride; stride /= 2)
        for (int k = 0; k < stride; ++k) v[k] += v[k + stride];
    return v[0];
}

/// Rows j[0..W−1] of an (n, 4) array as four vectors.
ACEPAIR_FN void gather_rows(const double *rows, const int32_t *j, Vec &x, Vec &y, Vec &z, Vec &s) {
    Row4 r[W];
    for (int k = 0; k < W; ++k) r[k] = *reinterpret_cast<const UnalignedRow4 *>(rows + 4 * int64_t(j[k]));
#if defined(__AVX512F__)
    Vec m[4];
    for (int k = 0; k < 4; ++k) m[k] = __builtin_shufflevector(r[k], r[k + 4], 0, 1, 2, 3, 4, 5, 6, 7);
    const Vec t0 = ACEPAIR_EVEN1(m[0], m[1]), t1 = ACEPAIR_ODD1(m[0], m[1]);
    const Vec t2 = ACEPAIR_EVEN1(m[2], m[3]), t3 = ACEPAIR_ODD1(m[2], m[3]);
    x = ACEPAIR_EVEN2(t0, t2), z = ACEPAIR_ODD2(t0, t2), y = ACEPAIR_EVEN2(t1, t3), s = ACEPAIR_ODD2(t1, t3);
#elif defined(__AVX2__)
    const Vec t0 = ACEPAIR_EVEN1(r[0], r[1]), t1 = ACEPAIR_ODD1(r[0], r[1]);
    const Vec t2 = ACEPAIR_EVEN1(r[2], r[3]), t3 = ACEPAIR_ODD1(r[2], r[3]);
    x = ACEPAIR_EVEN2(t0, t2), z = ACEPAIR_ODD2(t0, t2), y = ACEPAIR_EVEN2(t1, t3), s = ACEPAIR_ODD2(t1, t3);
#else
    x = Vec{r[0][0], r[1][0]}, y = Vec{r[0][1], r[1][1]}, z = Vec{r[0][2], r[1][2]}, s = Vec{r[0][3], r[1][3]};
#endif
}

/// rows[j[k]] −= (x, y, z, 0)[k] for the first n lanes, in lane order: an atom may occur twice.
ACEPAIR_FN void subtract_rows(double *rows, const int32_t *j, int n, Vec x, Vec y, Vec z) {
    Row4 r[W];
#if defined(__AVX512F__)
    const Vec zero = Vec{};
    const Vec t0 = ACEPAIR_EVEN1(x, y), t1 = ACEPAIR_ODD1(x, y), t2 = ACEPAIR_EVEN1(z, zero), t3 = ACEPAIR_ODD1(z, zero);
    const Vec u[4] = {ACEPAIR_EVEN2(t0, t2), ACEPAIR_EVEN2(t1, t3), ACEPAIR_ODD2(t0, t2), ACEPAIR_ODD2(t1, t3)};
    for (int k = 0; k < 4; ++k) {
        r[k] = __builtin_shufflevector(u[k], u[k], 0, 1, 2, 3);
        r[k + 4] = __builtin_shufflevector(u[k], u[k], 4, 5, 6, 7);
    }
#else
    for (int k = 0; k < W; ++k) r[k] = Row4{x[k], y[k], z[k], 0.0};
#endif
    for (int k = 0; k < n; ++k) *reinterpret_cast<UnalignedRow4 *>(rows + 4 * int64_t(j[k])) -= r[k];
}

/// Write the lanes of v where m is true to out[0..], packed; up to W elements of `out` are overwritten.
ACEPAIR_FN void store_selected(double *out, Mask m, Vec v) {
#if defined(__AVX512F__)
    store(out, _mm512_maskz_compress_pd(_mm512_movepi64_mask(reinterpret_cast<__m512i>(m)), v));
#else
    for (int k = 0, n = 0; k < W; ++k) {
        out[n] = v[k];
        n += m[k] != 0;
    }
#endif
}

/// As above for W indices; returns how many were selected.
ACEPAIR_FN int store_selected(int32_t *out, Mask m, const int32_t *v) {
#if defined(__AVX512F__)
    const __mmask8 k = _mm512_movepi64_mask(reinterpret_cast<__m512i>(m));
    const __m256i packed = _mm256_maskz_compress_epi32(k, _mm256_loadu_si256(reinterpret_cast<const __m256i *>(v)));
    _mm256_storeu_si256(reinterpret_cast<__m256i *>(out), packed);
    return __builtin_popcount(k);
#else
    int n = 0;
    for (int k = 0; k < W; ++k) {
        out[n] = v[k];
        n += m[k] != 0;
    }
    return n;
#endif
}

}  // namespace acepair::ACEPAIR_ISA
