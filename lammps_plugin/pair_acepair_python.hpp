// pair_style acepair/python: acepair in Python, hosted in LAMMPS, does the evaluation.
#pragma once

#include <cstdint>

#include "pair_acepair.hpp"
#include "python_host.hpp"

namespace LAMMPS_NS {

class PairACEPairPython : public PairACEPair {
public:
    explicit PairACEPairPython(LAMMPS *lammps);
    ~PairACEPairPython() override;

    void settings(int narg, char **arg) override;
    void *extract(const char *name, int &dim) override;

protected:
    const char *style_name() const override { return "acepair/python"; }
    std::string engine_name() const override { return "Python on " + device; }
    void forget() override;
    void open_engine(const std::string &path) override;
    void add_plan(size_t k) override;

private:
    /// The arrays of one plan that Python holds views of; it gets new ones when something has moved.
    struct PythonViews {
        int64_t n_cuts = -1;
        const double *xyzs = nullptr, *forces = nullptr;
        std::vector<double> energies;
        double virial[9] = {};
        int32_t coincident[2] = {-1, -1};
    };

    std::string device;
    acepair::PyObject *host = nullptr;  ///< acepair.lammps.hosted.Hosted
    std::vector<PythonViews> views;
    std::vector<double> gradients;      ///< ∂E_i/∂D of the list's edges, for per-atom virials

    void start_python();
    std::string create_host(const std::string &path);
    std::string answer(acepair::PyObject *result);
    void stop_if(const std::string &problem);
    void close();
    void bind(size_t k);
    void step(size_t k);
    void add_list_virials(size_t k);
};

}  // namespace LAMMPS_NS
