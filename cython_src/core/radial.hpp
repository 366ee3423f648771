// Radial functions of W edges of one species pair: R_k = envelope(r) f_k(y(r)) and dR_k/dr, each f_k as the plan says.
#pragma once

#include "precision.hpp"

namespace acepair::ACEPAIR_ISA {

template <class V> struct ValueSlope {
    V value, slope;
};

template <class V>
ACEPAIR_FN V integer_power(V x, int n) {
    V result = broadcast<V>(1);
    for (; n > 0; n >>= 1, x = x * x)
        if (n & 1) result = result * x;
    return result;
}

/// y(r) and dy/dr.
template <class V>
ACEPAIR_FN ValueSlope<V> transform(const TransformParameters &t, V r) {
    if (TransformKind(int(t.kind)) == TransformKind::affine) return {t.scale * (r - t.rin) - 1, broadcast<V>(t.scale)};
    const int p = int(t.p), q = int(t.q);
    const V zero = broadcast<V>(0);
    const auto beyond_rin = r > t.rin;
    const V s = select(beyond_rin, (r - t.rin) * t.inverse_width, zero);
    const V u_s = integer_power(s, q - 1), u = u_s * s;                      // s^q
    const V v_s = q > p ? integer_power(s, q - p - 1) : zero;                // v = 1 + s^(q−p)
    const V v = 1 + (q > p ? v_s * s : broadcast<V>(1));
    const V inverse = 1 / (v + t.a * u);
    const V x = v * inverse;
    const V dx = t.a * (u * (t.q - t.p) * v_s - t.q * u_s * v) * inverse * inverse;  // zero inside rin if q > 1
    const V y = t.scale * (x - t.x_in) - 1;
    const auto below_one = y < 1.0;  // beyond the transform's cutoff y stays at 1
    return {select(below_one, y, broadcast<V>(1)), select(beyond_rin & below_one, (t.scale * t.inverse_width) * dx, zero)};
}

/// Envelope and its derivative along r.
template <class V>
ACEPAIR_FN ValueSlope<V> envelope(const EnvelopeParameters &e, V r, V inverse_r, ValueSlope<V> y) {
    const int p1 = int(e.p1), p2 = int(e.p2);
    switch (EnvelopeKind(int(e.kind))) {
    case EnvelopeKind::poly_2sx: {
        const V left = 1 + y.value, right = 1 - y.value;
        if (p1 == 2 && p2 == 2) {
            const V b = left * right;
            return {e.scale * b * b, (-4 * e.scale) * y.value * b * y.slope};
        }
        const V l = p1 ? integer_power(left, p1 - 1) : broadcast<V>(0), k = p2 ? integer_power(right, p2 - 1) : broadcast<V>(0);
        const V lv = p1 ? l * left : broadcast<V>(1), kv = p2 ? k * right : broadcast<V>(1);
        return {e.scale * lv * kv, e.scale * (e.p1 * l * kv - e.p2 * lv * k) * y.slope};
    }
    case EnvelopeKind::poly_1sr: {
        const V u = integer_power(e.rcut * inverse_r, p1), v = 1 - r * (1 / e.rcut);
        return {(u - 1) * v, -e.p1 * u * inverse_r * v - (u - 1) * (1 / e.rcut)};
    }
    case EnvelopeKind::ace1_poly_1sr: {
        const Real sc = e.rcut / e.r0;
        Real cut = 1;  // sc^−p
        for (int k = 0; k < p1; ++k) cut /= sc;
        const Real slope = e.p1 * cut / sc;
        const V u = integer_power(e.r0 * inverse_r, p1);
        return {u - cut + slope * (r * (1 / e.r0) - sc), -e.p1 * u * inverse_r + broadcast<V>(slope / e.r0)};
    }
    case EnvelopeKind::inverse_r: return {inverse_r, -inverse_r * inverse_r};
    case EnvelopeKind::one:
    case EnvelopeKind::count: break;
    }
    return {broadcast<V>(1), broadcast<V>(0)};
}

/// env · P_k(y) for k < n, and slopes along r, handed one by one to use(k, value, slope). The recurrence is linear: the
/// envelope rides along from P_0 on. Two at a time: what is overwritten is what was needed last.
template <class V, class Use>
ACEPAIR_FN void recurrence(const RadialPlan &radial, int n, ValueSlope<V> y, ValueSlope<V> env, Use use) {
    ValueSlope<V> even{radial.A[0] * env.value, radial.A[0] * env.slope};
    use(0, even);
    if (n < 2) return;
    const V first = radial.A[1] * y.value + radial.B[1];  // P_1 does not carry P_0's factor
    ValueSlope<V> odd{first * env.value, first * env.slope + radial.A[1] * y.slope * env.value};
    use(1, odd);
    const auto next = [&](int k, ValueSlope<V> last, ValueSlope<V> before) __attribute__((always_inline)) {
        const V factor = radial.A[k] * y.value + radial.B[k];
        // what comes last in each sum decides how long the chain of dependent operations is: one multiply-add a step
        return ValueSlope<V>{factor * last.value + radial.C[k] * before.value,
                             factor * last.slope + (radial.C[k] * before.slope + (radial.A[k] * y.slope) * last.value)};
    };
    for (int k = 2; k < n; k += 2) {
        use(k, even = next(k, odd, even));
        if (k + 1 < n) use(k + 1, odd = next(k + 1, even, odd));
    }
}

/// As above for T_k = 2 y T_{k−1} − T_{k−2}.
template <class V, class Use>
ACEPAIR_FN void chebyshev_recurrence(int n, ValueSlope<V> y, ValueSlope<V> env, Use use) {
    ValueSlope<V> even = env, odd{y.value * env.value, y.value * env.slope + y.slope * env.value};
    use(0, even);
    if (n > 1) use(1, odd);
    const V factor = 2 * y.value, factor_slope = 2 * y.slope;
    const auto next = [&](ValueSlope<V> last, ValueSlope<V> before) __attribute__((always_inline)) {
        return ValueSlope<V>{factor * last.value - before.value, factor * last.slope + (factor_slope * last.value - before.slope)};
    };
    for (int k = 2; k < n; k += 2) {
        use(k, even = next(odd, even));
        if (k + 1 < n) use(k + 1, odd = next(even, odd));
    }
}

/// Σ_k w_k P_k(y) and its slope along y, by Clenshaw's recurrence (doi:10.1090/S0025-5718-1955-0071856-0).
template <class V>
ACEPAIR_FN ValueSlope<V> weighted_sum(const RadialPlan &radial, const Real *w, V y) {
    const int n = radial.n_polynomials;
    const Real *A = radial.A, *B = radial.B, *C = radial.C;
    if (n == 1) return {broadcast<V>(w[0] * A[0]), broadcast<V>(0)};
    V b1 = broadcast<V>(w[n - 1]), b2 = broadcast<V>(0), d1 = broadcast<V>(0), d2 = broadcast<V>(0);  // of k + 1 and k + 2, and slopes
    for (int k = n - 2; k > 0; --k) {
        const Real c = k + 2 < n ? C[k + 2] : 0;
        const V factor = A[k + 1] * y + B[k + 1];
        const V b = factor * b1 + (c * b2 + w[k]), d = factor * d1 + (c * d2 + A[k + 1] * b1);
        b2 = b1, d2 = d1, b1 = b, d1 = d;
    }
    const Real c = n > 2 ? C[2] : 0;
    const V factor = A[1] * y + B[1];  // P_0 = A_0, P_1 = factor
    return {factor * b1 + A[0] * (c * b2 + w[0]), factor * d1 + (A[0] * c * d2 + A[1] * b1)};
}

/// As above for T_k, two at a time.
template <class V>
ACEPAIR_FN ValueSlope<V> chebyshev_sum(int n, const Real *w, V y) {
    const V factor = 2 * y;
    int k = n - 1;  // b1 and b2 are of k + 1 and k + 2, d half their slopes
    V b1 = broadcast<V>(0), b2 = b1, d1 = b1, d2 = b1;
    if (k % 2) b1 = broadcast<V>(w[k--]);
    for (; k > 0; k -= 2) {
        b2 = factor * b1 + (w[k] - b2), d2 = factor * d1 + (b1 - d2);
        b1 = factor * b2 + (w[k - 1] - b1), d1 = factor * d2 + (b2 - d1);
    }
    return {y * b1 + (w[0] - b2), factor * d1 + (b1 - 2 * d2)};
}

/// R[k] = Σ_q weights[k][q] P[q] and dR[k] likewise of K functions, for a block of edges, or two which stand `stride` apart: every weight
/// serves two sums in registers, or four.
template <class V, int K>
ACEPAIR_FN void contract(const Real *__restrict weights, int n_q, const Vec *P, const Vec *dP, Vec *R, Vec *dR, int64_t stride) {
    V value[K], slope[K];
    for (int k = 0; k < K; ++k) value[k] = slope[k] = broadcast<V>(0);
    for (int q = 0; q < n_q; ++q) {
        const V p = load_blocks<V>(P + q, stride), dp = load_blocks<V>(dP + q, stride);
#pragma GCC unroll 8
        for (int k = 0; k < K; ++k) {
            const V w = broadcast<V>(weights[k * n_q + q]);
            value[k] = value[k] + w * p, slope[k] = slope[k] + w * dp;
        }
    }
    for (int k = 0; k < K; ++k) store_blocks(R + k, stride, value[k]), store_blocks(dR + k, stride, slope[k]);
}

/// A series' functions from its polynomials, for n_blocks blocks of edges which stand `stride` apart; slopes stand `to_slope` behind values.
ACEPAIR_FN void contract_series(const RadialPlan &radial, int pair, Vec *P, int64_t to_slope, int64_t stride, int n_blocks) {
    const int n_q = radial.n_polynomials, n = radial.n_functions;
    const Real *weights = radial.weights + int64_t(pair) * n * n_q;
    in_chunks<2>(0, n_blocks, [&](int, auto one_or_two) __attribute__((always_inline)) {
        constexpr int at_a_time = many_registers || one_or_two.value == 1 ? 5 : 3;  // functions whose sums stay in registers
        in_chunks<at_a_time>(0, n, [&](int k, auto size) __attribute__((always_inline)) {
            contract<Vecs<one_or_two.value>, size.value>(weights + k * n_q, n_q, P, P + to_slope, P + n_q + k, P + to_slope + n_q + k, stride);
        });
        P += one_or_two.value * stride;
    });
}

/// Where the lanes' y fall in the table: rows of coefficients and offsets inside the interval.
struct TablePosition {
    const Real *row[W];
    Vec t;
    Real slope;  ///< dt/dy
};

ACEPAIR_FN TablePosition find_in_table(const RadialPlan &radial, int pair, Vec y) {
    TablePosition at{};
    at.slope = Real(0.5) * radial.n_intervals;
    const Vec u = (y + 1) * at.slope;
    const int64_t row_size = int64_t(radial.degree + 1) * radial.n_columns;
    const Real *table = radial.table + pair * radial.n_intervals * row_size;
    for (int k = 0; k < W; ++k) {
        int i = int(u[k]);
        i = i < 0 ? 0 : i >= radial.n_intervals ? radial.n_intervals - 1 : i;
        at.row[k] = table + i * row_size;
        at.t[k] = u[k] - i;
    }
    return at;
}

/// The first column of a table.
ACEPAIR_FN ValueSlope<Vec> table_value(const RadialPlan &radial, int pair, ValueSlope<Vec> y, ValueSlope<Vec> env) {
    const TablePosition at = find_in_table(radial, pair, y.value);
    Vec value = broadcast(0), slope = broadcast(0);
    for (int d = radial.degree; d >= 0; --d) {
        Vec c{};
        for (int k = 0; k < W; ++k) c[k] = at.row[k][d * radial.n_columns];
        slope = slope * at.t + value;
        value = value * at.t + c;
    }
    slope = slope * at.slope * y.slope;
    return {value * env.value, slope * env.value + value * env.slope};
}

/// All columns of a table: per lane a polynomial for W functions at once, then transposed to lanes of edges.
ACEPAIR_FN void table_values(const RadialPlan &radial, int pair, ValueSlope<Vec> y, ValueSlope<Vec> env, Real *scratch, Vec *R, Vec *dR) {
    const TablePosition at = find_in_table(radial, pair, y.value);
    const Vec along = at.slope * y.slope;
    Real *values = scratch, *slopes = scratch + W * W;
    for (int first = 0; first < radial.n_functions; first += W) {
        for (int k = 0; k < W; ++k) {
            const Real *c = at.row[k] + first;
            const Vec t = broadcast(at.t[k]);
            Vec value = load(c + radial.degree * radial.n_columns), slope = broadcast(0);
            for (int d = radial.degree - 1; d >= 0; --d) {
                slope = slope * t + value;
                value = value * t + load(c + d * radial.n_columns);
            }
            store(values + k * W, value);
            store(slopes + k * W, slope);
        }
        Real *r = reinterpret_cast<Real *>(R + first), *dr = reinterpret_cast<Real *>(dR + first);
        transpose(values, W, r, W);
        transpose(slopes, W, dr, W);
        for (int k = 0; k < W; ++k) {
            dR[first + k] = dR[first + k] * along * env.value + R[first + k] * env.slope;
            R[first + k] *= env.value;
        }
    }
}

/// Envelope that is zero in lanes which hold no edge or lie beyond the cutoff.
template <class V, class M>
ACEPAIR_FN ValueSlope<V> cut_envelope(const RadialPlan &radial, int pair, V r, V inverse_r, M inside, ValueSlope<V> y) {
    const ValueSlope<V> env = envelope(radial.envelope[pair], r, inverse_r, y);
    inside = inside & (r < radial.rcut[pair]);
    return {select(inside, env.value, broadcast<V>(0)), select(inside, env.slope, broadcast<V>(0))};
}

/// What the plan's kind evaluates along r for one block of edges or two, `stride` apart, times the envelope: R_k of a recurrence; of a
/// series its polynomials P_q, which contract_series turns into R_k; R_k of a table, one block only, with room for whole columns and
/// 2 W vectors of scratch. `inside` is false in lanes that hold no edge.
template <class V, class M>
ACEPAIR_FN void radial_functions(const RadialPlan &radial, int pair, V r, V inverse_r, M inside, Vec *scratch, Vec *R, Vec *dR, int64_t stride) {
    const ValueSlope<V> y = transform(radial.transform[pair], r);
    const ValueSlope<V> env = cut_envelope(radial, pair, r, inverse_r, inside, y);
    if constexpr (n_vecs<V> == 1)
        if (radial.kind == BasisKind::table) return table_values(radial, pair, y, env, reinterpret_cast<Real *>(scratch), R, dR);
    const int n = radial.kind == BasisKind::series ? radial.n_polynomials : radial.n_functions;
    const auto keep = [&](int k, ValueSlope<V> P) __attribute__((always_inline)) {
        store_blocks(R + k, stride, P.value), store_blocks(dR + k, stride, P.slope);
    };
    if (radial.chebyshev) chebyshev_recurrence(n, y, env, keep);
    else recurrence(radial, n, y, env, keep);
}

/// A pair term (one function): its value and slope. Tables take one block.
template <class V, class M>
ACEPAIR_FN ValueSlope<V> pair_term(const RadialPlan &radial, int pair, V r, V inverse_r, M inside) {
    const ValueSlope<V> y = transform(radial.transform[pair], r);
    const ValueSlope<V> env = cut_envelope(radial, pair, r, inverse_r, inside, y);
    if constexpr (n_vecs<V> == 1)
        if (radial.kind == BasisKind::table) return table_value(radial, pair, y, env);
    const Real *weights = radial.weights + int64_t(pair) * radial.n_polynomials;
    const ValueSlope<V> sum =
        radial.chebyshev ? chebyshev_sum(radial.n_polynomials, weights, y.value) : weighted_sum(radial, weights, y.value);
    return {sum.value * env.value, sum.slope * y.slope * env.value + sum.value * env.slope};
}

}  // namespace acepair::ACEPAIR_ISA
