// pair_style acepair: Atomic Cluster Expansion over acepair's kernels.
#pragma once

#include <memory>

#include "model_file.hpp"
#include "neighbor_copy.hpp"
#include "pair.h"

namespace LAMMPS_NS {

class PairACEPair : public Pair {
public:
    explicit PairACEPair(LAMMPS *lammps);
    ~PairACEPair() override;

    void settings(int narg, char **arg) override;
    void coeff(int narg, char **arg) override;
    void init_style() override;
    double init_one(int i, int j) override;
    void init_list(int id, NeighList *new_list) override;
    void compute(int eflag, int vflag) override;
    void *extract(const char *name, int &dim) override;
    double memory_usage() override;

protected:
    std::unique_ptr<acepair::ModelFile> model;
    acepair::NeighborCopy neighbors;
    double **scale = nullptr;  ///< (types + 1, types + 1); the diagonal multiplies the energy of the atoms of a type

    virtual const char *style_name() const { return "acepair"; }
    void allocate();
    void read_model(const std::string &file);
    void map_types(const std::string &file, int narg, char **arg);
    bool update_neighbors();

private:
    const acepair::Kernels *kernels = nullptr;
    std::vector<acepair::Sites> sites;  ///< one for each plan
    acepair::Buffer workspace;
    acepair::Memory slots;
    std::vector<double> forces;         ///< (local atoms and ghosts, 4)
    bool list_is_new = true, scaled = false;

    void log_model(const std::string &file);
    void add_plan(const acepair::LoadedPlan &loaded, acepair::Sites &plan_sites, bool new_list);
    void add_block(const acepair::CentreBlock &block, acepair::BlockResult &result);
    void scale_block(const acepair::CentreBlock &block, acepair::BlockResult &result) const;
    void add_atom_virials(const acepair::CentreBlock &block, const acepair::BlockResult &result);
    void add_forces();
};

}  // namespace LAMMPS_NS
