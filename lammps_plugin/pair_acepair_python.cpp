#include "pair_acepair_python.hpp"

#include <algorithm>
#include <stdexcept>

#include "atom.h"
#include "error.h"

using namespace LAMMPS_NS;
using acepair::PyObject;
using acepair::PythonHost;

PairACEPairPython::PairACEPairPython(LAMMPS *lammps) : PairACEPair(lammps) {}

PairACEPairPython::~PairACEPairPython() { close(); }

void PairACEPairPython::close() {
    if (!host) return;
    const PythonHost::Lock lock(PythonHost::get());
    PythonHost::get().decrement(host);
    host = nullptr;
}

void PairACEPairPython::settings(int narg, char **arg) {
    device = narg == 1 ? arg[0] : "";
    if (device != "cpu" && device != "cuda") error->all(FLERR, "Pair style acepair/python takes one argument, cpu or cuda");
    PairACEPair::settings(0, nullptr);
}

const PythonHost &PairACEPairPython::python() {
    try {
        return PythonHost::get();
    } catch (const std::runtime_error &failure) {
        error->all(FLERR, "Pair style acepair/python: {}", failure.what());
    }
}

/// Python's answer, "" if all went well; what it raised is in the text.
std::string PairACEPairPython::take_text(PyObject *result) {
    const PythonHost &py = PythonHost::get();
    const char *const text = result ? py.utf8(result) : nullptr;
    if (!text) {
        py.print_error();
        error->one(FLERR, "Pair style acepair/python: Python raised the error above");
    }
    const std::string answer = text;
    py.decrement(result);
    return answer;
}

void PairACEPairPython::coeff(int narg, char **arg) {
    close();
    PairACEPair::coeff(narg, arg);
    const PythonHost &py = python();
    std::string problem;
    {
        const PythonHost::Lock lock(py);
        PyObject *const module = py.import_module("acepair.lammps.hosted");
        if (module) {
            host = py.call_method(module, "Hosted", nullptr);
            py.decrement(module);
        }
        if (!host) {
            py.print_error();
            problem = "Python cannot import acepair, see above";
        } else {
            problem = take_text(py.call_method(host, "open", "ss", model_path.c_str(), device.c_str()));
        }
    }
    if (!problem.empty()) error->all(FLERR, "Pair style acepair/python: {}", problem);
    bound.clear();
    bound.resize(sites.size());
}

void PairACEPairPython::add_plan(size_t k, bool new_list) {
    update_sites(k, new_list);
    Bound &mine = bound[k];
    if (sites[k].centres.empty()) return;
    const PythonHost::Lock lock(PythonHost::get());
    const bool moved = mine.n_orders != sites[k].n_orders || mine.xyzs != sites[k].xyzs.data() || mine.forces != forces.data();
    if (moved) bind(k);
    std::fill(mine.energies.begin(), mine.energies.end(), 0.0);
    std::fill(mine.virial, mine.virial + 9, 0.0);
    step(k);
    for (const int32_t i : sites[k].centres) {
        if (eflag_global) eng_vdwl += mine.energies[i];
        if (eflag_atom) eatom[i] += mine.energies[i];
    }
    if (vflag_global && !vflag_fdotr) {
        static constexpr int row_major[6] = {0, 4, 8, 1, 2, 5};  // xx, yy, zz, xy, xz, yz
        for (int c = 0; c < 6; ++c) virial[c] += mine.virial[row_major[c]];
    }
}

void PairACEPairPython::bind(size_t k) {
    const PythonHost &py = PythonHost::get();
    const acepair::Sites &s = sites[k];
    Bound &mine = bound[k];
    mine.n_orders = s.n_orders, mine.xyzs = s.xyzs.data(), mine.forces = forces.data();
    mine.energies.resize(atom->nlocal);
    const std::string problem = take_text(py.call_method(
        host, "bind", "nNNNNNNNN", long(k), py.view(s.xyzs.data(), s.xyzs.size()), py.view(neighbors.first.data(), neighbors.first.size()),
        py.view(neighbors.neighbor.data(), neighbors.neighbor.size()), py.view(s.centres.data(), s.centres.size()),
        py.view(s.species_first.data(), s.species_first.size()), py.view(mine.energies.data(), mine.energies.size()),
        py.view(forces.data(), forces.size()), py.view(mine.virial, 9)));
    if (!problem.empty()) error->one(FLERR, "Pair style acepair/python: {}", problem);
}

void PairACEPairPython::step(size_t k) {
    const PythonHost &py = PythonHost::get();
    PyObject *result = nullptr;
    if (vflag_atom || cvflag_atom) {
        const size_t n = size_t(atom->nlocal + atom->nghost);
        static const double nothing = 0;
        result = py.call_method(host, "step_per_atom", "nNN", long(k), py.view(vflag_atom ? vatom[0] : &nothing, vflag_atom ? 6 * n : 0),
                                py.view(cvflag_atom ? cvatom[0] : &nothing, cvflag_atom ? 9 * n : 0));
    } else {
        result = py.call_method(host, "step", "n", long(k));
    }
    const std::string problem = take_text(result);
    if (problem.empty()) return;
    int i = 0, j = 0;
    if (std::sscanf(problem.c_str(), "coincident %d %d", &i, &j) == 2) refuse_coincident(i, j);
    error->one(FLERR, "Pair style acepair/python: {}", problem);
}

void *PairACEPairPython::extract(const char *, int &) { return nullptr; }
