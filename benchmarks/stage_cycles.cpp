// evaluate_block and embed of core/evaluator.hpp with the clock read between the stages. It repeats those bodies, nothing else.
#include "clock.hpp"
#include "core/kernels.cpp"
#include "evaluate.hpp"

namespace acepair::ACEPAIR_ISA {

enum Stage { edges, placing, pairs, radial, angular, sum_A, products, back, forces, n_stages };

/// Ticks of every stage; what reading the clock costs is taken off.
struct StageClock {
    uint64_t ticks[n_stages] = {}, last = 0, cost = 0;

    void start() { last = time_stamp(); }
    void end(Stage stage) {
        const uint64_t now = time_stamp();
        ticks[stage] += now - last > cost ? now - last - cost : 0;
        last = time_stamp();
    }
};

template <int LMAX>
void timed_block(const Plan &plan, const System &system, const CentreBlock &centres, Workspace &work, BlockResult &out, StageClock &clock) {
    const int z_i = centres.species, n_teams = (centres.count + team - 1) / team;
    clock.start();
    find_edges_of_block(plan, system, centres, work, out);
    clock.end(edges);
    Vec pair_energy[W64];
    int64_t first_out[W64], n_out = 0;
    for (int t = 0; t < W64; ++t) pair_energy[t] = broadcast(0), work.n_blocks[t] = 0, out.n_edge_blocks[t] = 0;
    for (int t = 0; t < n_teams; ++t) {
        clock.start();
        first_out[t] = n_out;
        place_edges(plan, centres, t, work, out, n_out);
        clock.end(placing);
        embed_pairs(plan, z_i, t, work, pair_energy[t]);
        clock.end(pairs);
        embed_radial(plan, z_i, t, work);
        clock.end(radial);
        embed_angular<LMAX>(plan, t, work);
        clock.end(angular);
        n_out += work.n_blocks[t];
        pool(plan, z_i, t, work);
        clock.end(sum_A);
    }
    clock.start();
    Vec energy = sums_over_edges(pair_energy);
    multiply(plan, z_i, work, energy);
    store_wide(out.site_energy, energy, plan.E0[z_i]);
    clock.end(products);
    Vec virial[9];
    for (Vec &v : virial) v = broadcast(0);
    for (int t = 0; t < n_teams; ++t) {
        backward<LMAX>(plan, z_i, t, work, out, first_out[t]);
        add_virial(t, work, out, first_out[t], virial);
    }
    for (int c = 0; c < 9; ++c) out.virial[c] = sum(virial[c]);
    clock.end(back);
}

void timed_sweep(const Plan &plan, const System &system, const std::vector<CentreBlock> &blocks, Workspace &work, BlockResult &out,
                 double *total, double *energies, StageClock &clock) {
    for (const CentreBlock &block : blocks) {
#define ACEPAIR_TIMED(LMAX) timed_block<LMAX>(plan, system, block, work, out, clock)
        ACEPAIR_FOR_L(plan.lmax, ACEPAIR_TIMED)
#undef ACEPAIR_TIMED
        clock.start();
        add_forces(block, out, total);
        for (int k = 0; k < block.count; ++k) energies[block.centre[k]] += out.site_energy[k];
        clock.end(forces);
    }
}

}  // namespace acepair::ACEPAIR_ISA

using namespace acepair;
using namespace acepair::ACEPAIR_ISA;

/// ticks[n_stages]: of the fastest of n_sweeps sweeps over all centres. energies (n_atoms,), forces (n_atoms + n_images, 4) are added to.
extern "C" __attribute__((visibility("default"))) void stage_ticks(const Plan *plan, const double *xyzs, const int64_t *first,
                                                                   const int32_t *neighbor, const int32_t *centres,
                                                                   int64_t n_centres, int n_sweeps, double *energies,
                                                                   double *total, double *ticks) {
    const System system{xyzs, first, neighbor};
    Memory memory;
    memory.centres.cut(system, centres, n_centres, plan->n_species, W);
    const int64_t max_neighbors = memory.centres.max_neighbors;
    Slots slots(memory, 1, W, max_edge_blocks(memory.centres.max_block_neighbors, W, plan->n_species), false);
    Workspace work(*plan, max_neighbors, memory.workspace.reserve(workspace_bytes(*plan, max_neighbors)));
    uint64_t cost = ~0ull;
    for (int k = 0; k < 1000; ++k) {
        const uint64_t start = time_stamp(), end = time_stamp();
        cost = std::min(cost, end - start);
    }
    double best = 1e300;
    for (int sweep = 0; sweep < n_sweeps; ++sweep) {
        StageClock clock;
        clock.cost = cost;
        timed_sweep(*plan, system, memory.centres.blocks, work, slots[0], total, energies, clock);
        double sum = 0;
        for (uint64_t t : clock.ticks) sum += double(t);
        if (sum >= best) continue;
        best = sum;
        for (int s = 0; s < n_stages; ++s) ticks[s] = double(clock.ticks[s]);
    }
}
