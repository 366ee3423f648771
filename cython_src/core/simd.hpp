// The one place that knows the instruction set: vectors of W numbers and the few data movements the kernels need.
#pragma once

#include <cstdint>
#include <utility>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#ifdef __has_builtin
#if !__has_builtin(__builtin_shufflevector)
#error "acepair needs GCC 12 or newer, or Clang"
#endif
#endif

#ifndef ACEPAIR_ISA
#error "compile with -DACEPAIR_ISA=<name>: every instruction set and precision gets a namespace of its own"
#endif
#ifndef ACEPAIR_REAL
#define ACEPAIR_REAL double
#endif

// Nothing in here is visible to the linker, so that no symbol compiled for one instruction set can be chosen for another.
#define ACEPAIR_FN static inline __attribute__((always_inline))
// A stage of the calculation: a function of its own, whose inner loops have all the registers to themselves.
#define ACEPAIR_STAGE static __attribute__((noinline))

namespace acepair::ACEPAIR_ISA {

typedef ACEPAIR_REAL Real;
inline constexpr bool is_double = sizeof(Real) == 8;

#if defined(__AVX512F__)
inline constexpr int register_bytes = 64;
#elif defined(__AVX2__)
inline constexpr int register_bytes = 32;
#else
inline constexpr int register_bytes = 16;
#endif
#if defined(__AVX512F__) || defined(__aarch64__)
inline constexpr int n_registers = 32;
#else
inline constexpr int n_registers = 16;
#endif
inline constexpr bool many_registers = n_registers > 16;
inline constexpr int W = register_bytes / sizeof(Real), W64 = register_bytes / 8, halves = W / W64;

template <int bytes> struct Integer;
template <> struct Integer<4> { typedef int32_t type; };
template <> struct Integer<8> { typedef int64_t type; };
typedef Integer<sizeof(Real)>::type Int;

typedef Real Vec __attribute__((vector_size(register_bytes)));
typedef Real UnalignedVec __attribute__((vector_size(register_bytes), aligned(sizeof(Real))));
typedef Int Mask __attribute__((vector_size(register_bytes)));  // lanes are 0 or −1
typedef int32_t Indices __attribute__((vector_size(4 * W)));
typedef int32_t UnalignedIndices __attribute__((vector_size(4 * W), aligned(4)));
typedef int32_t UnalignedHalfIndices __attribute__((vector_size(4 * W64), aligned(4)));
typedef double Vec64 __attribute__((vector_size(register_bytes)));  // positions and forces are always doubles
typedef double UnalignedVec64 __attribute__((vector_size(register_bytes), aligned(8)));
typedef double Row4 __attribute__((vector_size(32)));      // x, y, z and one more, of one atom
typedef double UnalignedRow4 __attribute__((vector_size(32), aligned(8)));

ACEPAIR_FN Vec load(const Real *p) { return *reinterpret_cast<const UnalignedVec *>(p); }
ACEPAIR_FN void store(Real *p, Vec v) { *reinterpret_cast<UnalignedVec *>(p) = v; }

ACEPAIR_FN Vec broadcast(Real x) {
#if defined(__AVX512F__)
    if constexpr (is_double) return Vec(_mm512_set1_pd(x));
    else return Vec(_mm512_set1_ps(x));
#elif defined(__AVX2__)
    if constexpr (is_double) return Vec(_mm256_set1_pd(x));
    else return Vec(_mm256_set1_ps(x));
#else
    Vec v{};
    for (int k = 0; k < W; ++k) v[k] = x;
    return v;
#endif
}

/// Lane e is p[e % halves]: one number of every centre of a team.
ACEPAIR_FN Vec broadcast_team(const Real *p) {
    if constexpr (is_double) return broadcast(*p);
    else {
        double both_floats;
        __builtin_memcpy(&both_floats, p, sizeof both_floats);
#if defined(__AVX512F__)
        return Vec(_mm512_set1_pd(both_floats));
#elif defined(__AVX2__)
        return Vec(_mm256_set1_pd(both_floats));
#else
        Vec64 v{};
        for (int k = 0; k < W64; ++k) v[k] = both_floats;
        return Vec(v);
#endif
    }
}

ACEPAIR_FN Vec sqrt(Vec v) {
#if defined(__AVX512F__)  // the plain ones draw a false warning from GCC 12
    if constexpr (is_double) return Vec(_mm512_maskz_sqrt_pd(0xff, __m512d(v)));
    else return Vec(_mm512_maskz_sqrt_ps(0xffff, __m512(v)));
#elif defined(__AVX2__)
    if constexpr (is_double) return Vec(_mm256_sqrt_pd(__m256d(v)));
    else return Vec(_mm256_sqrt_ps(__m256(v)));
#else
    for (int k = 0; k < W; ++k) v[k] = is_double ? __builtin_sqrt(v[k]) : __builtin_sqrtf(v[k]);
    return v;
#endif
}

ACEPAIR_FN Vec select(Mask m, Vec a, Vec b) { return m ? a : b; }

/// One bit per lane.
ACEPAIR_FN unsigned bits(Mask m) {
#if defined(__AVX512F__)
    return is_double ? _mm512_movepi64_mask(__m512i(m)) : _mm512_movepi32_mask(__m512i(m));
#elif defined(__AVX2__)
    return is_double ? _mm256_movemask_pd(__m256d(m)) : _mm256_movemask_ps(__m256(m));
#else
    unsigned all = 0;
    for (int k = 0; k < W; ++k) all |= unsigned(m[k] & 1) << k;
    return all;
#endif
}

/// Lanes 0..n−1 are true.
ACEPAIR_FN Mask first_lanes(int n) {
    Mask lane{};
    for (int k = 0; k < W; ++k) lane[k] = k;
    return lane < Int(n);
}

/// Two vectors that go through the same operations side by side, so that one computes while the other waits for its last result.
struct TwoVecs {
    Vec a, b;
};
struct TwoMasks {
    Mask a, b;
};

#define ACEPAIR_ON_TWO(op)                                                                    \
    ACEPAIR_FN TwoVecs operator op(TwoVecs x, TwoVecs y) { return {x.a op y.a, x.b op y.b}; } \
    ACEPAIR_FN TwoVecs operator op(TwoVecs x, Real y) { return {x.a op y, x.b op y}; }        \
    ACEPAIR_FN TwoVecs operator op(Real x, TwoVecs y) { return {x op y.a, x op y.b}; }
ACEPAIR_ON_TWO(+)
ACEPAIR_ON_TWO(-)
ACEPAIR_ON_TWO(*)
ACEPAIR_ON_TWO(/)
#undef ACEPAIR_ON_TWO
ACEPAIR_FN TwoVecs operator-(TwoVecs x) { return {-x.a, -x.b}; }
ACEPAIR_FN TwoMasks operator<(TwoVecs x, Real y) { return {x.a < y, x.b < y}; }
ACEPAIR_FN TwoMasks operator>(TwoVecs x, Real y) { return {x.a > y, x.b > y}; }
ACEPAIR_FN TwoMasks operator&(TwoMasks x, TwoMasks y) { return {x.a & y.a, x.b & y.b}; }
ACEPAIR_FN TwoVecs select(TwoMasks m, TwoVecs x, TwoVecs y) { return {select(m.a, x.a, y.a), select(m.b, x.b, y.b)}; }

template <int N> struct VecsOf;
template <> struct VecsOf<1> { typedef Vec type; };
template <> struct VecsOf<2> { typedef TwoVecs type; };
template <int N> using Vecs = typename VecsOf<N>::type;
template <class V> inline constexpr int n_vecs = sizeof(V) / sizeof(Vec);  ///< edge blocks that go together in a V

template <int K> struct Count {
    static constexpr int value = K;
};

/// use(k, Count<K>()) for k = begin, begin + K, ..., then for what is left in smaller pieces.
template <int K, class Use>
ACEPAIR_FN void in_chunks(int begin, int end, Use use) {
    for (; begin + K <= end; begin += K) use(begin, Count<K>());
    if constexpr (K > 1) in_chunks<K - 1>(begin, end, use);
}

/// use(Count<n>()) for a number 1 ≤ n ≤ N known at run time only.
template <int N, class Use>
ACEPAIR_FN void with_count(int n, Use use) {
    if (n == N) use(Count<N>());
    else if constexpr (N > 1) with_count<N - 1>(n, use);
}

/// The same pointer, of which the compiler knows nothing: in a loop, p = forget(p) keeps what p points to from being loaded before
/// the loop, which costs a copy on the stack where registers are short.
template <class T>
ACEPAIR_FN const T *forget(const T *p) {
    __asm__("" : "+r"(p));
    return p;
}

/// A number in every lane of a vector, or of two.
template <class V>
ACEPAIR_FN V broadcast(Real x) {
    if constexpr (n_vecs<V> == 1) return broadcast(x);
    else return {broadcast(x), broadcast(x)};
}

/// Vectors as one V, which stand `stride` apart if V is two.
template <class V>
ACEPAIR_FN V load_blocks(const Vec *p, int64_t stride) {
    if constexpr (n_vecs<V> == 1) return *p;
    else return {p[0], p[stride]};
}
ACEPAIR_FN void store_blocks(Vec *p, int64_t, Vec v) { *p = v; }
ACEPAIR_FN void store_blocks(Vec *p, int64_t stride, TwoVecs v) { p[0] = v.a, p[stride] = v.b; }

ACEPAIR_FN Mask as_mask(Vec v) { return Mask(v); }
ACEPAIR_FN TwoMasks as_mask(TwoVecs v) { return {Mask(v.a), Mask(v.b)}; }
ACEPAIR_FN Vec add_up(Vec v) { return v; }
ACEPAIR_FN Vec add_up(TwoVecs v) { return v.a + v.b; }

// Interleaving of two vectors at the granularity of S lanes, the stages of every transposition below:
// even takes the blocks 0, 2, ... of a and b in turn, odd the blocks 1, 3, ...
template <int S, class V, int... K>
ACEPAIR_FN V even_blocks(V a, V b, std::integer_sequence<int, K...>) {
    return __builtin_shufflevector(a, b, (K & S ? int(sizeof...(K)) + K - S : K)...);
}
template <int S, class V, int... K>
ACEPAIR_FN V odd_blocks(V a, V b, std::integer_sequence<int, K...>) {
    return __builtin_shufflevector(a, b, (K & S ? int(sizeof...(K)) + K : K + S)...);
}
template <class V> using Lanes = std::make_integer_sequence<int, int(sizeof(V) / sizeof(V{}[0]))>;
template <int S, class V> ACEPAIR_FN V even(V a, V b) { return even_blocks<S>(a, b, Lanes<V>()); }
template <int S, class V> ACEPAIR_FN V odd(V a, V b) { return odd_blocks<S>(a, b, Lanes<V>()); }

template <int S, class V>
ACEPAIR_FN void transpose_stages(V *v) {
    constexpr int n = Lanes<V>::size();
    if constexpr (S < n) {
#pragma GCC unroll 16
        for (int k = 0; k < n; ++k) {
            if (k & S) continue;
            const V a = v[k], b = v[k + S];
            v[k] = even<S>(a, b), v[k + S] = odd<S>(a, b);
        }
        transpose_stages<2 * S>(v);
    }
}

/// A tile of 64-bit entries, W64 rows in W64 vectors, to its columns.
ACEPAIR_FN void transpose64(Vec *rows) {
    Vec64 v[W64];
#pragma GCC unroll 8
    for (int k = 0; k < W64; ++k) v[k] = Vec64(rows[k]);
    transpose_stages<1>(v);
#pragma GCC unroll 8
    for (int k = 0; k < W64; ++k) rows[k] = Vec(v[k]);
}

/// out[c][r] = in[r][c] for a W × W tile; rows are `in_stride` and `out_stride` numbers apart.
ACEPAIR_FN void transpose(const Real *in, int64_t in_stride, Real *out, int64_t out_stride) {
    Vec v[W];
#pragma GCC unroll 16
    for (int k = 0; k < W; ++k) v[k] = load(in + k * in_stride);
    transpose_stages<1>(v);
#pragma GCC unroll 16
    for (int k = 0; k < W; ++k) store(out + k * out_stride, v[k]);
}

// Every other pair of lanes, from the first or the second on, of a and then of b.
template <int second, class V, int... K>
ACEPAIR_FN V every_other_pair(V a, V b, std::integer_sequence<int, K...>) {
    return __builtin_shufflevector(a, b, (K / 2 * 4 + second * 2 + K % 2)...);
}

template <int S, int N>
ACEPAIR_FN Vec sum_stages(Vec *v) {
    if constexpr (N == 1) return v[0];
    else {
#pragma GCC unroll 8
        for (int k = 0; k < N / 2; ++k) {
            const Vec64 a = Vec64(v[2 * k]), b = Vec64(v[2 * k + 1]);  // moved by 64 bits, added as numbers
            if constexpr (S == 1) v[k] = Vec(even<1>(a, b)) + Vec(odd<1>(a, b));
            else v[k] = Vec(every_other_pair<0>(a, b, Lanes<Vec64>())) + Vec(every_other_pair<1>(a, b, Lanes<Vec64>()));
        }
        return sum_stages<2 * S, N / 2>(v);
    }
}

/// The sums over edges of W64 vectors, as one vector: for doubles over all lanes, for floats over those of either centre.
ACEPAIR_FN Vec sums_over_edges(const Vec *v) {
    Vec s[W64];
#pragma GCC unroll 8
    for (int k = 0; k < W64; ++k) s[k] = v[k];
    return sum_stages<1, W64>(s);
}

/// The sums over lanes k, k + n, k + 2n, ... for k < n, in the first n.
ACEPAIR_FN Vec sums_by_remainder(Vec v, int n) {
    for (int stride = W / 2; stride >= n; stride /= 2)
        for (int k = 0; k < stride; ++k) v[k] += v[k + stride];
    return v;
}
ACEPAIR_FN Real sum(Vec v) { return sums_by_remainder(v, 1)[0]; }

#if !defined(__AVX512F__) && !defined(__AVX2__)
#define ACEPAIR_TWO_LANES
#endif

/// Rows j[0..W64−1] of an (n, 4) array as four vectors.
ACEPAIR_FN void gather_rows(const double *rows, const int32_t *j, Vec64 &x, Vec64 &y, Vec64 &z, Vec64 &s) {
    Row4 r[W64];
    for (int k = 0; k < W64; ++k) r[k] = *reinterpret_cast<const UnalignedRow4 *>(rows + 4 * int64_t(j[k]));
#if defined(ACEPAIR_TWO_LANES)
    x = Vec64{r[0][0], r[1][0]}, y = Vec64{r[0][1], r[1][1]}, z = Vec64{r[0][2], r[1][2]}, s = Vec64{r[0][3], r[1][3]};
#else
    Vec64 m[4];
#if defined(__AVX512F__)
    for (int k = 0; k < 4; ++k) m[k] = __builtin_shufflevector(r[k], r[k + 4], 0, 1, 2, 3, 4, 5, 6, 7);
#else
    for (int k = 0; k < 4; ++k) m[k] = r[k];
#endif
    const Vec64 t0 = even<1>(m[0], m[1]), t1 = odd<1>(m[0], m[1]), t2 = even<1>(m[2], m[3]), t3 = odd<1>(m[2], m[3]);
    x = even<2>(t0, t2), z = odd<2>(t0, t2), y = even<2>(t1, t3), s = odd<2>(t1, t3);
#endif
}

/// rows[j[k]] −= (x, y, z, 0)[k] for W64 lanes, in lane order: an atom may occur twice.
ACEPAIR_FN void subtract_rows64(double *rows, const int32_t *j, Vec64 x, Vec64 y, Vec64 z) {
    Row4 r[W64];
#if defined(ACEPAIR_TWO_LANES)
    for (int k = 0; k < W64; ++k) r[k] = Row4{x[k], y[k], z[k], 0.0};
#else
    const Vec64 zero = Vec64{};
    const Vec64 t0 = even<1>(x, y), t1 = odd<1>(x, y), t2 = even<1>(z, zero), t3 = odd<1>(z, zero);
    const Vec64 u[4] = {even<2>(t0, t2), even<2>(t1, t3), odd<2>(t0, t2), odd<2>(t1, t3)};
#if defined(__AVX512F__)
    for (int k = 0; k < 4; ++k) {
        r[k] = __builtin_shufflevector(u[k], u[k], 0, 1, 2, 3);
        r[k + 4] = __builtin_shufflevector(u[k], u[k], 4, 5, 6, 7);
    }
#else
    for (int k = 0; k < 4; ++k) r[k] = u[k];
#endif
#endif
#pragma GCC unroll 8
    for (int k = 0; k < W64; ++k) *reinterpret_cast<UnalignedRow4 *>(rows + 4 * int64_t(j[k])) -= r[k];
}

// Between W lanes of the kernels' precision and the doubles outside.
typedef Real Half __attribute__((vector_size(register_bytes / halves)));
typedef Real UnalignedHalf __attribute__((vector_size(register_bytes / halves), aligned(sizeof(Real))));

template <int... K>
ACEPAIR_FN Half half_lanes(Vec v, int h, std::integer_sequence<int, K...>) {
    return h ? __builtin_shufflevector(v, v, (W - W64 + K)...) : __builtin_shufflevector(v, v, K...);
}
ACEPAIR_FN Vec64 widen(Vec v, int h) {
    if constexpr (is_double) return Vec64(v);
    else return __builtin_convertvector(half_lanes(v, h, std::make_integer_sequence<int, W64>()), Vec64);
}
template <int... K>
ACEPAIR_FN Vec narrow_lanes(const Vec64 *v, std::integer_sequence<int, K...>) {
    if constexpr (is_double) return Vec(v[0]);
    else return __builtin_shufflevector(__builtin_convertvector(v[0], Half), __builtin_convertvector(v[halves - 1], Half), K...);
}
ACEPAIR_FN Vec narrow(const Vec64 *v) { return narrow_lanes(v, std::make_integer_sequence<int, W>()); }

template <class Both, class Half, int... K>
ACEPAIR_FN Both interleave_lanes(Half a, Half b, std::integer_sequence<int, K...>) {
    return __builtin_shufflevector(a, b, (K % 2 * W64 + K / 2)...);
}

/// Lane e is p[e % halves][e / halves]: W64 numbers of every centre of a team.
ACEPAIR_FN Vec interleave_team(const Real *const *p) {
    if constexpr (is_double) return load(*p);
    else {
        typedef const UnalignedHalf *Pointer;
        return interleave_lanes<Vec>(*reinterpret_cast<Pointer>(p[0]), *reinterpret_cast<Pointer>(p[1]), Lanes<Vec>());
    }
}
ACEPAIR_FN Indices interleave_team(const int32_t *const *p) {
    if constexpr (is_double) return *reinterpret_cast<const UnalignedIndices *>(*p);
    else {
        typedef const UnalignedHalfIndices *Pointer;
        return interleave_lanes<Indices>(*reinterpret_cast<Pointer>(p[0]), *reinterpret_cast<Pointer>(p[1]), Lanes<Vec>());
    }
}
ACEPAIR_FN void store(int32_t *p, Indices v) { *reinterpret_cast<UnalignedIndices *>(p) = v; }

/// As above for integers.
ACEPAIR_FN Indices broadcast_team(const int32_t *n) {
    Indices v{};
    for (int k = 0; k < W; ++k) v[k] = n[k % halves];
    return v;
}

/// rows[j[k]] − centre for W rows of an (n, 4) array, subtracted as doubles; s is the fourth column itself.
ACEPAIR_FN void gather_differences(const double *rows, const int32_t *j, const double *centre, Vec &x, Vec &y, Vec &z, Vec &s) {
    Vec64 dx[halves], dy[halves], dz[halves], ds[halves];
    for (int h = 0; h < halves; ++h) {
        gather_rows(rows, j + h * W64, dx[h], dy[h], dz[h], ds[h]);
        dx[h] -= centre[0], dy[h] -= centre[1], dz[h] -= centre[2];
    }
    x = narrow(dx), y = narrow(dy), z = narrow(dz), s = narrow(ds);
}

/// rows[j[k]] −= (x, y, z, 0)[k] for W lanes, in lane order.
ACEPAIR_FN void subtract_rows(double *rows, const int32_t *j, Vec x, Vec y, Vec z) {
    for (int h = 0; h < halves; ++h) subtract_rows64(rows, j + h * W64, widen(x, h), widen(y, h), widen(z, h));
}

/// out[k] = offset + v[k]
ACEPAIR_FN void store_wide(double *out, Vec v, double offset) {
    for (int h = 0; h < halves; ++h) *reinterpret_cast<UnalignedVec64 *>(out + h * W64) = widen(v, h) + offset;
}

#if defined(__AVX2__) && !defined(__AVX512F__)
/// For each mask of four lanes the lanes that are true, in order; pairs of 32-bit lanes for doubles.
struct PackedLanes {
    alignas(32) int32_t of_32[16][4], of_64[16][8];

