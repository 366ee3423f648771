// pair_style acepair/python: acepair in Python, hosted in LAMMPS, does the evaluation.
#pragma once

#include "pair_acepair.hpp"
#include "python_host.hpp"

namespace LAMMPS_NS {

class PairACEPairPython : public PairACEPair {
public:
    explicit PairACEPairPython(LAMMPS *lammps);
    ~PairACEPairPython() override;

    void settings(int narg, char **arg) override;
    void coeff(int narg, char **arg) override;
    void *extract(const char *name, int &dim) override;

protected:
    const char *style_name() const override { return "acepair/python"; }
    std::string engine_name() const override { return "Python on " + device; }
    void add_plan(size_t k, bool new_list) override;

private:
    /// What Python holds views of; it gets new ones when something has moved.
    struct Bound {
        int64_t n_orders = -1;
        const double *xyzs = nullptr, *forces = nullptr;
        std::vector<double> energies;
        double virial[9] = {};
    };

    std::string device;
    acepair::PyObject *host = nullptr;  ///< acepair.lammps.hosted.Hosted
    std::vector<Bound> bound;

    const acepair::PythonHost &python();
    void close();
    void bind(size_t k);
    void step(size_t k);
    std::string take_text(acepair::PyObject *result);
};

}  // namespace LAMMPS_NS
