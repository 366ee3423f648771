#pragma once
// Three-by-three linear algebra on cells. A cell is three row vectors; a point transforms as x -> x M.

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>

namespace acepair {

using Vec3 = std::array<double, 3>;
using Mat3 = std::array<Vec3, 3>;
using Axes = std::array<bool, 3>;

inline Mat3 as_matrix(const double *m) noexcept { return {{{m[0], m[1], m[2]}, {m[3], m[4], m[5]}, {m[6], m[7], m[8]}}}; }

inline Axes as_axes(const unsigned char *flags) noexcept { return {flags[0] != 0, flags[1] != 0, flags[2] != 0}; }

inline double dot(const Vec3 &a, const Vec3 &b) noexcept { return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]; }

inline Vec3 cross(const Vec3 &a, const Vec3 &b) noexcept {
    return {a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]};
}

inline Vec3 normalized(const Vec3 &a) noexcept {
    const double norm = std::sqrt(dot(a, a));
    return {a[0] / norm, a[1] / norm, a[2] / norm};
}

inline Mat3 identity() noexcept { return {{{1, 0, 0}, {0, 1, 0}, {0, 0, 1}}}; }

inline Mat3 sum(Mat3 a, const Mat3 &b) noexcept {
    for (int r = 0; r < 3; ++r)
        for (int c = 0; c < 3; ++c) a[r][c] += b[r][c];
    return a;
}

/// `cell` with every non-periodic vector replaced by a unit vector orthogonal to all others. What stood there does not
/// matter to the physics, and may be zero or parallel to a periodic vector.
inline Mat3 complete_cell(const Mat3 &cell, const Axes &periodic) noexcept {
    const int n_periodic = periodic[0] + periodic[1] + periodic[2];
    if (n_periodic == 3) return cell;
    if (n_periodic == 0) return identity();
    Mat3 completed = cell;
    if (n_periodic == 2) {
        const int k = !periodic[0] ? 0 : !periodic[1] ? 1 : 2;
        // normalised first: the product of two short vectors must not underflow
        completed[k] = normalized(cross(normalized(cell[(k + 1) % 3]), normalized(cell[(k + 2) % 3])));
        return completed;
    }
    const int k = periodic[0] ? 0 : periodic[1] ? 1 : 2;
    const Vec3 a = normalized(cell[k]);
    int least = 0;  // the Cartesian axis furthest from a
    for (int c = 1; c < 3; ++c)
        if (std::fabs(a[c]) < std::fabs(a[least])) least = c;
    const Vec3 b = normalized(cross(a, identity()[least]));
    completed[(k + 1) % 3] = b;
    completed[(k + 2) % 3] = cross(a, b);
    return completed;
}

/// Inverse of a non-singular matrix; column k is the reciprocal vector of row k.
inline Mat3 inverse(const Mat3 &m) noexcept {
    const Mat3 reciprocal = {cross(m[1], m[2]), cross(m[2], m[0]), cross(m[0], m[1])};
    const double volume = dot(m[0], reciprocal[0]);
    Mat3 inv;
    for (int row = 0; row < 3; ++row)
        for (int k = 0; k < 3; ++k) inv[row][k] = reciprocal[k][row] / volume;
    return inv;
}

/// Volume the periodic vectors span divided by the product of their lengths: 1 if orthogonal, 0 if dependent.
inline double independence(const Mat3 &cell, const Axes &periodic) noexcept {
    Mat3 completed = complete_cell(cell, periodic);
    for (Vec3 &row : completed) row = normalized(row);
    const double volume = std::fabs(dot(completed[0], cross(completed[1], completed[2])));
    // complete_cell of two parallel vectors divides by zero
    return std::isfinite(volume) ? volume : 0.0;
}