    constexpr PackedLanes() : of_32{}, of_64{} {
        for (int mask = 0; mask < 16; ++mask)
            for (int lane = 0, n = 0; lane < 4; ++lane)
                if (mask >> lane & 1) {
                    of_32[mask][n] = lane, of_64[mask][2 * n] = 2 * lane, of_64[mask][2 * n + 1] = 2 * lane + 1;
                    ++n;
                }
    }
};
static constexpr PackedLanes packed_lanes;
#endif

/// Write the lanes of v where m is true to out[0..], packed; up to W elements of `out` are overwritten.
ACEPAIR_FN void store_selected(Real *out, Mask m, Vec v) {
#if defined(__AVX512F__)
    if constexpr (is_double) store(out, Vec(_mm512_maskz_compress_pd(__mmask8(bits(m)), __m512d(v))));
    else store(out, Vec(_mm512_maskz_compress_ps(__mmask16(bits(m)), __m512(v))));
#elif defined(__AVX2__)
    const unsigned mask = bits(m);
    if constexpr (is_double) {
        const __m256i lanes = _mm256_load_si256(reinterpret_cast<const __m256i *>(packed_lanes.of_64[mask]));
        store(out, Vec(_mm256_permutevar8x32_ps(__m256(v), lanes)));
    } else {
        const __m256 all = __m256(v);
        const __m128i low = _mm_load_si128(reinterpret_cast<const __m128i *>(packed_lanes.of_32[mask & 15]));
        const __m128i high = _mm_load_si128(reinterpret_cast<const __m128i *>(packed_lanes.of_32[mask >> 4 & 15]));
        float *o = reinterpret_cast<float *>(out);
        _mm_storeu_ps(o, _mm_permutevar_ps(_mm256_castps256_ps128(all), low));
        _mm_storeu_ps(o + __builtin_popcount(mask & 15), _mm_permutevar_ps(_mm256_extractf128_ps(all, 1), high));
    }
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
    const unsigned k = bits(m);
    if constexpr (is_double)
        _mm256_storeu_si256(reinterpret_cast<__m256i *>(out),
                            _mm256_maskz_compress_epi32(__mmask8(k), _mm256_loadu_si256(reinterpret_cast<const __m256i *>(v))));
    else
        _mm512_storeu_si512(out, _mm512_maskz_compress_epi32(__mmask16(k), _mm512_loadu_si512(v)));
    return __builtin_popcount(k);
#elif defined(__AVX2__)
    const unsigned mask = bits(m);
    int n = 0;
    for (int first = 0; first < W; first += 4) {
        const unsigned four = mask >> first & 15;
        const __m128i lanes = _mm_load_si128(reinterpret_cast<const __m128i *>(packed_lanes.of_32[four]));
        const __m128 values = _mm_loadu_ps(reinterpret_cast<const float *>(v + first));
        _mm_storeu_ps(reinterpret_cast<float *>(out + n), _mm_permutevar_ps(values, lanes));
        n += __builtin_popcount(four);
    }
    return n;
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
