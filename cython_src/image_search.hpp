#pragma once
// Neighbours of a small structure: every image near the atoms is tried with every atom. Images are tried in the order of
// the list, so that rows come out sorted; there is no grid, no hash table and nothing to sort.

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "cell_geometry.hpp"
#include "neighbor_csr.hpp"

namespace acepair {

/// A structure to search; the positions belong to the caller.
struct SearchInput {
    const double *positions;  ///< (n_atoms, 3) Å
    int64_t n_atoms;          ///< at least 1
    Mat3 cell;
    Axes periodic;
};

/// Compressed rows of one structure: what build_csr returns.
struct Rows {
    std::vector<int64_t> first;
    std::vector<int32_t> neighbor;
    std::vector<Image> images;

    int64_t n_atoms() const { return static_cast<int64_t>(first.size()) - 1; }
};

/// What covers rounding, here and in the use of a list: added to the cutoff of a search, Å.
inline double search_margin(const double *positions, int64_t n_atoms) noexcept {
    double greatest = 0;
    for (int64_t k = 0; k < 3 * n_atoms; ++k) greatest = std::max(greatest, std::fabs(positions[k]));
    return 1e-9 + 1e-14 * greatest;
}

/// The search, and memory it reuses.
///
/// Atoms are first wrapped into the cell if they are far apart: x̃_i = x_i − w_i · cell. With S = S̃ + w_i − w_j, r_j + S · cell − r_i equals
/// x̃_j + S̃ · cell − x̃_i, and for each pair (i, j) the shifts S are in the same order as S̃.
class ImageSearch {
public:
    /// Fill `rows` with all pairs closer than `cutoff` (and some further apart by rounding). False, and nothing of use, for a
    /// structure that takes more than `max_tests` distances, or one too far from the origin.
    bool find(const SearchInput &in, double cutoff, int64_t max_tests, Rows &rows) {
        n_ = in.n_atoms;
        cutoff += search_margin(in.positions, n_);
        if (!wrap(in, cutoff) || !choose_shifts(in, cutoff, max_tests)) return false;
        list_images(in, cutoff);
        find_pairs(cutoff * cutoff, rows);
        number_images(rows);
        return true;
    }

private:
    // Beyond, rounding of fractional coordinates is no longer far below `slack`.
    static constexpr double max_cells_away = 1e6, max_cutoffs_away = 1e9, slack = 1e-6;

    int64_t n_;
    Vec3 heights_, low_, high_;            // of wrapped atoms, in units of the cell vectors
    std::vector<Vec3> wrapped_, fraction_;  // x̃ and its coordinates in cell vectors
    std::vector<Shift> cell_of_;           // w less the least w
    Shift first_shift_, n_shifts_;         // of S̃ + w_i − w_min over all pairs: the table of images is (n_atoms, *n_shifts_)

    std::vector<double> x_, y_, z_, d2_;   // images to try, sorted by (j, S̃)
    std::vector<int32_t> place_;           // of each in the table, for centres with the least w
    std::vector<int64_t> own_;             // of each atom: which image is the atom itself
    std::vector<int32_t> row_, number_;    // (table,) what an image is called in the list, or unused
    static constexpr int32_t unused = -1, used = -2;

    int64_t table_size() const { return int64_t{1} * n_shifts_[0] * n_shifts_[1] * n_shifts_[2]; }

    int32_t place(const Shift &s) const { return (s[0] * n_shifts_[1] + s[1]) * n_shifts_[2] + s[2]; }

