// A plan arranged for the kernels: series in Chebyshev's polynomials, sums over neighbours in groups that one loop adds up, and radial
// weights that act after the sum over neighbours for the degrees l where that costs less.
//
// A_nlm = Σ_j R_nl Y_lm with R_nl = Σ_q W_nq P_q costs a sum over q an edge and function, value and slope; Σ_q W_nq (Σ_j P_q Y_lm) costs
// sums over neighbours for every q instead of every n, and the sum over q once an atom. Many functions of low degree favour the latter.
#pragma once

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "core/plan.hpp"
#include "plan_arrays.hpp"

namespace acepair {

class ArrangedPlan {
public:
    Plan plan;  ///< of the same energy; points into the original

    /// Basis rows, which differentiate every A, take no moments.
    ArrangedPlan(const Plan &original, bool with_moments) : plan(original) {
        for (int p = 0; p < plan.n_pair_terms; ++p) pair_terms.push_back(in_chebyshev(plan.pair_terms[p]));
        plan.pair_terms = pair_terms.data();
        if (plan.lmax < 0) return;
        plan.radial = in_chebyshev(plan.radial);
        int n_degrees = 0;
        for (int candidate = 1; candidate <= plan.lmax + 1 && with_moments && plan.radial.kind == BasisKind::series; ++candidate)
            if (cost(candidate) < std::min(cost(n_degrees), worthwhile * cost(0))) n_degrees = candidate;
        arrange(n_degrees);
    }
    ArrangedPlan(const ArrangedPlan &) = delete;
    ArrangedPlan &operator=(const ArrangedPlan &) = delete;

private:
    std::vector<int32_t> group_first;
    std::vector<RunGroup> groups;
    std::vector<int32_t> sum_node, sum_of_node, nodes_without_sum;  ///< sum_of_node: −1 if it has none; while arranging
    std::vector<RadialPlan> pair_terms;
    PlanArrays<double> arrays;

    int64_t n_pairs() const { return int64_t(plan.n_species) * plan.n_species; }

    /// use(pair, l, runs, end of runs) for every pair and degree.
    template <class Use> void for_degrees(Use use) const {
        for (int64_t pair = 0; pair < n_pairs(); ++pair)
            for (int l = 0; l <= plan.lmax; ++l) {
                const int32_t *first = plan.run_first + pair * (plan.lmax + 1) + l;
                use(pair, l, plan.runs + first[0], plan.runs + first[1]);
            }
    }

    /// The functions that the runs of l ≥ n_degrees need, in their order.
    std::vector<int32_t> functions_on_edges(int n_degrees) const {
        std::vector<int32_t> functions;
        std::vector<bool> found(plan.radial.n_functions, false);
        for_degrees([&](int64_t, int l, const Run *run, const Run *end) {
            for (; run != end && l >= n_degrees; ++run) {
                if (!found[run->function]) functions.push_back(run->function);
                found[run->function] = true;
            }
        });
        return functions;
    }

    static constexpr double worthwhile = 0.9;  ///< moments must save a tenth of this cost: below, the estimate is no better than a guess

    /// Half cycles an atom, about, of what differs between choices, for 40 neighbours and 8 lanes. Radial weights run at the rate of
    /// the multipliers, pooling at half of it; the constants fit times of random models (2 to 24 functions a degree, 1 to 4 species).
    double cost(int n_degrees) const {
        const double lanes = 8, neighbors = 40, n_species = plan.n_species, n_q = plan.radial.n_polynomials;
        const double blocks = neighbors / lanes + (n_species - 1) / 2;  // every species' last block is half empty
        double a_block = 2 * n_q * double(functions_on_edges(n_degrees).size()), an_atom = 0;
        const auto of_run = [](int l) { return 2 * (l ? 3.0 * (2 * l + 1) + 1 : 2.0); };  // there and back
        for_degrees([&](int64_t, int l, const Run *run, const Run *end) {
            if (l >= n_degrees) a_block += double(end - run) * of_run(l) / double(n_pairs());
            else an_atom += double(end - run) * 2 * n_q * (2 * l + 1) / lanes / n_species;  // mixed, there and back
        });
        for (int l = 0; l < n_degrees; ++l) {
            a_block += n_q * of_run(l);
            an_atom += 6 * n_species * n_q * (2 * l + 1);  // sums over lanes, transpositions
        }
        return blocks * a_block + an_atom;
    }

    void arrange(int n_degrees) {
        const int n_q = plan.radial.n_polynomials;
        if (n_degrees) plan.moments = {n_degrees, plan.n_species * n_q * n_degrees * n_degrees, plan.radial.n_functions, plan.radial.weights};
        make_groups(n_degrees, place_functions(n_degrees));
        plan.group_first = group_first.data(), plan.groups = groups.data();
        plan.n_sums = int32_t(sum_node.size()), plan.sum_node = sum_node.data();
        for (int a = 0; a < plan.n_A; ++a)
            if (sum_of_node[a] < 0) nodes_without_sum.push_back(a);
        sum_of_node = {};  // only needed until here
        plan.n_without_sum = int32_t(nodes_without_sum.size()), plan.nodes_without_sum = nodes_without_sum.data();
    }

    void make_groups(int n_degrees, const std::vector<int32_t> &place) {
        const int n_q = plan.radial.n_polynomials, n_z = plan.n_species, first_moment = plan.n_A + plan.dag.n_internal;
        group_first = {0};
        sum_of_node.assign(first_moment + plan.moments.n, -1);
        for_degrees([&](int64_t pair, int l, const Run *run, const Run *end) {
            if (l < n_degrees && run != end)
                groups.push_back({0, first_sum(first_moment + moment_offset(n_z, n_q, l, int(pair % n_z)), n_q * (2 * l + 1)), n_q});
            for (const size_t first_group = groups.size(); run != end && l >= n_degrees; ++run)
                append(first_group, {place[run->function], first_sum(run->first, 2 * l + 1), 1}, 2 * l + 1);
            group_first.push_back(int32_t(groups.size()));
        });
    }

