// Radial functions of one edge: R_k = envelope(r) f_k(y(r)) and dR_k/dr. The formulas are those of core/radial.hpp.
#pragma once

#include "arguments.hpp"

namespace acepair::gpu {

struct ValueSlope {
    real value, slope;
};

ACEPAIR_DEVICE real integer_power(real x, int n) {
    real result = 1;
    for (; n > 0; n >>= 1, x *= x)
        if (n & 1) result *= x;
    return result;
}

/// y(r) and dy/dr.
ACEPAIR_DEVICE ValueSlope transform(const TransformParameters &t, real r) {
    if (TransformKind(int(t.kind)) == TransformKind::affine) return {t.scale * (r - t.rin) - 1, t.scale};
    const int p = int(t.p), q = int(t.q);
    const bool beyond_rin = r > t.rin;
    const real s = beyond_rin ? (r - t.rin) * t.inverse_width : real(0);
    const real u_s = integer_power(s, q - 1), u = u_s * s;                 // s^q
    const real v_s = q > p ? integer_power(s, q - p - 1) : real(0);        // v = 1 + s^(q−p)
    const real v = 1 + (q > p ? v_s * s : real(1));
    const real inverse = 1 / (v + t.a * u);
    const real x = v * inverse;
    const real dx = t.a * (u * (q - p) * v_s - q * u_s * v) * inverse * inverse;
    const real y = t.scale * (x - t.x_in) - 1;
    const bool below_one = y < 1;  // beyond the transform's cutoff y stays at 1
    return {below_one ? y : real(1), beyond_rin && below_one ? t.scale * t.inverse_width * dx : real(0)};
}

/// Envelope and its derivative along r.
ACEPAIR_DEVICE ValueSlope envelope(const EnvelopeParameters &e, real r, real inverse_r, ValueSlope y) {
    const int p1 = int(e.p1), p2 = int(e.p2);
    switch (EnvelopeKind(int(e.kind))) {
    case EnvelopeKind::poly_2sx: {
        const real left = 1 + y.value, right = 1 - y.value;
        const real l = p1 ? integer_power(left, p1 - 1) : real(0), k = p2 ? integer_power(right, p2 - 1) : real(0);
        const real lv = p1 ? l * left : real(1), kv = p2 ? k * right : real(1);
        return {e.scale * lv * kv, e.scale * (p1 * l * kv - p2 * lv * k) * y.slope};
    }
    case EnvelopeKind::poly_1sr: {
        const real u = integer_power(e.rcut * inverse_r, p1), v = 1 - r * (1 / e.rcut);
        return {(u - 1) * v, -p1 * u * inverse_r * v - (u - 1) * (1 / e.rcut)};
    }
    case EnvelopeKind::ace1_poly_1sr: {
        const real sc = e.rcut / e.r0, cut = 1 / integer_power(sc, p1);  // sc^−p
        const real slope = p1 * cut / sc;
        const real u = integer_power(e.r0 * inverse_r, p1);
        return {u - cut + slope * (r * (1 / e.r0) - sc), -p1 * u * inverse_r + slope / e.r0};
    }
    case EnvelopeKind::inverse_r: return {inverse_r, -inverse_r * inverse_r};
    case EnvelopeKind::one: break;
    }
    return {1, 0};
}

/// Transform and envelope of one component, the envelope zero from its cutoff on.
struct Radius {
    ValueSlope y, env;
};

ACEPAIR_DEVICE Radius radius(const Radial &radial, int pair, real r, real inverse_r) {
    const ValueSlope y = transform(radial.transform[pair], r);
    const ValueSlope env = envelope(radial.envelope[pair], r, inverse_r, y);
    return {y, r < radial.rcut[pair] ? env : ValueSlope{0, 0}};
}

/// env · P_k(y) one after the other, k = 0, 1, ...: P_0 = A_0, P_1 = A_1 y + B_1, P_k = (A_k y + B_k) P_{k−1} + C_k P_{k−2}. The
/// recurrence is linear, so that the envelope rides along.
struct Recurrence {
    const real *A, *B, *C;
    ValueSlope now, before;

    ACEPAIR_DEVICE Recurrence(const real *coefficients, int n) : A(coefficients), B(A + n), C(B + n) {}