/// Least |v M| over unit vectors v: square root of the least eigenvalue of M Mᵀ, by Jacobi rotations.
inline double smallest_singular_value(const Mat3 &m) noexcept {
    Mat3 g;
    for (int r = 0; r < 3; ++r)
        for (int c = 0; c < 3; ++c) g[r][c] = dot(m[r], m[c]);
    const double trace = g[0][0] + g[1][1] + g[2][2];
    for (int sweep = 0; sweep < 30; ++sweep) {
        const double off = std::fabs(g[0][1]) + std::fabs(g[0][2]) + std::fabs(g[1][2]);
        if (!(off > 1e-17 * trace)) break;
        for (int p = 0; p < 2; ++p) {
            for (int q = p + 1; q < 3; ++q) {
                if (g[p][q] == 0.0) continue;
                const double theta = (g[q][q] - g[p][p]) / (2 * g[p][q]);
                const double t = std::copysign(1.0, theta) / (std::fabs(theta) + std::sqrt(theta * theta + 1));
                const double cos = 1 / std::sqrt(t * t + 1), sin = t * cos;
                const int k = 3 - p - q;
                g[p][p] -= t * g[p][q];
                g[q][q] += t * g[p][q];
                g[p][q] = g[q][p] = 0.0;
                const double kp = g[k][p], kq = g[k][q];
                g[k][p] = g[p][k] = cos * kp - sin * kq;
                g[k][q] = g[q][k] = sin * kp + cos * kq;
            }
        }
    }
    return std::sqrt(std::max(0.0, std::min({g[0][0], g[1][1], g[2][2]})));
}

/// F − 1 for the strain F that takes the periodic vectors of `from` to those of `to` and leaves alone whatever is
/// orthogonal to those of `from`. `from_inverse` is the inverse of `from` completed. Exactly zero if they are equal.
inline Mat3 strain(const Mat3 &from, const Mat3 &from_inverse, const Mat3 &to, const Axes &periodic) noexcept {
    Mat3 e{};
    for (int k = 0; k < 3; ++k) {
        if (!periodic[k]) continue;
        for (int r = 0; r < 3; ++r)
            for (int c = 0; c < 3; ++c) e[r][c] += from_inverse[r][k] * (to[k][c] - from[k][c]);
    }
    return e;
}

/// Is every |x_i − x0_i (1 + e)| at most `limit`? False for NaN.
inline bool displaced_at_most(double limit, const double *x, const double *x0, int64_t n, const Mat3 &e) noexcept {
    const double limit2 = limit * limit;
    const bool strained = e != Mat3{};
    for (int64_t i = 0; i < n; ++i, x += 3, x0 += 3) {
        // x − x0 first: exact zero where nothing moved, and no cancellation far from the origin
        Vec3 u = {x[0] - x0[0], x[1] - x0[1], x[2] - x0[2]};
        if (strained)
            for (int c = 0; c < 3; ++c) u[c] -= x0[0] * e[0][c] + x0[1] * e[1][c] + x0[2] * e[2][c];
        if (!(dot(u, u) <= limit2)) return false;
    }
    return true;
}

/// The structure a list was made for. Its arrays belong to the caller.
struct Reference {
    const double *positions;
    int64_t n_atoms;
    Mat3 cell, completed_inverse;
    Axes periodic;
};

inline double determinant(const Mat3 &m) noexcept { return dot(m[0], cross(m[1], m[2])); }

/// Does a list of all pairs of `made_for` closer than rcut + skin still hold all pairs closer than rcut, without many others?
/// See acepair.neighbors.NeighborCache for the proof. A cell that has grown by more than the skin leaves pairs in the list that
/// are far apart by now.
inline bool still_covers(const Reference &made_for, const double *positions, const Mat3 &cell, double rcut,
                         double skin) noexcept {
    const Mat3 e = strain(made_for.cell, made_for.completed_inverse, cell, made_for.periodic);
    const bool strained = e != Mat3{};
    const double growth = 1 + skin / rcut;
    if (strained && determinant(sum(identity(), e)) > growth * growth * growth * (1 + 1e-12)) return false;
    const double stretch = strained ? smallest_singular_value(sum(identity(), e)) : 1.0;
    const double limit = 0.5 * (stretch * (rcut + skin) - rcut);
    return limit >= 0 && displaced_at_most(limit, positions, made_for.positions, made_for.n_atoms, e);
}

}  // namespace acepair
