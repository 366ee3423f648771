// ∂E_i/∂D of every edge within the cutoff, and what it adds to the force on its centre.
#include "block_edges.hpp"
#include "harmonics.hpp"
#include "radial.hpp"

namespace acepair::gpu {

/// ∂E_i/∂D of one edge: along D, by the distance, and by the direction.
struct EdgeGradient {
    real slope, x, y, z;
};

/// What a channel's sums and their adjoints give: y_adj += ∂E/∂sums R, and the slope along r.
template <int L> ACEPAIR_DEVICE void add_channel(const real *sum_adj, ValueSlope R, const real *y, real *y_adj, real &slope) {
    real R_adj = 0;
    unrolled<0, 2 * L + 1>([&](auto m) {
        const real adj = read(sum_adj + m.value * PAD);
        R_adj += adj * y[m.value];
        y_adj[m.value] += adj * R.value;
    });
    slope += R_adj * R.slope;
}

/// Add the many-body part for one edge D = (x, y, z); `sums_adj` are those of its centre.
ACEPAIR_DEVICE void add_many_body(const Model &model, const real *sums_adj, int pair, real x, real y, real z, real d, real inverse_d,
                                  EdgeGradient &gradient) {
    const int32_t *const channel_sum = model.channel_sum + pair * N_CHANNELS;
    int first_sum[LMAX + 1];  // of each degree
    unrolled<0, LMAX + 1>([&](auto degree) {
        constexpr int channel = CHANNEL_FIRST[degree.value];
        first_sum[degree.value] = channel < CHANNEL_FIRST[degree.value + 1] ? read(channel_sum + channel) : -1;
    });
    const auto add = [&](auto degree, auto channel, ValueSlope R, const real *y_l, real *y_adj) {
        constexpr int offset = CHANNEL_OFFSET[channel.value];
        const int s = offset < 0 ? read(channel_sum + channel.value) : first_sum[degree.value];
        if (s < 0) return;
        add_channel<degree.value>(sums_adj + s * PAD + (offset < 0 ? 0 : offset * PAD), R, y_l, y_adj, gradient.slope);
    };

    const real scale = SPHERICAL ? inverse_d : real(1);
    Harmonics harmonics(x * scale, y * scale, z * scale);
    constexpr int N_LOW = N_MOMENT_DEGREES * N_MOMENT_DEGREES;  // harmonics of degrees whose sums are moments
    real y_low[N_LOW + 1], y_low_adj[N_LOW + 1] = {};
    unrolled<0, N_MOMENT_DEGREES>([&](auto degree) { harmonics.template next<degree.value>(y_low + degree.value * degree.value); });
    ValueSlope R[N_R];  // of those only which come with weights
    radial_functions<true>(model.radial[0], pair, d, inverse_d, [&](auto k, ValueSlope f) {
        constexpr int number = k.value;
        if constexpr (!N_MOMENT_DEGREES || number >= N_POLYNOMIALS[0])
            R[number] = f;
        else
            unrolled<0, N_MOMENT_DEGREES>([&](auto degree) {
                constexpr int l = degree.value;  // whose channels are the polynomials, unless it has none
                if constexpr (CHANNEL_FIRST[l] < CHANNEL_FIRST[l + 1])
                    add(degree, Int<CHANNEL_FIRST[l] + number>(), f, y_low + l * l, y_low_adj + l * l);
            });
    });
    real below[2 * LMAX + 1], gx = 0, gy = 0, gz = 0;
    unrolled<0, LMAX + 1>([&](auto degree) {
        constexpr int l = degree.value;
        constexpr bool low = l < N_MOMENT_DEGREES;
        real y_high[2 * l + 1], y_high_adj[2 * l + 1] = {};
        real *const y_l = low ? y_low + l * l : y_high, *const y_adj = low ? y_low_adj + l * l : y_high_adj;
        if constexpr (!low) {
            harmonics.template next<l>(y_l);
            unrolled<CHANNEL_FIRST[l], CHANNEL_FIRST[l + 1]>([&](auto channel) {
                add(degree, channel, R[CHANNEL_FUNCTION[channel.value]], y_l, y_adj);
            });
        }
        if constexpr (l > 0) add_harmonics_gradient<l>(below, y_adj, gx, gy, gz);
        unrolled<0, 2 * l + 1>([&](auto m) { below[m.value] = y_l[m.value]; });
    });
    if (SPHERICAL) {  // Y depends on u = D / d: ∂u/∂D = (1 − u ⊗ u) / d
        gx *= inverse_d, gy *= inverse_d, gz *= inverse_d;
        gradient.slope -= (gx * x + gy * y + gz * z) * inverse_d;
    }
    gradient.x += gx, gradient.y += gy, gradient.z += gz;
}

/// R and Y are evaluated anew: that is cheaper than to store and read them. Threads are edges, then components of the
/// force on a centre. Blocks: columns_per_block columns.
ACEPAIR_KERNEL(EDGE_THREADS, RESIDENT_EDGES / EDGE_THREADS)
backward(ACEPAIR_BY_VALUE(Model) model, ACEPAIR_BY_VALUE(List) list, ACEPAIR_BY_VALUE(Work) work, int64_t chunk_first,
         int64_t chunk_columns) {
    BlockEdges &block = *reinterpret_cast<BlockEdges *>(shared_memory());
    real *const gradients = reinterpret_cast<real *>(shared_memory() + BLOCK_EDGES_BYTES);  // (3, EDGE_THREADS)

    const Columns columns(work, chunk_columns);
    count_block_edges(work, chunk_first, columns, block);
    const int n_edges = block.first[MAX_COLUMNS];
    for (int tile = 0; tile < n_edges; tile += EDGE_THREADS) {
        const int tile_end = tile + EDGE_THREADS < n_edges ? tile + EDGE_THREADS : n_edges;
        ACEPAIR_PHASE(t) {
            if (tile + t >= tile_end) continue;
            const Edge edge = block_edge(list, work, chunk_first + columns.begin, block, tile + t);
            const real x = real(edge.x), y = real(edge.y), z = real(edge.z);
            const real d = sqrt(x * x + y * y + z * z), inverse_d = 1 / d;
            EdgeGradient g = {0, 0, 0, 0};
            if constexpr (HAS_MANY_BODY) {
                const real *const sums_adj = work.sums_adj + first_of_column(columns.begin + edge.column, N_SUMS);
                add_many_body(model, sums_adj, edge.pair, x, y, z, d, inverse_d, g);
            }
            g.slope += pair_terms(model, edge.pair, d, inverse_d).slope;
            const real along = g.slope * inverse_d;
            g.x += along * x, g.y += along * y, g.z += along * z;
            store_four(work.gradient + 4 * edge.index, {g.x, g.y, g.z, real(0)});
            gradients[t] = g.x, gradients[EDGE_THREADS + t] = g.y, gradients[2 * EDGE_THREADS + t] = g.z;
        }
        ACEPAIR_SYNC;
        ACEPAIR_PHASE(t) {
            for (int item = t; item < 3 * columns.n; item += EDGE_THREADS) {
                const int k = item / 3, c = item - 3 * k;
                const int from = block.first[k] > tile ? block.first[k] : tile;
                const int to = block.first[k + 1] < tile_end ? block.first[k + 1] : tile_end;
                if (from >= to) continue;
                double sum = 0;
                for (int e = from; e < to; ++e) sum += gradients[c * EDGE_THREADS + e - tile];
                work.forces[3 * int64_t(list.column_atom[chunk_first + columns.begin + k]) + c] += sum;
            }
        }
        ACEPAIR_SYNC;
    }
}

}  // namespace acepair::gpu
