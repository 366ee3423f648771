// The evaluation plan: one lowered model as flat arrays, as acepair/plan.py writes them. Engines read it, nobody changes it.
// Species pairs are numbered pair = z_i * n_species + z_j, centre first. Real is the precision of the kernels that read it: plans are
// made in double precision, single_plan.hpp rounds them.
#pragma once

#include <cstdint>

namespace acepair {

enum class TransformKind { agnesi = 0, affine = 1, count };

/// y(r). Agnesi (acepair/basis/transforms.py): s = (r − rin) · inverse_width, x = 1/(1 + a s^q/(1 + s^(q−p))), y = −1 + scale (x − x_in), at most 1.
/// Affine: y = −1 + scale (r − rin).
template <class Real> struct TransformParametersOf {
    Real kind, p, q, a, rin, inverse_width, x_in, scale;
};

enum class EnvelopeKind { one = 0, poly_2sx = 1, poly_1sr = 2, ace1_poly_1sr = 3, inverse_r = 4, count };

/// The envelope: poly_2sx: scale (1 + y)^p1 (1 − y)^p2; poly_1sr: ((r/rcut)^−p1 − 1)(1 − r/rcut); ace1_poly_1sr, with s = r/r0 and
/// sc = rcut/r0: s^−p1 − sc^−p1 + p1 sc^(−p1−1) (s − sc); inverse_r: 1/r. Parameters not named are not used.
template <class Real> struct EnvelopeParametersOf {
    Real kind, p1, p2, rcut, r0, scale;
};

enum class BasisKind { recurrence = 0, series = 1, table = 2, count };

/// Radial functions of one component, envelope(r) · f_k(y(r)), for every species pair.
template <class Real> struct RadialPlanOf {
    int32_t n_functions;                    ///< f_k, k < n_functions
    BasisKind kind;                         ///< recurrence: f_k = P_k; series: f_k = Σ_q W_kq P_q; table: piecewise polynomial
    const TransformParametersOf<Real> *transform;  ///< (n_pairs,)
    const EnvelopeParametersOf<Real> *envelope;    ///< (n_pairs,)
    const Real *rcut;                       ///< (n_pairs,) Å: functions are zero from here on; masks lanes in radial.hpp
    int32_t n_polynomials;
    const Real *A, *B, *C;                  ///< (n_polynomials,) P_k = (A_k y + B_k) P_{k−1} + C_k P_{k−2}
    bool chebyshev;                         ///< the P_k are Chebyshev's T_k, whatever A, B and C say
    const Real *weights;                    ///< (n_pairs, n_functions, n_polynomials)
    int32_t n_intervals, degree, n_columns; ///< n_columns: n_functions rounded up to a multiple of 8
    const Real *table;                      ///< (n_pairs, n_intervals, degree + 1, n_columns): powers of t ∈ [0, 1) in equal intervals of y ∈ [−1, 1]
};

/// A_nlm for m = −l..l: radial function `function` (not a place in an edge block) times Y_lm, stored at A[first .. first + 2l].
struct Run {
    int32_t function, first;
};

/// `count` runs of one l that one loop pools: R from `place` of an edge block on and sums from first_sum on, both one behind the other.
struct RunGroup {
    int32_t place, first_sum, count;
};

/// Where it costs less, radial weights act after the sum over neighbours: A_nlm = Σ_q W_nq M_qlm with the moments
/// M_qlm = Σ_j P_q Y_lm of the neighbours of one species. arranged_plan.hpp decides for which degrees.
template <class Real> struct MomentsOf {
    int32_t n_degrees;                   ///< l < n_degrees
    int32_t n;                           ///< n_species · n_polynomials · n_degrees²
    int32_t n_functions;                 ///< R_nl of the plan's runs
    const Real *weights;                 ///< (n_pairs, n_functions, n_polynomials)
};

/// M_qlm of neighbour species z_j is moment number moment_offset + q (2l + 1) + l + m.
inline constexpr int moment_offset(int n_species, int n_polynomials, int l, int z_j) {
    return n_polynomials * (n_species * l * l + z_j * (2 * l + 1));
}

/// The products of A as a graph: node n_A + k = node[parent_k] · node[factor_k] for k < n_internal; the rest are leaves,
/// read once, by the energy, in groups of equal parent.
template <class Real> struct DagOf {
    int32_t n_internal, n_leaves, n_groups;
    const int32_t *parent, *factor;      ///< (n_internal,) nodes multiplied, which come before their product
    const int32_t *group_parent;         ///< (n_groups,) node
    const int32_t *group_first;          ///< (n_groups + 1,) leaves of a group
    const int32_t *leaf_factor;          ///< (n_leaves,) node
    const Real *coefficients;            ///< (n_species, n_A + n_internal + n_leaves): c̃ of nodes, then of leaves
};

template <class Real> struct PlanOf {
    int32_t n_species;
    const double *E0;                    ///< (n_species,) eV
    const Real *rcut;                    ///< (n_pairs,) Å: the largest cutoff of the parts; edges.hpp drops edges beyond

    int32_t n_pair_terms;
    const RadialPlanOf<Real> *pair_terms;  ///< each with one function, already contracted with its weights

    int32_t lmax;                        ///< −1: no many-body part
    bool spherical;                      ///< Y_lm of the direction, else of the vector (solid harmonics)
    RadialPlanOf<Real> radial;           ///< arranged: only functions that edges need
    int32_t n_A;
    const int32_t *run_first;            ///< (n_pairs · (lmax + 1) + 1,) into runs, by pair, then l
    const Run *runs;                     ///< functions that vanish for a pair are left out
    const int32_t *group_first;          ///< (n_pairs · (lmax + 1) + 1,) into groups, by pair, then l
    const RunGroup *groups;              ///< sums over neighbours: of the runs, but moments for l < moments.n_degrees
    int32_t n_sums;
    const int32_t *sum_node;             ///< (n_sums,) the node a sum is, or n_A + n_internal + the number of a moment
    int32_t n_without_sum;
    const int32_t *nodes_without_sum;    ///< (n_without_sum,) A made of moments, or of nothing
    MomentsOf<Real> moments;
    const Real *harmonics;               ///< constants of the recurrences, see harmonics.hpp
    DagOf<Real> dag;
};

using TransformParameters = TransformParametersOf<double>;
using EnvelopeParameters = EnvelopeParametersOf<double>;
using RadialPlan = RadialPlanOf<double>;
using Moments = MomentsOf<double>;
using Dag = DagOf<double>;
using Plan = PlanOf<double>;

}  // namespace acepair
