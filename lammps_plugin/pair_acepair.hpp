// pair_style acepair: Atomic Cluster Expansion over acepair's kernels.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/kernels.hpp"
#include "model_file.hpp"
#include "packed_atoms.hpp"
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
    std::unique_ptr<acepair::ModelFile> model;  ///< null until pair_coeff has succeeded
    acepair::NeighborCopy neighbors;
    std::vector<acepair::PackedAtoms> packed_atoms;  ///< one for each plan
    std::vector<double> forces;                      ///< (local atoms and ghosts, 4)

    virtual const char *style_name() const { return "acepair"; }
    virtual std::string engine_name() const { return std::string(kernels->isa) + " kernels"; }
    /// Nothing is set until pair_coeff succeeds again.
    virtual void forget();
    /// Make ready what evaluates the file, the last thing in pair_coeff that can fail.
    virtual void open_engine(const std::string &) {}
    /// Add the energies, forces and virials of one plan, whose atoms are packed.
    virtual void add_plan(size_t k);

    [[noreturn]] void refuse_coincident(int i, int j);
    void add_virial(const double *row_major);
    void add_edge_virial(int i, int j, const double *D, const double *g);

private:
    const acepair::Kernels *kernels = nullptr;
    acepair::Memory memory_of_kernels;
    double **scale = nullptr;  ///< (types + 1, types + 1); the diagonal multiplies the energy of the atoms of a type
    bool list_is_new = true, scaled = false;

    void allocate();
    std::unique_ptr<acepair::ModelFile> read_model(const std::string &file, std::string &path);
    std::vector<int32_t> find_species(const acepair::ModelFile &candidate, const std::string &file, char **names);
    std::vector<acepair::PackedAtoms> prepare_atoms(const acepair::ModelFile &candidate, const std::vector<int32_t> &species_of_type);
    void log_model(const std::string &file);
    void check_set();
    bool update_neighbors();
    void pack_atoms(bool new_list);
    bool is_scaled();
    void add_block(const acepair::CentreBlock &block, acepair::BlockResult &result);
    void scale_block(const acepair::CentreBlock &block, acepair::BlockResult &result) const;
    void add_block_virials(const acepair::CentreBlock &block, const acepair::BlockResult &result);
    void add_forces();
};

}  // namespace LAMMPS_NS
