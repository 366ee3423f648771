// Memory of one evaluator: reused from call to call.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <new>
#include <vector>

#include "centre_blocks.hpp"
#include "core/system.hpp"

namespace acepair {

/// Memory that is kept between calls and grows when needed.
class Buffer {
public:
    Buffer() = default;
    Buffer(const Buffer &) = delete;
    Buffer &operator=(const Buffer &) = delete;
    ~Buffer() { std::free(memory); }

    char *reserve(int64_t bytes) {
        if (bytes > size) {
            std::free(memory);
            size = 0;
            memory = static_cast<char *>(std::aligned_alloc(64, (bytes + 63) / 64 * 64));
            if (!memory) throw std::bad_alloc();
            size = bytes;
        }
        return memory;
    }

private:
    char *memory = nullptr;
    int64_t size = 0;
};

/// Reusable memory of one evaluator.
struct Memory {
    Buffer workspace, slots;
    CentreBlocks centres;
};

/// Where results of blocks of centres wait to be added, a slot for each block.
template <class Real> class SlotsOf {
public:
    SlotsOf(Memory &memory, int64_t n_slots, int width, int64_t max_edge_blocks, bool with_vectors)
        : W(width), edge_blocks(max_edge_blocks) {
        layout(nullptr, with_vectors);
        const int64_t bytes = used;
        char *base = memory.slots.reserve(bytes * n_slots);
        for (int64_t slot = 0; slot < n_slots; ++slot) results.push_back(layout(base + slot * bytes, with_vectors));
    }
    BlockResultOf<Real> &operator[](int64_t slot) { return results[slot]; }

private:
    int W;
    int64_t edge_blocks, used = 0;
    std::vector<BlockResultOf<Real>> results;

    template <class T> T *take(char *base, int64_t n) {
        const int64_t at = used;
        used += (n * int64_t(sizeof(T)) + 63) / 64 * 64;
        return base ? reinterpret_cast<T *>(base + at) : nullptr;  // without memory only sizes count
    }
    BlockResultOf<Real> layout(char *base, bool with_vectors) {
        used = 0;
        BlockResultOf<Real> r{};
        r.site_energy = take<double>(base, W), r.virial = take<double>(base, 9);
        r.n_edge_blocks = take<int32_t>(base, W / team_size<Real>), r.edge_count = take<int32_t>(base, edge_blocks);
        r.edge_neighbor = take<int32_t>(base, edge_blocks * W), r.gradient = take<Real>(base, edge_blocks * 3 * W);
        r.vector = with_vectors ? take<Real>(base, edge_blocks * 3 * W) : nullptr;
        return r;
    }
};

using Slots = SlotsOf<double>;

/// Blocks of edges of a block of centres, at most: each holds width / team_size edges of every centre of a team, and the last of every
/// team and species may be partly empty.
template <class Real = double> int64_t max_edge_blocks(int64_t max_block_neighbors, int width, int n_species) {
    const int of_centre = width / team_size<Real>;
    return max_block_neighbors / of_centre + of_centre * n_species;
}

}  // namespace acepair