    ACEPAIR_DEVICE void step(int k, const Radius &at) {
        if (k == 0) {
            now = {read(A) * at.env.value, read(A) * at.env.slope};
            return;
        }
        const real factor = read(A + k) * at.y.value + read(B + k), factor_slope = read(A + k) * at.y.slope;
        const ValueSlope last = k == 1 ? at.env : now;
        ValueSlope next = {factor * last.value, factor * last.slope + factor_slope * last.value};
        if (k > 1) next.value += read(C + k) * before.value, next.slope += read(C + k) * before.slope;
        before = now, now = next;
    }
};

/// Row of a table of piecewise polynomials and the place t inside the interval.
struct TablePlace {
    const real *row;
    real t, slope;  ///< slope: dt/dy
};

ACEPAIR_DEVICE TablePlace find_in_table(const Radial &radial, int pair, real y) {
    const int n = int(radial.n_intervals);
    const real slope = real(0.5) * n, u = (y + 1) * slope;
    const int i = u < 0 ? 0 : u >= n ? n - 1 : int(u);
    return {radial.table + (int64_t(pair) * n + i) * (radial.degree + 1) * radial.n_columns, u - i, slope};
}

ACEPAIR_DEVICE ValueSlope table_value(const Radial &radial, const TablePlace &place, int k, const Radius &at) {
    ValueSlope f = {0, 0};
    ACEPAIR_NO_UNROLL
    for (int d = int(radial.degree); d >= 0; --d) {
        f.slope = f.slope * place.t + f.value;
        f.value = f.value * place.t + read(place.row + d * radial.n_columns + k);
    }
    f.slope *= place.slope * at.y.slope;
    return {f.value * at.env.value, f.slope * at.env.value + f.value * at.env.slope};
}

/// keep(k, R_k and dR_k), k < N_R, of the many-body part, the slopes of use only if SLOPES. With moments the polynomials come first, in a
/// loop: their k is known at run time only, that of all others when the code is compiled.
template <bool SLOPES, class Keep> ACEPAIR_DEVICE void radial_functions(const Radial &radial, int pair, real r, real inverse_r, Keep &&keep) {
    const Radius at = radius(radial, pair, r, inverse_r);
    if constexpr (RADIAL_KIND == BasisKind::table) {
        const TablePlace place = find_in_table(radial, pair, at.y.value);
        unrolled<0, N_R>([&](auto k) { keep(k, table_value(radial, place, k.value, at)); });
    } else if constexpr (RADIAL_KIND == BasisKind::recurrence) {
        Recurrence P(radial.recurrence, N_Q);
        unrolled<0, N_R>([&](auto k) {
            P.step(k.value, at);
            keep(k, P.now);
        });
    } else {
        constexpr int FIRST = N_MOMENT_DEGREES ? N_Q : 0;
        Recurrence P(radial.recurrence, N_Q);
        ValueSlope f[N_R - FIRST + 1] = {};  // one more: there may be none
        const real *w = radial.weights + int64_t(pair) * N_Q * (N_R - FIRST);
        ACEPAIR_NO_UNROLL
        for (int q = 0; q < N_Q; ++q, w += N_R - FIRST) {
            P.step(q, at);
            if constexpr (N_MOMENT_DEGREES) keep(q, P.now);
            unrolled<0, N_R - FIRST>([&](auto k) {
                const real w_k = read(w + k.value);
                f[k.value].value += w_k * P.now.value;
                if constexpr (SLOPES) f[k.value].slope += w_k * P.now.slope;
            });
        }
        unrolled<FIRST, N_R>([&](auto k) { keep(k, f[k.value - FIRST]); });
    }
}

/// Value and slope of all pair terms together.
ACEPAIR_DEVICE ValueSlope pair_terms(const Radial *terms, int pair, real r, real inverse_r) {
    ValueSlope total = {0, 0};
    for (int n = 0; n < N_PAIR_TERMS; ++n) {
        const Radial &radial = terms[n];
        const Radius at = radius(radial, pair, r, inverse_r);
        if (BasisKind(radial.kind) == BasisKind::table) {
            const ValueSlope f = table_value(radial, find_in_table(radial, pair, at.y.value), 0, at);
            total.value += f.value, total.slope += f.slope;
            continue;
        }
        const int n_q = int(radial.n_polynomials);
        const real *const w = radial.weights + int64_t(pair) * n_q;
        Recurrence P(radial.recurrence, n_q);
        for (int q = 0; q < n_q; ++q) {
            P.step(q, at);
            total.value += read(w + q) * P.now.value, total.slope += read(w + q) * P.now.slope;
        }
    }
    return total;
}

}  // namespace acepair::gpu
