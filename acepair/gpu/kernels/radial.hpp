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

/// N weights that begin, as the next ones do, where 16 bytes do.
template <int N> struct Weights {
    static constexpr int VECTOR = 16 / int(sizeof(real)), N_VECTORS = (N + VECTOR - 1) / VECTOR, SIZE = N_VECTORS * VECTOR;
    struct alignas(16) Vector {
        real x[VECTOR];
    };
    Vector vectors[N_VECTORS + 1];  ///< one more: there may be none

    ACEPAIR_DEVICE Weights(const real *p) {
        unrolled<0, N_VECTORS>([&](auto k) { vectors[k.value] = read_vector(reinterpret_cast<const Vector *>(p) + k.value); });
    }
    template <int K> ACEPAIR_DEVICE real get() const { return vectors[K / VECTOR].x[K % VECTOR]; }
};

/// What is the same for all species pairs is known when the code is compiled; −1 there means that it has to be read.
template <int KNOWN> ACEPAIR_DEVICE int known_or(const real &field) {
    if constexpr (KNOWN >= 0)
        return KNOWN;
    else
        return int(field);
}

/// y(r) and dy/dr. Component 0 is the many-body part, as everywhere here; those after it are pair terms.
template <int COMPONENT> ACEPAIR_DEVICE ValueSlope transform(const TransformParameters &t, real r) {
    const auto kind = TransformKind(known_or<TRANSFORM_KIND[COMPONENT]>(t.kind));
    if (kind == TransformKind::affine) return {t.scale * (r - t.rin) - 1, t.scale};
    const int p = known_or<TRANSFORM_P[COMPONENT]>(t.p), q = known_or<TRANSFORM_Q[COMPONENT]>(t.q);
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
template <int COMPONENT> ACEPAIR_DEVICE ValueSlope envelope(const EnvelopeParameters &e, real r, real inverse_r, ValueSlope y) {
    const auto kind = EnvelopeKind(known_or<ENVELOPE_KIND[COMPONENT]>(e.kind));
    const int p1 = known_or<ENVELOPE_P1[COMPONENT]>(e.p1), p2 = known_or<ENVELOPE_P2[COMPONENT]>(e.p2);
    switch (kind) {
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

/// What the radial functions of one component depend on; the envelope is zero from its cutoff on.
struct Transformed {
    ValueSlope y, envelope;
};

template <int COMPONENT> ACEPAIR_DEVICE Transformed transformed(const Radial &radial, int pair, real r, real inverse_r) {
    const ValueSlope y = transform<COMPONENT>(radial.transform[pair], r);
    const ValueSlope inside = envelope<COMPONENT>(radial.envelope[pair], r, inverse_r, y);
    return {y, r < radial.rcut[pair] ? inside : ValueSlope{0, 0}};
}

/// keep(k, envelope · P_k(y)), k = 0, 1, ...: P_0 = A_0, P_1 = A_1 y + B_1, P_k = (A_k y + B_k) P_{k−1} + C_k P_{k−2}. The
/// recurrence is linear, so that the envelope rides along.
template <int COMPONENT, class Keep> ACEPAIR_DEVICE void polynomials(const Transformed &distance, Keep &&keep) {
    ValueSlope now = distance.envelope, before = {0, 0};
    unrolled<0, N_POLYNOMIALS[COMPONENT]>([&](auto number) {
        constexpr int k = number.value, place = 3 * (FIRST_POLYNOMIAL[COMPONENT] + k);
        const real A = RECURRENCE[place], B = RECURRENCE[place + 1], C = RECURRENCE[place + 2];
        if constexpr (k == 0) {
            now = {A * now.value, A * now.slope};
        } else {
            const real factor = A * distance.y.value + B, factor_slope = A * distance.y.slope;
            const ValueSlope last = k == 1 ? distance.envelope : now;
            ValueSlope next = {factor * last.value, factor * last.slope + factor_slope * last.value};
            if constexpr (k > 1) next.value += C * before.value, next.slope += C * before.slope;
            before = now, now = next;
        }
        keep(number, now);
    });
}

/// Row of a table of piecewise polynomials and the place t inside the interval.
struct TablePlace {
    const real *row;
    real t, slope;  ///< slope: dt/dy
};

template <int COMPONENT> ACEPAIR_DEVICE TablePlace find_in_table(const Radial &radial, int pair, real y) {
    constexpr int n = TABLE_INTERVALS[COMPONENT];
    constexpr real slope = real(0.5) * n;
    const real u = (y + 1) * slope;
    const int i = u < 0 ? 0 : u >= n ? n - 1 : int(u);
    return {radial.table + (int64_t(pair) * n + i) * ((TABLE_DEGREE[COMPONENT] + 1) * TABLE_COLUMNS[COMPONENT]), u - i, slope};
}

template <int COMPONENT> ACEPAIR_DEVICE ValueSlope table_value(const TablePlace &place, int k, const Transformed &distance) {
    ValueSlope f = {0, 0};
    for (int d = TABLE_DEGREE[COMPONENT]; d >= 0; --d) {
        f.slope = f.slope * place.t + f.value;
        f.value = f.value * place.t + read(place.row + d * TABLE_COLUMNS[COMPONENT] + k);
    }
    f.slope *= place.slope * distance.y.slope;
    return {f.value * distance.envelope.value, f.slope * distance.envelope.value + f.value * distance.envelope.slope};
}

/// keep(k, R_k and dR_k), k < N_R, of the many-body part, the slopes of use only if SLOPES. With moments the polynomials come first.
template <bool SLOPES, class Keep>
ACEPAIR_DEVICE void radial_functions(const Radial &radial, int pair, real r, real inverse_r, Keep &&keep) {
    constexpr auto kind = BasisKind(RADIAL_KIND[0]);
    const Transformed distance = transformed<0>(radial, pair, r, inverse_r);
    if constexpr (kind == BasisKind::table) {
        const TablePlace place = find_in_table<0>(radial, pair, distance.y.value);
        unrolled<0, N_R>([&](auto k) { keep(k, table_value<0>(place, k.value, distance)); });
    } else if constexpr (kind == BasisKind::recurrence) {
        polynomials<0>(distance, keep);
    } else {
        constexpr int N_Q = N_POLYNOMIALS[0], FIRST = N_MOMENT_DEGREES ? N_Q : 0, N_CONTRACTED = N_R - FIRST;
        ValueSlope f[N_CONTRACTED + 1] = {};  // one more: there may be none
        using OfPolynomial = Weights<N_CONTRACTED>;
        const real *const weights = radial.weights + int64_t(pair) * (N_Q * OfPolynomial::SIZE);
        polynomials<0>(distance, [&](auto q, ValueSlope P) {
            if constexpr (N_MOMENT_DEGREES > 0) keep(q, P);
            const OfPolynomial of_q(weights + q.value * OfPolynomial::SIZE);
            unrolled<0, N_CONTRACTED>([&](auto k) {
                const real w = of_q.template get<k.value>();
                f[k.value].value += w * P.value;
                if constexpr (SLOPES) f[k.value].slope += w * P.slope;
            });
        });
        unrolled<0, N_CONTRACTED>([&](auto k) { keep(Int<FIRST + k.value>(), f[k.value]); });
    }
}

/// Value and slope of all pair terms together.
ACEPAIR_DEVICE ValueSlope pair_terms(const Model &model, int pair, real r, real inverse_r) {
    ValueSlope total = {0, 0};
    unrolled<1, 1 + N_PAIR_TERMS>([&](auto number) {
        constexpr int component = number.value, n_q = N_POLYNOMIALS[component];
        const Radial &radial = model.radial[component];
        const Transformed distance = transformed<component>(radial, pair, r, inverse_r);
        if constexpr (BasisKind(RADIAL_KIND[component]) == BasisKind::table) {
            const ValueSlope f = table_value<component>(find_in_table<component>(radial, pair, distance.y.value), 0, distance);
            total.value += f.value, total.slope += f.slope;
        } else {
            const Weights<n_q> weights(radial.weights + int64_t(pair) * Weights<n_q>::SIZE);
            polynomials<component>(distance, [&](auto q, ValueSlope P) {
                const real w = weights.template get<q.value>();
                total.value += w * P.value, total.slope += w * P.slope;
            });
        }
    });
    return total;
}

}  // namespace acepair::gpu