    bool wrap(const SearchInput &in, double cutoff) {
        const Mat3 inv = inverse(complete_cell(in.cell, in.periodic));
        for (int k = 0; k < 3; ++k)
            heights_[k] = 1 / std::sqrt(inv[0][k] * inv[0][k] + inv[1][k] * inv[1][k] + inv[2][k] * inv[2][k]);
        const Vec3 limit = limits(in.periodic, cutoff);
        fraction_.resize(n_), wrapped_.resize(n_), cell_of_.assign(n_, Shift{});
        for (int64_t i = 0; i < n_; ++i) {
            const double *x = in.positions + 3 * i;
            wrapped_[i] = {x[0], x[1], x[2]};
            for (int k = 0; k < 3; ++k) {
                fraction_[i][k] = x[0] * inv[0][k] + x[1] * inv[1][k] + x[2] * inv[2][k];
                if (!(std::fabs(fraction_[i][k]) <= limit[k])) return false;
            }
        }
        for (int k = 0; k < 3; ++k) {
            find_bounds(k);
            // atoms no further apart than a cell vector need no wrapping, which might only spread them
            if (in.periodic[k] && high_[k] - low_[k] > 1) wrap_along(k, in.cell[k]);
        }
        return true;
    }

    void find_bounds(int k) {
        low_[k] = high_[k] = fraction_[0][k];
        for (const Vec3 &s : fraction_) low_[k] = std::min(low_[k], s[k]), high_[k] = std::max(high_[k], s[k]);
    }

    void wrap_along(int k, const Vec3 &vector) {
        const double least = std::floor(low_[k]);
        for (int64_t i = 0; i < n_; ++i) {
            const double w = std::floor(fraction_[i][k]);
            cell_of_[i][k] = static_cast<int32_t>(w - least);
            fraction_[i][k] -= w;
            for (int c = 0; c < 3; ++c) wrapped_[i][c] -= w * vector[c];
        }
        find_bounds(k);
    }

    Vec3 limits(const Axes &periodic, double cutoff) const {
        Vec3 limit;
        for (int k = 0; k < 3; ++k)
            limit[k] = periodic[k] ? std::min(max_cells_away, max_cutoffs_away * cutoff / heights_[k]) : max_cutoffs_away * cutoff;
        return limit;
    }

    /// The least and greatest S̃ for which an image at fraction + S̃ may be a neighbour along axis k.
    void shifts_along(int k, bool periodic, double cutoff, double fraction, double &least, double &greatest) const {
        if (!periodic) {
            least = greatest = 0;
            return;
        }
        const double reach = cutoff / heights_[k] + slack;
        least = std::ceil(low_[k] - reach - fraction), greatest = std::floor(high_[k] + reach - fraction);
    }

    bool choose_shifts(const SearchInput &in, double cutoff, int64_t max_tests) {
        double table = 1, images = 0;
        Shift most{};
        for (const Shift &w : cell_of_)
            for (int k = 0; k < 3; ++k) most[k] = std::max(most[k], w[k]);
        for (int k = 0; k < 3; ++k) {
            double least, greatest, unneeded;
            shifts_along(k, in.periodic[k], cutoff, high_[k], least, unneeded);
            shifts_along(k, in.periodic[k], cutoff, low_[k], unneeded, greatest);
            const double count = greatest - least + 1 + most[k];
            table *= count;
            if (!(count <= max_tests)) return false;
            first_shift_[k] = static_cast<int32_t>(least), n_shifts_[k] = static_cast<int32_t>(count);
        }
        for (const Vec3 &fraction : fraction_) {
            double count = 1;
            for (int k = 0; k < 3; ++k) {
                double least, greatest;
                shifts_along(k, in.periodic[k], cutoff, fraction[k], least, greatest);
                count *= greatest - least + 1;
            }
            images += count;
        }
        return images * n_ <= max_tests && table * n_ <= max_tests;
    }

