// What design-matrix rows need besides the plan: every basis function apart, before the readout sums them.
#pragma once

#include <cstdint>

namespace acepair {

/// Basis functions B = A2B AA of the many-body part, as sums over products of A.
struct RowPlan {
    int32_t n_functions;            ///< n_B
    int32_t max_order;              ///< factors of a product at most: the stride of jacobian_place
    const int32_t *product_first;   ///< (n_products + 1,) into product_factor
    const int32_t *product_factor;  ///< indices into A
    const int32_t *A2B_first;       ///< (n_functions + 1,)
    const int32_t *A2B_product;     ///< columns
    const double *A2B_value;
    // ∂B_b/∂A_a is stored for the pairs (b, a) that occur: row b holds jacobian_first[b] .. jacobian_first[b + 1]
    const int32_t *jacobian_first;  ///< (n_functions + 1,)
    const int32_t *jacobian_A;      ///< column a
    const int32_t *jacobian_place;  ///< per A2B entry and factor of its product: place in the row's storage
};

/// Where the rows go; null pointers are not computed. A centre of species z writes columns z · n_functions + b of the arrays
/// with n_columns; only functions begin ≤ b < end are touched, so that threads can share the outputs.
struct RowResult {
    int32_t begin, end;
    int64_t n_columns;
    double *site_basis;     ///< (n_atoms, n_functions)
    double *forces;         ///< (n_atoms, 3, n_columns)
    double *virial;         ///< (9, n_columns)
    double *jacobian;       ///< (edges of the list, 3, n_functions) ∂B_i/∂D
    const int32_t *owner;   ///< (rows of xyzs,) the atom a neighbour's force goes to
    int32_t *coincident;    ///< (2,) two atoms in the same place
};

}  // namespace acepair
