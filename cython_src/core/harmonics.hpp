// Real solid harmonics of W vectors at once, and the contraction of an adjoint with their gradients.
//
// Y_{l,m} = Q_lm(z, r²) · Re or Im (x + iy)^|m|, normalised as acepair/basis/angular.py says: no Condon–Shortley phase, index
// l² + l + m.
// The gradient of a harmonic of degree l is a combination of harmonics of degree l − 1, so no gradient is ever stored
// (Pérez-Jordá & Yang, doi:10.1063/1.469959, equations of the regular solid harmonics).
#pragma once

#include "simd.hpp"

namespace acepair::ACEPAIR_ISA {

/// Constants by (l, m ≥ 0), index l(l+1)/2 + m: five arrays of n_constants(lmax) each, made by make_harmonics_constants.
struct HarmonicsConstants {
    const Real *a, *b;               ///< Q_lm = a z Q_{l−1,m} − b r² Q_{l−2,m}; a alone for m = l − 1; Q_ll = a
    const Real *raise, *lower, *along;  ///< of ∇Y_lm: weights of Y_{l−1,m−1}, Y_{l−1,m+1} (x, y) and Y_{l−1,m} (z)

    HarmonicsConstants(const Real *p, int lmax) {
        const int n = (lmax + 1) * (lmax + 2) / 2;
        a = p, b = p + n, raise = p + 2 * n, lower = p + 3 * n, along = p + 4 * n;
    }
};

/// Y[l² + l + m] for l ≤ lmax. LMAX = −1: lmax is known at run time only.
template <int LMAX>
ACEPAIR_FN void solid_harmonics(const HarmonicsConstants &k, int lmax_, Vec x, Vec y, Vec z, Vec *__restrict Y) {
    const int lmax = LMAX >= 0 ? LMAX : lmax_;
    const Vec r2 = x * x + y * y + z * z;
    Vec c = broadcast(1), s = broadcast(0);  // Re and Im of (x + iy)^m
#pragma GCC unroll 16
    for (int m = 0; m <= lmax; ++m) {
        Vec q2 = broadcast(0), q1 = broadcast(k.a[m * (m + 1) / 2 + m]);  // Q_{l−2,m}, Q_{l−1,m}
        Y[m * m + 2 * m] = q1 * c;
        if (m) Y[m * m] = q1 * s;
#pragma GCC unroll 16
        for (int l = m + 1; l <= lmax; ++l) {
            const int lm = l * (l + 1) / 2 + m;
            const Vec q = k.a[lm] * z * q1 - k.b[lm] * r2 * q2;
            Y[l * l + l + m] = q * c;
            if (m) Y[l * l + l - m] = q * s;
            q2 = q1, q1 = q;
        }
        const Vec c_next = x * c - y * s;
        s = x * s + y * c, c = c_next;
    }
}

/// (gx, gy, gz) += Σ_lm Y_adj[lm] ∇Y_lm, given the harmonics themselves.
template <int LMAX>
ACEPAIR_FN void add_harmonics_gradient(const HarmonicsConstants &k, int lmax_, const Vec *__restrict Y, const Vec *__restrict Y_adj,
                                       Vec &gx, Vec &gy, Vec &gz) {
    const int lmax = LMAX >= 0 ? LMAX : lmax_;
#pragma GCC unroll 16
    for (int l = 1; l <= lmax; ++l) {
        const Vec *w = Y_adj + l * l + l, *v = Y + (l - 1) * (l - 1) + l - 1;  // w[±m], v[±m]: m-th harmonic of degree l, l − 1
        const int lm = l * (l + 1) / 2;
#pragma GCC unroll 16
        for (int m = 0; m < l; ++m) {
            // v[±m] receives from w[±(m + 1)], which it was raised to, and from w[±(m − 1)], which it was lowered to
            const Vec rc = k.raise[lm + m + 1] * w[m + 1], rs = k.raise[lm + m + 1] * w[-m - 1];
            if (m == 0) {
                gx += v[0] * rc, gy += v[0] * rs, gz += v[0] * (k.along[lm] * w[0]);
                continue;
            }
            const Vec lc = k.lower[lm + m - 1] * w[m - 1], ls = m == 1 ? broadcast(0) : k.lower[lm + m - 1] * w[1 - m];
            gx += v[m] * (rc - lc) + v[-m] * (rs - ls);
            gy += v[m] * (rs + ls) - v[-m] * (rc + lc);
            gz += k.along[lm + m] * (v[m] * w[m] + v[-m] * w[-m]);
        }
    }
}

/// ∇Y_lm for all l ≤ lmax, given the harmonics: dY[lm][3].
ACEPAIR_FN void harmonics_gradients(const HarmonicsConstants &k, int lmax, const Vec *__restrict Y, Vec (*__restrict dY)[3]) {
    const Vec zero = broadcast(0);
    dY[0][0] = dY[0][1] = dY[0][2] = zero;
    for (int l = 1; l <= lmax; ++l) {
        const Vec *v = Y + (l - 1) * (l - 1) + l - 1;
        Vec(*d)[3] = dY + l * l + l;
        const auto cosine = [&](int m) { return m < l ? v[m] : zero; };
        const auto sine = [&](int m) { return m > 0 && m < l ? v[-m] : zero; };
        for (int m = 0; m <= l; ++m) {
            const int lm = l * (l + 1) / 2 + m;
            const Real raise = m ? k.raise[lm] : 0, lower = k.lower[lm], along = k.along[lm];
            const Vec c_raised = m ? raise * cosine(m - 1) : zero, c_lowered = lower * cosine(m + 1);
            const Vec s_raised = m ? raise * sine(m - 1) : zero, s_lowered = lower * sine(m + 1);
            d[m][0] = c_raised - c_lowered, d[m][1] = -s_raised - s_lowered, d[m][2] = along * cosine(m);
            if (m) d[-m][0] = s_raised - s_lowered, d[-m][1] = c_raised + c_lowered, d[-m][2] = along * sine(m);
        }
    }
}

}  // namespace acepair::ACEPAIR_ISA