    void list_images(const SearchInput &in, double cutoff) {
        Vec3 low = wrapped_[0], high = low;
        for (const Vec3 &x : wrapped_)
            for (int c = 0; c < 3; ++c) low[c] = std::min(low[c], x[c]), high[c] = std::max(high[c], x[c]);
        for (int c = 0; c < 3; ++c) low[c] -= cutoff, high[c] += cutoff;

        x_.clear(), y_.clear(), z_.clear(), place_.clear();
        own_.resize(n_);
        for (int64_t j = 0; j < n_; ++j) {
            Shift least, greatest, s;
            for (int k = 0; k < 3; ++k) {
                double a, b;
                shifts_along(k, in.periodic[k], cutoff, fraction_[j][k], a, b);
                least[k] = static_cast<int32_t>(a), greatest[k] = static_cast<int32_t>(b);
            }
            const int32_t table = static_cast<int32_t>(j * table_size());
            for (s[0] = least[0]; s[0] <= greatest[0]; ++s[0])
                for (s[1] = least[1]; s[1] <= greatest[1]; ++s[1])
                    for (s[2] = least[2]; s[2] <= greatest[2]; ++s[2]) {
                        Vec3 x = wrapped_[j];
                        bool inside = true;
                        for (int c = 0; c < 3; ++c) {
                            for (int k = 0; k < 3; ++k)
                                if (s[k]) x[c] += s[k] * in.cell[k][c];
                            inside = inside && x[c] >= low[c] && x[c] <= high[c];
                        }
                        if (is_zero(s)) own_[j] = static_cast<int64_t>(x_.size());
                        if (!inside) continue;
                        x_.push_back(x[0]), y_.push_back(x[1]), z_.push_back(x[2]);
                        place_.push_back(table + place({s[0] - first_shift_[0], s[1] - first_shift_[1], s[2] - first_shift_[2]}));
                    }
        }
    }

    /// Rows of places in the table, each sorted.
    void find_pairs(double cutoff2, Rows &rows) {
        const int64_t n_images = static_cast<int64_t>(x_.size());
        d2_.resize(n_images), row_.resize(n_images);
        number_.assign(n_ * table_size(), unused);
        rows.first.resize(n_ + 1);
        rows.first[0] = 0;
        rows.neighbor.clear();
        for (int64_t i = 0; i < n_; ++i) {
            const int32_t offset = place(cell_of_[i]);
            int64_t n = 0;
            squared_distances(wrapped_[i], n_images);
            d2_[own_[i]] = std::numeric_limits<double>::infinity();  // an atom is not its own neighbour
            for (int64_t k = 0; k < n_images; ++k) {
                row_[n] = place_[k] + offset;
                n += d2_[k] < cutoff2;
            }
            for (int64_t e = 0; e < n; ++e) number_[row_[e]] = used;
            rows.neighbor.insert(rows.neighbor.end(), row_.begin(), row_.begin() + n);
            rows.first[i + 1] = static_cast<int64_t>(rows.neighbor.size());
        }
    }

    void squared_distances(const Vec3 &centre, int64_t n) {
        const double *x = x_.data(), *y = y_.data(), *z = z_.data();
        double *d2 = d2_.data();
        for (int64_t k = 0; k < n; ++k) {
            const double dx = x[k] - centre[0], dy = y[k] - centre[1], dz = z[k] - centre[2];
            d2[k] = dx * dx + dy * dy + dz * dz;
        }
    }

    /// Number the images in use in the order of the table, which is that of (j, S), and call neighbours by these numbers.
    void number_images(Rows &rows) {
        rows.images.clear();
        for (int64_t j = 0; j < n_; ++j) {
            int32_t *number = number_.data() + j * table_size();
            Shift zero, t;  // where S = 0
            for (int k = 0; k < 3; ++k) zero[k] = cell_of_[j][k] - first_shift_[k];
            number[place(zero)] = static_cast<int32_t>(j);
            for (t[0] = 0; t[0] < n_shifts_[0]; ++t[0])
                for (t[1] = 0; t[1] < n_shifts_[1]; ++t[1])
                    for (t[2] = 0; t[2] < n_shifts_[2]; ++t[2], ++number) {
                        if (*number != used) continue;
                        *number = static_cast<int32_t>(n_ + static_cast<int64_t>(rows.images.size()));
                        rows.images.push_back({static_cast<int32_t>(j), {t[0] - zero[0], t[1] - zero[1], t[2] - zero[2]}});
                    }
        }
        for (int32_t &neighbor : rows.neighbor) neighbor = number_[neighbor];
    }
};

}  // namespace acepair