    /// The first of the n sums which are the nodes from `node` on; they are new if nothing asked for them before.
    int32_t first_sum(int32_t node, int n) {
        for (int k = 0; k < n && sum_of_node[node + k] < 0; ++k) sum_of_node[node + k] = int32_t(sum_node.size()), sum_node.push_back(node + k);
        return sum_of_node[node];
    }

    /// Put functions in the order in which edges need them, and drop those which none does; returns where each is among what edges have.
    std::vector<int32_t> place_functions(int n_degrees) {
        RadialPlan &radial = plan.radial;
        std::vector<int32_t> place(radial.n_functions);
        std::iota(place.begin(), place.end(), 0);
        if (radial.kind == BasisKind::recurrence) return place;
        const std::vector<int32_t> order = functions_on_edges(n_degrees);
        const int first_place = radial.kind == BasisKind::series ? radial.n_polynomials : 0;  // a series' polynomials come first
        for (size_t k = 0; k < order.size(); ++k) place[order[k]] = first_place + int32_t(k);
        if (int32_t(order.size()) == radial.n_functions && std::is_sorted(order.begin(), order.end())) return place;  // as it is
        if (radial.kind == BasisKind::series) {
            radial.weights = chosen(radial.weights, n_pairs(), radial.n_functions, order, int64_t(order.size()), radial.n_polynomials);
        } else {
            const int n_columns = int(order.size() + 7) / 8 * 8;
            radial.table = chosen(radial.table, n_pairs() * radial.n_intervals * (radial.degree + 1), radial.n_columns, order, n_columns, 1);
            radial.n_columns = n_columns;
        }
        radial.n_functions = int32_t(order.size());
        return place;
    }

    /// Of an (n_rows, n_columns, n) array the columns that `order` says, filled up with zeros: (n_rows, n_chosen, n).
    const double *chosen(const double *from, int64_t n_rows, int64_t n_columns, const std::vector<int32_t> &order, int64_t n_chosen, int64_t n) {
        double *const to = arrays.zeros(n_rows * n_chosen * n);
        for (int64_t row = 0; row < n_rows; ++row)
            for (size_t k = 0; k < order.size(); ++k)
                std::copy_n(from + (row * n_columns + order[k]) * n, n, to + (row * n_chosen + int64_t(k)) * n);
        return to;
    }

    /// Add a run to the last group if it is the next one, else begin a group; those before first_group belong to others.
    void append(size_t first_group, RunGroup run, int n_m) {
        if (groups.size() > first_group) {
            RunGroup &last = groups.back();
            if (run.place == last.place + last.count && run.first_sum == last.first_sum + last.count * n_m) {
                ++last.count;
                return;
            }
        }
        groups.push_back(run);
    }

    /// A series in Chebyshev's polynomials, whose recurrence is the shortest there is; any other radial plan as it is.
    RadialPlan in_chebyshev(const RadialPlan &original) {
        RadialPlan radial = original;
        const int n_q = radial.n_polynomials;
        std::vector<long double> T;
        if (radial.kind != BasisKind::series || !expand_polynomials(radial, T)) return radial;
        const int64_t n_rows = n_pairs() * radial.n_functions;
        double *const of_T = arrays.zeros(n_rows * n_q);
        for (int64_t row = 0; row < n_rows; ++row)
            for (int k = 0; k < n_q; ++k) {
                long double sum = 0;
                for (int q = k; q < n_q; ++q) sum += radial.weights[row * n_q + q] * T[q * n_q + k];
                of_T[row * n_q + k] = double(sum);
            }
        radial.chebyshev = true, radial.weights = of_T;
        return radial;
    }

    /// P_q = Σ_k T[q][k] T_k; false where digits would cancel, since Σ_k |T[q][k]| is much more than P_q is in the middle of [−1, 1]: Jacobi's
    /// polynomials of high order grow towards the ends.
    static bool expand_polynomials(const RadialPlan &radial, std::vector<long double> &T) {
        constexpr long double much = 32;  // Legendre's have 20 at degree 255
        const int n = radial.n_polynomials;
        if (n > 256) return false;
        T.assign(size_t(n) * n, 0);
        for (int q = 0; q < n; ++q) {
            long double *row = &T[size_t(q) * n], size = 0;
            if (q == 0) row[0] = radial.A[0];
            if (q == 1) row[0] = radial.B[1], row[1] = radial.A[1];  // P_1 does not carry P_0's factor
            if (q > 1) {
                const long double *previous = row - n, *before = previous - n;
                for (int k = 0; k <= q; ++k) {  // y T_k = (T_{k+1} + T_{k−1}) / 2, y T_0 = T_1
                    const long double from_below = k == 0 ? 0 : k == 1 ? previous[0] : previous[k - 1] / 2;
                    const long double from_above = k + 1 < q ? previous[k + 1] / 2 : 0;
                    row[k] = radial.A[q] * (from_below + from_above) + radial.B[q] * previous[k] + radial.C[q] * before[k];
                }
            }
            long double value = 0, slope = 0;  // of P_q at 0, the latter over q
            for (int k = 0; k <= q; ++k) {
                const int sign = k & 2 ? -1 : 1;
                if (k & 1) slope += sign * k * row[k] / q;
                else value += sign * row[k];
                size += std::fabs(row[k]);
            }
            if (!(size <= much * std::hypot(value, slope))) return false;
        }
        return true;
    }
};

}  // namespace acepair
