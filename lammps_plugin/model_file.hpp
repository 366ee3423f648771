// Model files (docs/model_file.md): what of them the kernels run. Everything an engine follows is checked here.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "arranged_plan.hpp"
#include "core/plan.hpp"
#include "harmonics_constants.hpp"
#include "memory.hpp"

namespace acepair {

/// A plan and the memory it points into.
struct LoadedPlan {
    Plan plan{};                        ///< as the file has it; `arranged` runs
    std::vector<int32_t> species;       ///< (model species,) the plan's own index of each
    std::vector<RadialPlan> pair_terms;
    std::vector<double> harmonics;
    std::deque<Buffer> arrays;
    std::unique_ptr<ArrangedPlan> arranged;  ///< what the kernels run

    double rcut_max() const;
};

struct ModelFile {
    std::vector<std::string> elements;  ///< symbols, in order of the model's species index
    std::deque<LoadedPlan> plans;       ///< their sum is the energy
    int64_t n_parameters = 0;           ///< linear ones, 0 if the file does not say
    std::string sha256;

    double rcut(int z_i, int z_j) const;  ///< Å, of the model's species, in either order
    double rcut_max() const;
};

/// Read a file; throws std::runtime_error that says what is wrong, without the file's name.
void read_model_file(const std::string &path, ModelFile &model);

}  // namespace acepair
