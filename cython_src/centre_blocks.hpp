// Which centres are evaluated together.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "core/system.hpp"

namespace acepair {

/// Centres in blocks of one species. Whatever their species, blocks are in the order of their first centres: those near one another find
/// their common neighbours in the cache.
class CentreBlocks {
public:
    std::vector<CentreBlock> blocks;
    int64_t max_neighbors = 0, max_block_neighbors = 0;  ///< in the list: of one centre, and of the centres of a block together, at most

    CentreBlocks() = default;
    CentreBlocks(CentreBlocks &&) = default;  // not to be copied: blocks point into members

    /// Cut `centres`, in the order in which to visit them, into blocks of up to `width`. Those without a species are left out.
    void cut(const System &system, const int32_t *centres, int64_t n_centres, int n_species, int width) {
        blocks.clear();
        max_neighbors = max_block_neighbors = 0;
        members.resize(n_centres + int64_t(n_species) * width);  // the last block of each species may not be full
        unfinished.assign(n_species, {none, 0});
        for (int64_t k = 0; k < n_centres; ++k) {
            const int32_t i = centres[k], species = int32_t(system.xyzs[4 * int64_t(i) + 3]);
            if (species < 0) continue;
            Unfinished &its = unfinished[species];
            if (its.block == none) {
                its = {int64_t(blocks.size()), 0};
                blocks.push_back({members.data() + its.block * width, 0, species});
            }
            CentreBlock &block = blocks[its.block];
            members[its.block * width + block.count++] = i;
            const int64_t n_neighbors = system.first[i + 1] - system.first[i];
            its.n_neighbors += n_neighbors;
            max_neighbors = std::max(max_neighbors, n_neighbors);
            max_block_neighbors = std::max(max_block_neighbors, its.n_neighbors);
            if (block.count == width) its.block = none;
        }
    }

private:
    static constexpr int64_t none = -1;
    struct Unfinished {
        int64_t block, n_neighbors;
    };
    std::vector<Unfinished> unfinished;  ///< of every species
    std::vector<int32_t> members;        ///< (blocks, width)
};

}  // namespace acepair
