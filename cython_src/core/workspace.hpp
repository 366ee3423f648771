// What one thread remembers of a block of centres between the way forward and the way back.
#pragma once

#include "edges.hpp"
#include "precision.hpp"

namespace acepair::ACEPAIR_ISA {

ACEPAIR_FN int64_t round_up(int64_t n, int64_t multiple) { return (n + multiple - 1) / multiple * multiple; }

/// What is kept of a block of W edges between the way forward and the way back, in vectors.
struct EdgeBlockLayout {
    int64_t D = 0, r = 3, inverse_r = 4, inside = 5, slope = 6, Y = 7;  ///< inside: lanes that hold an edge
    int64_t R, dR, size;  ///< R, dR: functions in the order of places; of a series its polynomials, then the functions that edges need

    explicit EdgeBlockLayout(const Plan &plan) {
        const int64_t n_Y = (plan.lmax + 1) * (plan.lmax + 1);
        const int64_t n_polynomials = plan.radial.kind == BasisKind::series ? plan.radial.n_polynomials : 0;
        const int64_t n_R = plan.lmax < 0 ? 0 : round_up(n_polynomials + plan.radial.n_functions, W > 8 ? W : 8);  // tables write whole columns
        R = Y + n_Y, dR = R + n_R, size = dR + n_R;
    }
};

/// Blocks of edges of a team, one behind the other, to neighbours of one species.
struct Stretch {
    int32_t species, first, count;
};

/// Memory of one thread, carved from one buffer. All sizes follow from the plan and the longest neighbour list.
struct Workspace {
    EdgeBlockLayout layout;
    Edges edges[W];         ///< of every centre
    int n_species;
    int64_t max_blocks;     ///< edge blocks of one team
    Vec *edge_blocks;       ///< (W64, max_blocks, layout.size)
    Stretch *stretches;     ///< (W64, n_species), in order of species, none of them empty
    int32_t n_blocks[W64], n_stretches[W64];
    int64_t sums_stride;    ///< plan.n_sums rounded up, and W64 more: pooling stores whole vectors beyond a run's last sum
    Real *sums;             ///< (W64, sums_stride, team) sums over neighbours; on the way back ∂E/∂sums
    Vec *node, *node_adj;   ///< (n_A + n_internal + moments,) lanes are atoms
    Vec *scratch;
    Vec *Y_adj;             ///< (max_blocks, (lmax + 1)²) ∂E/∂Y of the edges of a team; Y_00, a constant, has none

    Workspace(const Plan &plan, int64_t max_neighbors, char *memory) : layout(plan), used(0), base(memory) {
        const int64_t n_z = plan.n_species, capacity = round_up(max_neighbors, W) + W;
        for (Edges &of_centre : edges) {
            of_centre.capacity = capacity;
            of_centre.x = take<Real>(n_z * capacity), of_centre.y = take<Real>(n_z * capacity);
            of_centre.z = take<Real>(n_z * capacity), of_centre.j = take<int32_t>(n_z * capacity);
            of_centre.count = take<int32_t>(n_z);
        }
        max_blocks = team * capacity / W64 + n_z;
        edge_blocks = take<Vec>(W64 * max_blocks * layout.size);
        stretches = take<Stretch>(W64 * n_z), n_species = plan.n_species;
        sums_stride = round_up(plan.n_sums, W64) + W64;
        sums = take<Real>(W64 * sums_stride * team);
        const int64_t n_nodes = plan.n_A + plan.dag.n_internal + plan.moments.n;
        node = take<Vec>(n_nodes), node_adj = take<Vec>(n_nodes);
        scratch = take<Vec>(2 * W);
        Y_adj = take<Vec>(max_blocks * (plan.lmax + 1) * (plan.lmax + 1));
    }

    Stretch *stretches_of(int t) const { return stretches + t * int64_t(n_species); }
    Vec *block(int t, int64_t b) const { return edge_blocks + (t * max_blocks + b) * layout.size; }
    Real *sums_of(int t) const { return sums + t * sums_stride * team; }
    int64_t bytes() const { return used; }

protected:
    int64_t used;
    char *base;

    template <class T> T *take(int64_t n) {
        const int64_t at = used;
        used += round_up(n * int64_t(sizeof(T)), 64);
        return base ? reinterpret_cast<T *>(base + at) : nullptr;  // without memory only sizes count
    }
};

/// use(stretch) for the edges of team t.
template <class Use>
ACEPAIR_FN void for_stretches(const Workspace &work, int t, Use use) {
    const Stretch *stretch = work.stretches_of(t), *const end = stretch + work.n_stretches[t];
    for (; stretch != end; ++stretch) use(*stretch);
}

/// use(b, V()) for the blocks b of a stretch: V = TwoVecs stands for b and b + 1 where `in_twos` allows it.
template <class Use>
ACEPAIR_FN void for_blocks(Stretch stretch, bool in_twos, Use use) {
    int b = stretch.first;
    const int end = b + stretch.count;
    for (; in_twos && b + 2 <= end; b += 2) use(b, TwoVecs());
    for (; b < end; ++b) use(b, Vec());
}

}  // namespace acepair::ACEPAIR_ISA
