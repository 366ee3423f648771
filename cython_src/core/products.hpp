// The product basis of W atoms of one species: energies and ∂E/∂A through the DAG of the plan.
#pragma once

#include "precision.hpp"

namespace acepair::ACEPAIR_ISA {

/// total += Σ_k c̃_k AA_k per lane. `node` holds A[0..n_A) on entry, all stored nodes on return; `node_adj[0..n_A)` becomes ∂E/∂A.
ACEPAIR_STAGE void products_forward_adjoint(const Dag &dag, int n_A, int species, Vec *__restrict node, Vec *__restrict node_adj,
                                            Vec &total) {
    const int n_nodes = n_A + dag.n_internal;
    const Real *c = dag.coefficients + int64_t(species) * (n_nodes + dag.n_leaves);
    Vec energy = broadcast(0), energy_leaves = broadcast(0);

    for (int a = 0; a < n_A; ++a) {
        const Vec w = broadcast(c[a]);
        node_adj[a] = w;
        energy += w * node[a];
    }
    for (int k = 0; k < dag.n_internal; ++k) {
        const Vec value = node[dag.parent[k]] * node[dag.factor[k]], w = broadcast(c[n_A + k]);
        node[n_A + k] = value;
        node_adj[n_A + k] = w;
        energy += w * value;
    }

    // leaves: Σ_k c_k · parent · factor_k, forward and adjoint at once, never stored
    const Real *c_leaf = c + n_nodes;
    for (int g = 0; g < dag.n_groups; ++g) {
        const int parent = dag.group_parent[g];
        const Vec p = node[parent];
        Vec sum0 = broadcast(0), sum1 = broadcast(0);
        int k = dag.group_first[g];
        const int end = dag.group_first[g + 1];
        for (; k + 1 < end; k += 2) {
            const Vec w0 = broadcast(c_leaf[k]), w1 = broadcast(c_leaf[k + 1]);
            const int f0 = dag.leaf_factor[k], f1 = dag.leaf_factor[k + 1];
            sum0 += w0 * node[f0], sum1 += w1 * node[f1];
            node_adj[f0] += w0 * p;
            node_adj[f1] += w1 * p;
        }
        if (k < end) {
            const Vec w0 = broadcast(c_leaf[k]);
            sum0 += w0 * node[dag.leaf_factor[k]];
            node_adj[dag.leaf_factor[k]] += w0 * p;
        }
        sum0 += sum1;
        node_adj[parent] += sum0;
        energy_leaves += sum0 * p;
    }

    for (int k = dag.n_internal - 1; k >= 0; --k) {
        const Vec w = node_adj[n_A + k];
        const int p = dag.parent[k], f = dag.factor[k];
        const Vec node_p = node[p], node_f = node[f];
        node_adj[p] += w * node_f;
        node_adj[f] += w * node_p;
    }
    total += energy + energy_leaves;
}

}  // namespace acepair::ACEPAIR_ISA
