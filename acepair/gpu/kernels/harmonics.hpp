// Real solid harmonics degree by degree, and the contraction of an adjoint with their gradients: the recurrences of
// core/harmonics.hpp, run through all m of one l before the next, so that only two degrees are in registers at a time.
#pragma once

#include "arguments.hpp"

namespace acepair::gpu {

ACEPAIR_DEVICE constexpr int lm_index(int l, int m) { return l * (l + 1) / 2 + m; }

/// Y_lm of one vector, for m = −l..l at y[0..2l], by next<0>, next<1>, ..., next<l>.
struct Harmonics {
    real x, y, z, r2;
    real c[LMAX + 1], s[LMAX + 1];    ///< Re and Im of (x + iy)^m
    real q1[LMAX + 1], q2[LMAX + 1];  ///< Q of the last two degrees

    ACEPAIR_DEVICE Harmonics(real x_, real y_, real z_) : x(x_), y(y_), z(z_), r2(x_ * x_ + y_ * y_ + z_ * z_) {}

    template <int L> ACEPAIR_DEVICE void next(real *values) {
        if constexpr (L == 0) {
            c[0] = 1, s[0] = 0;
        } else {
            c[L] = x * c[L - 1] - y * s[L - 1];
            s[L] = x * s[L - 1] + y * c[L - 1];
        }
        unrolled<0, L + 1>([&](auto number) {
            constexpr int m = number.value, lm = lm_index(L, m);
            real q = HARMONICS_A[lm];
            if constexpr (m < L) q *= z * q1[m];
            if constexpr (m + 1 < L) q -= HARMONICS_B[lm] * r2 * q2[m];
            if constexpr (m < L) q2[m] = q1[m];
            q1[m] = q;
            values[L + m] = q * c[m];
            if constexpr (m > 0) values[L - m] = q * s[m];
        });
    }
};

/// (gx, gy, gz) += Σ_m Y_adj[lm] ∇Y_lm of one degree L ≥ 1, given the harmonics of degree L − 1 at below[0..2L − 2].
template <int L> ACEPAIR_DEVICE void add_harmonics_gradient(const real *below, const real *adj, real &gx, real &gy, real &gz) {
    const real *v = below + L - 1, *w = adj + L;
    unrolled<0, L>([&](auto number) {
        constexpr int m = number.value, lm = lm_index(L, m);
        // v[±m] receives from w[±(m + 1)], which it was raised to, and from w[±(m − 1)], which it was lowered to
        const real rc = HARMONICS_RAISE[lm + 1] * w[m + 1], rs = HARMONICS_RAISE[lm + 1] * w[-m - 1];
        if constexpr (m == 0) {
            gx += v[0] * rc, gy += v[0] * rs, gz += v[0] * (HARMONICS_ALONG[lm] * w[0]);
        } else {
            const real lower = HARMONICS_LOWER[lm - 1], lc = lower * w[m - 1], ls = m == 1 ? real(0) : lower * w[1 - m];
            gx += v[m] * (rc - lc) + v[-m] * (rs - ls);
            gy += v[m] * (rs + ls) - v[-m] * (rc + lc);
            gz += HARMONICS_ALONG[lm] * (v[m] * w[m] + v[-m] * w[-m]);
        }
    });
}

}  // namespace acepair::gpu
