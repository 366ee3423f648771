// Constants of the spherical harmonics' recurrences.
#pragma once

#include <cmath>
#include <vector>

namespace acepair {

/// Constants of the harmonics' recurrences, in the layout of HarmonicsConstants.
inline std::vector<double> make_harmonics_constants(int lmax) {
    const int n = (lmax + 1) * (lmax + 2) / 2;
    std::vector<double> constants(5 * n, 0.0);
    // N_lm = sqrt((2l + 1)/4π (l − m)!/(l + m)!), times √2 if m > 0; only ratios appear, since factorials overflow
    const auto ratio = [](int l, int m, int l2, int m2) {  // N_lm / N_l2m2 for neighbouring indices
        double squared = (2 * l + 1.0) / (2 * l2 + 1.0) * (m ? 2 : 1) / (m2 ? 2 : 1);
        for (int k = l2 - m2 + 1; k <= l - m; ++k) squared *= k;
        for (int k = l - m + 1; k <= l2 - m2; ++k) squared /= k;
        for (int k = l2 + m2 + 1; k <= l + m; ++k) squared /= k;
        for (int k = l + m + 1; k <= l2 + m2; ++k) squared *= k;
        return std::sqrt(squared);
    };
    double diagonal = std::sqrt(1 / (4 * M_PI));  // Q_mm = N_mm (2m − 1)!!
    for (int m = 0; m <= lmax; ++m) {
        if (m) diagonal *= (2 * m - 1) * ratio(m, m, m - 1, m - 1);
        for (int l = m; l <= lmax; ++l) {
            const int k = l * (l + 1) / 2 + m;
            constants[k] = l == m ? diagonal : (2 * l - 1.0) / (l - m) * ratio(l, m, l - 1, m);
            if (l > m + 1) constants[n + k] = (l + m - 1.0) / (l - m) * ratio(l, m, l - 2, m);
            if (m) constants[2 * n + k] = 0.5 * (l + m) * (l + m - 1) * ratio(l, m, l - 1, m - 1);
            if (m + 1 < l) constants[3 * n + k] = (m ? 0.5 : 1.0) * ratio(l, m, l - 1, m + 1);
            if (m < l) constants[4 * n + k] = (l + m) * ratio(l, m, l - 1, m);
        }
    }
    return constants;
}

}  // namespace acepair
