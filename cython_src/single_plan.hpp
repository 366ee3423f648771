// A plan rounded to single precision, with the arrays it points to.
#pragma once

#include <algorithm>
#include <memory>
#include <mutex>
#include <vector>

#include "core/plan.hpp"
#include "plan_arrays.hpp"

namespace acepair {

class SinglePlan {
public:
    PlanOf<float> plan{};

    explicit SinglePlan(const Plan &p) {
        const int64_t n_pairs = int64_t(p.n_species) * p.n_species;
        plan.n_species = p.n_species, plan.E0 = p.E0, plan.rcut = rounded(p.rcut, n_pairs);
        for (int t = 0; t < p.n_pair_terms; ++t) pair_terms.push_back(rounded(p.pair_terms[t], n_pairs));
        plan.n_pair_terms = p.n_pair_terms, plan.pair_terms = pair_terms.data();
        plan.lmax = p.lmax, plan.spherical = p.spherical;
        if (p.lmax < 0) return;
        plan.radial = rounded(p.radial, n_pairs);
        plan.n_A = p.n_A, plan.run_first = p.run_first, plan.runs = p.runs;
        plan.group_first = p.group_first, plan.groups = p.groups, plan.n_sums = p.n_sums, plan.sum_node = p.sum_node;
        plan.n_without_sum = p.n_without_sum, plan.nodes_without_sum = p.nodes_without_sum;
        const Moments &m = p.moments;
        plan.moments = {m.n_degrees, m.n, m.n_functions, rounded(m.weights, n_pairs * m.n_functions * p.radial.n_polynomials)};
        plan.harmonics = rounded(p.harmonics, 5 * (p.lmax + 1) * (p.lmax + 2) / 2);
        const Dag &d = p.dag;
        const int64_t n_coefficients = int64_t(p.n_species) * (int64_t(p.n_A) + d.n_internal + d.n_leaves);
        plan.dag = {d.n_internal, d.n_leaves, d.n_groups, d.parent, d.factor, d.group_parent, d.group_first, d.leaf_factor,
                    rounded(d.coefficients, n_coefficients)};
    }
    SinglePlan(const SinglePlan &) = delete;
    SinglePlan &operator=(const SinglePlan &) = delete;

private:
    static constexpr int widest = 16;  ///< numbers in the widest vector, beyond plan.py's TABLE_COLUMNS: what tables are padded to

    PlanArrays<float> arrays;
    std::vector<RadialPlanOf<float>> pair_terms;

    const float *rounded(const double *values, int64_t n) {
        if (!values) return nullptr;
        float *const to = arrays.zeros(n);
        std::copy_n(values, n, to);
        return to;
    }

    RadialPlanOf<float> rounded(const RadialPlan &r, int64_t n_pairs) {
        static_assert(sizeof(TransformParameters) == 8 * sizeof(double) && sizeof(EnvelopeParameters) == 6 * sizeof(double));
        RadialPlanOf<float> to{};
        to.n_functions = r.n_functions, to.kind = r.kind, to.n_polynomials = r.n_polynomials;
        to.chebyshev = r.chebyshev;
        to.transform = reinterpret_cast<const TransformParametersOf<float> *>(rounded(&r.transform->kind, 8 * n_pairs));
        to.envelope = reinterpret_cast<const EnvelopeParametersOf<float> *>(rounded(&r.envelope->kind, 6 * n_pairs));
        to.rcut = rounded(r.rcut, n_pairs);
        to.A = rounded(r.A, r.n_polynomials), to.B = rounded(r.B, r.n_polynomials), to.C = rounded(r.C, r.n_polynomials);
        to.weights = rounded(r.weights, n_pairs * r.n_functions * r.n_polynomials);
        to.n_intervals = r.n_intervals, to.degree = r.degree, to.n_columns = (r.n_columns + widest - 1) / widest * widest;
        if (!r.table) return to;
        const int64_t n_rows = n_pairs * r.n_intervals * (r.degree + 1);
        float *const table = arrays.zeros(n_rows * to.n_columns);
        for (int64_t row = 0; row < n_rows; ++row)
            for (int c = 0; c < r.n_columns; ++c) table[row * to.n_columns + c] = float(r.table[row * r.n_columns + c]);
        to.table = table;
        return to;
    }
};

/// A plan in single precision that is made when it is first asked for, by whichever thread that is.
class SinglePlanOnDemand {
public:
    const PlanOf<float> &of(const Plan &plan) {
        std::call_once(once, [&] { made.reset(new SinglePlan(plan)); });
        return made->plan;
    }

private:
    std::once_flag once;
    std::unique_ptr<SinglePlan> made;
};

}  // namespace acepair
