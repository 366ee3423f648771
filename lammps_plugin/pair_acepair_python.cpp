#include "pair_acepair_python.hpp"

#include <algorithm>
#include <stdexcept>

#include "atom.h"
#include "error.h"
#include "together.hpp"

using namespace LAMMPS_NS;
using acepair::PyObject;
using acepair::PythonHost;

PairACEPairPython::PairACEPairPython(LAMMPS *lammps) : PairACEPair(lammps) {}

PairACEPairPython::~PairACEPairPython() { close(); }

void PairACEPairPython::forget() {
    PairACEPair::forget();
    close();
}

void PairACEPairPython::close() {
    views.clear();
    if (!host) return;
    const PythonHost::Lock lock(PythonHost::get());
    PythonHost::get().decrement(host);
    host = nullptr;
}

void PairACEPairPython::settings(int narg, char **arg) {
    const std::string wanted = narg == 1 ? arg[0] : "";
    if (wanted != device) forget();
    device = "";
    if (wanted != "cpu" && wanted != "cuda") error->all(FLERR, "Pair style acepair/python takes one argument, cpu or cuda");
    PairACEPair::settings(0, nullptr);
    device = wanted;
}

void PairACEPairPython::open_engine(const std::string &path) {
    start_python();
    const std::string problem = create_host(path);
    refuse_together(lmp, FLERR, problem.empty() ? "" : "Pair style acepair/python: " + problem);
}

void PairACEPairPython::start_python() {
    std::string problem;
    try {
        PythonHost::get();
    } catch (const std::runtime_error &failure) {
        problem = std::string("Pair style acepair/python: ") + failure.what();
    }
    refuse_together(lmp, FLERR, problem);
}

/// Returns what went wrong, "" for nothing.
std::string PairACEPairPython::create_host(const std::string &path) {
    const PythonHost &py = PythonHost::get();
    const PythonHost::Lock lock(py);
    PyObject *const module = py.import_module("acepair.lammps.hosted");
    PyObject *const created = module ? py.call_method(module, "Hosted", nullptr) : nullptr;
    if (module) py.decrement(module);
    if (!created) {
        py.print_error();
        return "Python cannot import acepair, see above";
    }
    host = created;  // forget() gives it up, whatever happens next
    return answer(py.call_method(host, "open", "ss", path.c_str(), device.c_str()));
}

/// Python's answer: what went wrong, "" for nothing. Takes the reference.
std::string PairACEPairPython::answer(PyObject *result) {
    const PythonHost &py = PythonHost::get();
    const char *const text = result ? py.utf8(result) : nullptr;
    const std::string problem = text ? text : "Python raised the error above";
    if (!text) py.print_error();
    if (result) py.decrement(result);
    return problem;
}

/// While a step runs the ranks do not wait for each other: one stops all.
void PairACEPairPython::stop_if(const std::string &problem) {
    if (!problem.empty()) error->one(FLERR, "Pair style acepair/python: {}", problem);
}

void PairACEPairPython::add_plan(size_t k) {
    views.resize(packed_atoms.size());
    const acepair::PackedAtoms &packed = packed_atoms[k];
    if (packed.centre_blocks.blocks.empty()) return;
    PythonViews &mine = views[k];
    const PythonHost::Lock lock(PythonHost::get());
    if (mine.n_cuts != packed.n_cuts || mine.xyzs != packed.xyzs.data() || mine.forces != forces.data()) bind(k);
    std::fill(mine.energies.begin(), mine.energies.end(), 0.0);
    std::fill(mine.virial, mine.virial + 9, 0.0);
    step(k);
    for (const int32_t i : packed.centres) {
        if (eflag_global) eng_vdwl += mine.energies[i];
        if (eflag_atom) eatom[i] += mine.energies[i];
    }
    if (vflag_global && !vflag_fdotr) add_virial(mine.virial);
    if (vflag_atom || cvflag_atom) add_list_virials(k);
}

void PairACEPairPython::bind(size_t k) {
    const PythonHost &py = PythonHost::get();
    const acepair::PackedAtoms &packed = packed_atoms[k];
    PythonViews &mine = views[k];
    mine.n_cuts = packed.n_cuts, mine.xyzs = packed.xyzs.data(), mine.forces = forces.data();
    mine.energies.resize(atom->nlocal);
    stop_if(answer(py.call_method(host, "bind", "nNNNNNNNN", long(k), py.view(packed.xyzs), py.view(neighbors.first), py.view(neighbors.neighbor),
                                  py.view(packed.centres), py.view(mine.energies), py.view(forces),
                                  py.view(mine.virial, 9), py.view(mine.coincident, 2))));
}

void PairACEPairPython::step(size_t k) {
    const PythonHost &py = PythonHost::get();
    PythonViews &mine = views[k];
    mine.coincident[0] = mine.coincident[1] = -1;
    if (vflag_atom || cvflag_atom) {
        gradients.assign(3 * neighbors.neighbor.size(), 0.0);
        stop_if(answer(py.call_method(host, "step", "nN", long(k), py.view(gradients))));
    } else {
        stop_if(answer(py.call_method(host, "step", "n", long(k))));
    }
    if (mine.coincident[0] >= 0) refuse_coincident(mine.coincident[0], mine.coincident[1]);
}

void PairACEPairPython::add_list_virials(size_t k) {
    const double *const xyzs = packed_atoms[k].xyzs.data();
    for (const int32_t i : packed_atoms[k].centres)
        for (int64_t e = neighbors.first[i]; e < neighbors.first[i + 1]; ++e) {
            const double *const from = xyzs + 4 * size_t(i), *const to = xyzs + 4 * size_t(neighbors.neighbor[e]);
            const double D[3] = {to[0] - from[0], to[1] - from[1], to[2] - from[2]};
            add_edge_virial(i, neighbors.neighbor[e], D, gradients.data() + 3 * e);
        }
}

void *PairACEPairPython::extract(const char *, int &) { return nullptr; }
