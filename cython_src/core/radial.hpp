// Radial functions of W edges of one species pair: R_k = envelope(r) f_k(y(r)) and dR_k/dr, each f_k as the plan says.
#pragma once

#include "precision.hpp"

namespace acepair::ACEPAIR_ISA {

struct ValueSlope {
    Vec value, slope;
};

ACEPAIR_FN Vec integer_power(Vec x, int n) {
    Vec result = broadcast(1);
    for (; n > 0; n >>= 1, x *= x)
        if (n & 1) result *= x;
    return result;
}

/// y(r) and dy/dr.
ACEPAIR_FN ValueSlope transform(const TransformParameters &t, Vec r) {
    if (TransformKind(int(t.kind)) == TransformKind::affine) return {t.scale * (r - t.rin) - 1, broadcast(t.scale)};
    const int p = int(t.p), q = int(t.q);
    const Vec zero = broadcast(0);
    const Mask beyond_rin = r > t.rin;
    const Vec s = select(beyond_rin, (r - t.rin) * t.inverse_width, zero);
    const Vec u_s = integer_power(s, q - 1), u = u_s * s;                      // s^q
    const Vec v_s = q > p ? integer_power(s, q - p - 1) : zero;                // v = 1 + s^(q−p)
    const Vec v = 1 + (q > p ? v_s * s : broadcast(1));
    const Vec inverse = 1 / (v + t.a * u);
    const Vec x = v * inverse;
    const Vec dx = t.a * (u * (t.q - t.p) * v_s - t.q * u_s * v) * inverse * inverse;  // zero inside rin if q > 1
    const Vec y = t.scale * (x - t.x_in) - 1;
    const Mask below_one = y < 1.0;  // beyond the transform's cutoff y stays at 1
    return {select(below_one, y, broadcast(1)), select(beyond_rin & below_one, (t.scale * t.inverse_width) * dx, zero)};
}

/// Envelope and its derivative along r.
ACEPAIR_FN ValueSlope envelope(const EnvelopeParameters &e, Vec r, Vec inverse_r, ValueSlope y) {
    const int p1 = int(e.p1), p2 = int(e.p2);
    switch (EnvelopeKind(int(e.kind))) {
    case EnvelopeKind::poly_2sx: {
        const Vec left = 1 + y.value, right = 1 - y.value;
        if (p1 == 2 && p2 == 2) {
            const Vec b = left * right;
            return {e.scale * b * b, (-4 * e.scale) * y.value * b * y.slope};
        }
        const Vec l = p1 ? integer_power(left, p1 - 1) : broadcast(0), k = p2 ? integer_power(right, p2 - 1) : broadcast(0);
        const Vec lv = p1 ? l * left : broadcast(1), kv = p2 ? k * right : broadcast(1);
        return {e.scale * lv * kv, e.scale * (e.p1 * l * kv - e.p2 * lv * k) * y.slope};
    }
    case EnvelopeKind::poly_1sr: {
        const Vec u = integer_power(e.rcut * inverse_r, p1), v = 1 - r * (1 / e.rcut);
        return {(u - 1) * v, -e.p1 * u * inverse_r * v - (u - 1) * (1 / e.rcut)};
    }
    case EnvelopeKind::ace1_poly_1sr: {
        const Real sc = e.rcut / e.r0;
        Real cut = 1;  // sc^−p
        for (int k = 0; k < p1; ++k) cut /= sc;
        const Real slope = e.p1 * cut / sc;
        const Vec u = integer_power(e.r0 * inverse_r, p1);
        return {u - cut + slope * (r * (1 / e.r0) - sc), -e.p1 * u * inverse_r + broadcast(slope / e.r0)};
    }
    case EnvelopeKind::inverse_r: return {inverse_r, -inverse_r * inverse_r};
    case EnvelopeKind::one:
    case EnvelopeKind::count: break;
    }
    return {broadcast(1), broadcast(0)};
}

/// env · P_k(y) for k < n, and slopes along r, handed one by one to use(k, value, slope). The recurrence is linear: the
/// envelope rides along from P_0 on.
template <class Use>
ACEPAIR_FN void recurrence(const RadialPlan &radial, int n, ValueSlope y, ValueSlope env, Use use) {
    Vec value = radial.A[0] * env.value, slope = radial.A[0] * env.slope;
    use(0, value, slope);
    if (n < 2) return;
    Vec previous = value, previous_slope = slope;
    Vec factor = radial.A[1] * y.value + radial.B[1];
    slope = factor * env.slope + radial.A[1] * y.slope * env.value;
    value = factor * env.value;
    use(1, value, slope);
    for (int k = 2; k < n; ++k) {
        factor = radial.A[k] * y.value + radial.B[k];
        // what comes last in each sum decides how long the chain of dependent operations is: one multiply-add a step
        const Vec next = factor * value + radial.C[k] * previous;
        const Vec next_slope = factor * slope + (radial.C[k] * previous_slope + (radial.A[k] * y.slope) * value);
        previous = value, previous_slope = slope;
        value = next, slope = next_slope;
        use(k, value, slope);
    }
}

/// Σ_k w_k P_k(y) and its slope along y, by Clenshaw's recurrence (doi:10.1090/S0025-5718-1955-0071856-0).
ACEPAIR_FN ValueSlope weighted_sum(const RadialPlan &radial, const Real *w, Vec y) {
    const int n = radial.n_polynomials;
    const Real *A = radial.A, *B = radial.B, *C = radial.C;
    if (n == 1) return {broadcast(w[0] * A[0]), broadcast(0)};
    Vec b1 = broadcast(w[n - 1]), b2 = broadcast(0), d1 = broadcast(0), d2 = broadcast(0);  // of k + 1 and k + 2, and slopes
    for (int k = n - 2; k > 0; --k) {
        const Real c = k + 2 < n ? C[k + 2] : 0;
        const Vec factor = A[k + 1] * y + B[k + 1];
        const Vec b = factor * b1 + (c * b2 + w[k]), d = factor * d1 + (c * d2 + A[k + 1] * b1);
        b2 = b1, d2 = d1, b1 = b, d1 = d;
    }
    const Real c = n > 2 ? C[2] : 0;
    const Vec factor = A[1] * y + B[1];  // P_0 = A_0, P_1 = factor
    return {factor * b1 + A[0] * (c * b2 + w[0]), factor * d1 + (A[0] * c * d2 + A[1] * b1)};
}

/// R[k] = Σ_q weights[k][q] P[q] and dR[k] likewise, K functions at a time so that every weight serves two accumulators in
/// registers.
template <int K>
ACEPAIR_FN void contract(const Real *__restrict weights, int n_q, const Vec *__restrict P, const Vec *__restrict dP, Vec *__restrict R,
                         Vec *__restrict dR) {
    Vec value[K], slope[K];
    for (int k = 0; k < K; ++k) value[k] = slope[k] = broadcast(0);
    for (int q = 0; q < n_q; ++q) {
        const Vec p = P[q], dp = dP[q];
#pragma GCC unroll 8
        for (int k = 0; k < K; ++k) {
            const Vec w = broadcast(weights[k * n_q + q]);
            value[k] += w * p, slope[k] += w * dp;
        }
    }
    for (int k = 0; k < K; ++k) R[k] = value[k], dR[k] = slope[k];
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
ACEPAIR_FN ValueSlope table_value(const RadialPlan &radial, int pair, ValueSlope y, ValueSlope env) {
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
ACEPAIR_FN void table_values(const RadialPlan &radial, int pair, ValueSlope y, ValueSlope env, Real *scratch, Vec *R, Vec *dR) {
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

/// R[k], dR[k] of the many-body part. `inside` is false in lanes that hold no edge. `scratch` holds 2 n_polynomials vectors
/// (series) or 2 W (table); R and dR have room for n_functions
/// rounded up to W.
ACEPAIR_FN void radial_functions(const RadialPlan &radial, int pair, Vec r, Vec inverse_r, Mask inside, Vec *__restrict scratch,
                                 Vec *__restrict R, Vec *__restrict dR) {
    const ValueSlope y = transform(radial.transform[pair], r);
    ValueSlope env = envelope(radial.envelope[pair], r, inverse_r, y);
    inside = inside & (r < radial.rcut[pair]);
    env.value = select(inside, env.value, broadcast(0)), env.slope = select(inside, env.slope, broadcast(0));
    switch (radial.kind) {
    case BasisKind::recurrence:
        recurrence(radial, radial.n_functions, y, env, [&](int k, Vec value, Vec slope) __attribute__((always_inline)) {
            R[k] = value, dR[k] = slope;
        });
        return;
    case BasisKind::series: {
        const int n_q = radial.n_polynomials, n = radial.n_functions;
        Vec *P = scratch, *dP = scratch + n_q;
        recurrence(radial, n_q, y, env, [&](int k, Vec value, Vec slope) __attribute__((always_inline)) {
            P[k] = value, dP[k] = slope;
        });
        const Real *weights = radial.weights + int64_t(pair) * n * n_q;
        int k = 0;
        for (; k + 5 <= n; k += 5) contract<5>(weights + k * n_q, n_q, P, dP, R + k, dR + k);
        switch (n - k) {
        case 4: return contract<4>(weights + k * n_q, n_q, P, dP, R + k, dR + k);
        case 3: return contract<3>(weights + k * n_q, n_q, P, dP, R + k, dR + k);
        case 2: return contract<2>(weights + k * n_q, n_q, P, dP, R + k, dR + k);
        case 1: return contract<1>(weights + k * n_q, n_q, P, dP, R + k, dR + k);
        default: return;
        }
    }
    case BasisKind::table: table_values(radial, pair, y, env, reinterpret_cast<Real *>(scratch), R, dR); return;
    case BasisKind::count: return;
    }
}

/// A pair term (one function): its value and slope.
ACEPAIR_FN ValueSlope pair_term(const RadialPlan &radial, int pair, Vec r, Vec inverse_r, Mask inside) {
    const ValueSlope y = transform(radial.transform[pair], r);
    ValueSlope env = envelope(radial.envelope[pair], r, inverse_r, y);
    inside = inside & (r < radial.rcut[pair]);
    env.value = select(inside, env.value, broadcast(0)), env.slope = select(inside, env.slope, broadcast(0));
    if (radial.kind == BasisKind::table) return table_value(radial, pair, y, env);
    const ValueSlope sum = weighted_sum(radial, radial.weights + int64_t(pair) * radial.n_polynomials, y.value);
    return {sum.value * env.value, sum.slope * y.slope * env.value + sum.value * env.slope};
}

}  // namespace acepair::ACEPAIR_ISA
