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
    std::string model_path;  ///< where it was found
    acepair::NeighborCopy neighbors;
    double **scale = nullptr;  ///< (types + 1, types + 1); the diagonal multiplies the energy of the atoms of a type

    std::vector<acepair::Sites> sites;  ///< one for each plan
    std::vector<double> forces;         ///< (local atoms and ghosts, 4)

    virtual const char *style_name() const { return "acepair"; }
    virtual std::string engine_name() const { return std::string(kernels->isa) + " kernels"; }
    virtual void add_plan(size_t k, bool new_list);
    [[noreturn]] void refuse_coincident(int i, int j);
    void update_sites(size_t k, bool new_list);

private:
    const acepair::Kernels *kernels = nullptr;
    acepair::Buffer workspace;
    acepair::Memory slots;
    bool list_is_new = true, scaled = false;

    void allocate();
    void read_model(const std::string &file);
    void map_types(const std::string &file, int narg, char **arg);
    void log_model(const std::string &file);
    bool update_neighbors();
    void add_block(const acepair::CentreBlock &block, acepair::BlockResult &result);
    void scale_block(const acepair::CentreBlock &block, acepair::BlockResult &result) const;
    void add_atom_virials(const acepair::CentreBlock &block, const acepair::BlockResult &result);
    void add_forces();
};

}  // namespace LAMMPS_NS
