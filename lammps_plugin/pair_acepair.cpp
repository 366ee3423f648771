#include "pair_acepair.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <stdexcept>

#include "atom.h"
#include "broadcast.hpp"
#include "comm.h"
#include "error.h"
#include "force.h"
#include "memory.h"
#include "neigh_list.h"
#include "neighbor.h"
#include "update.h"

using namespace LAMMPS_NS;
using acepair::BlockResult;
using acepair::CentreBlock;

PairACEPair::PairACEPair(LAMMPS *lammps) : Pair(lammps) {
    single_enable = 0;
    restartinfo = 0;
    one_coeff = 1;
    manybody_flag = 1;
    centroidstressflag = CENTROID_AVAIL;
}

PairACEPair::~PairACEPair() {
    if (!allocated) return;
    memory->destroy(setflag);
    memory->destroy(cutsq);
    memory->destroy(scale);
}

void PairACEPair::allocate() {
    const int n = atom->ntypes + 1;
    memory->create(setflag, n, n, "pair:setflag");
    memory->create(cutsq, n, n, "pair:cutsq");
    memory->create(scale, n, n, "pair:scale");
    map = new int[n];
    for (int i = 0; i < n; ++i)
        for (int j = 0; j < n; ++j) setflag[i][j] = 0, cutsq[i][j] = 0, scale[i][j] = 1;
    allocated = 1;
}

void PairACEPair::settings(int narg, char **) {
    if (narg) error->all(FLERR, "Pair style {} takes no arguments, got {}", style_name(), narg);
    const char *const isa = std::getenv("ACEPAIR_ISA");
    kernels = acepair::select_kernels(isa);
    if (kernels) return;
    std::string names;
    for (auto table = acepair::available_kernels(); *table; ++table) names += (names.empty() ? "" : ", ") + std::string((*table)->isa);
    error->all(FLERR, "ACEPAIR_ISA must be one of {} on this machine, got {}", names, isa);
}

void PairACEPair::coeff(int narg, char **arg) {
    if (narg != 3 + atom->ntypes)
        error->all(FLERR, "Pair style {} needs 'pair_coeff * * FILE' and an element or NULL for each of {} atom types", style_name(), atom->ntypes);
    if (!allocated) allocate();
    read_model(arg[2]);
    map_types(arg[2], narg, arg);
    if (comm->me == 0) log_model(arg[2]);
}

void PairACEPair::read_model(const std::string &file) {
    model.reset();
    const auto read = [&]() -> std::string {
        const std::string path = utils::get_potential_file_path(file);
        model_path = path;
        if (path.empty()) return "no such file, neither as named nor in LAMMPS_POTENTIALS";
        try {
            auto loaded = std::make_unique<acepair::ModelFile>();
            acepair::read_model_file(path, *loaded);
            model = std::move(loaded);
        } catch (const std::exception &failure) {
            return failure.what();
        }
        return "";
    };
    // all ranks stop together where the first one fails; one that fails alone stops the others
    const std::string problem = broadcast_line(comm->me == 0 ? read() : "", comm->me, world);
    if (!problem.empty()) error->all(FLERR, "Cannot read model {}: {}", file, problem);
    if (comm->me == 0) return;
    const std::string mine = read();
    if (!mine.empty()) error->one(FLERR, "Cannot read model {}: {}", file, mine);
}

void PairACEPair::map_types(const std::string &file, int narg, char **arg) {
    map_element2type(narg - 3, arg + 3);
    std::vector<int32_t> model_species(atom->ntypes + 1, -1);
    for (int type = 1; type <= atom->ntypes; ++type) {
        if (map[type] < 0) continue;
        const std::string symbol = elements[map[type]];
        const auto found = std::find(model->elements.begin(), model->elements.end(), symbol);
        if (found == model->elements.end()) {
            std::string known;
            for (const std::string &element : model->elements) known += (known.empty() ? "" : ", ") + element;
            error->all(FLERR, "Element {} is not in the model {} (it has {})", symbol, file, known);
        }
        model_species[type] = int32_t(found - model->elements.begin());
    }
    sites.clear();
    for (const acepair::LoadedPlan &loaded : model->plans) {
        std::vector<int32_t> species(model_species);
        for (int32_t &z : species) z = z < 0 ? -1 : loaded.species[z];
        sites.emplace_back(std::move(species), loaded.plan.n_species);
    }
    for (int i = 0; i <= atom->ntypes; ++i)
        for (int j = 0; j <= atom->ntypes; ++j) scale[i][j] = 1;
    list_is_new = true;
}

void PairACEPair::log_model(const std::string &file) {
    std::string known, mapping;
    for (const std::string &element : model->elements) known += " " + element;
    for (int type = 1; type <= atom->ntypes; ++type)
        mapping += fmt::format("{} {} -> {}", type > 1 ? "," : "", type, map[type] < 0 ? "NULL" : elements[map[type]]);
    std::string functions = model->n_functions ? fmt::format(", {} functions", model->n_functions) : "";
    utils::logmesg(lmp, "{} {}: elements{}, cutoff {:.6g} A{}, {}, sha256 {:.12}; types:{}\n", style_name(), file, known, model->rcut_max(),
                   functions, engine_name(), model->sha256, mapping);
}

void PairACEPair::init_style() {
    if (std::strcmp(update->unit_style, "metal") != 0)
        error->all(FLERR, "Pair style {} requires metal units, got {}", style_name(), update->unit_style);
    if (!force->newton_pair) error->all(FLERR, "Pair style {} requires newton pair on", style_name());
    neighbor->add_request(this, NeighConst::REQ_FULL);
    list_is_new = true;
}

void PairACEPair::init_list(int id, NeighList *new_list) {
    Pair::init_list(id, new_list);
    list_is_new = true;
}

double PairACEPair::init_one(int i, int j) {
    if (!setflag[i][j]) error->all(FLERR, "All pair coeffs are not set");
    scale[j][i] = scale[i][j];
    const std::vector<std::string> &known = model->elements;
    const auto z = [&](int type) { return int(std::find(known.begin(), known.end(), elements[map[type]]) - known.begin()); };
    return model->rcut(z(i), z(j));
}

/// Follow LAMMPS's list; returns whether it is another than at the last step.
bool PairACEPair::update_neighbors() {
    const bool is_new = list_is_new || neighbor->ago == 0;
    if (is_new)
        neighbors.copy(atom->nlocal, list->inum, list->ilist, list->numneigh, list->firstneigh, NEIGHMASK, atom->x,
                       model->rcut_max() + neighbor->skin);
    list_is_new = false;
    return is_new;
}

void PairACEPair::compute(int eflag, int vflag) {
    ev_init(eflag, vflag);
    const bool new_list = update_neighbors();
    scaled = false;
    for (int type = 1; type <= atom->ntypes; ++type) scaled |= map[type] >= 0 && scale[type][type] != 1;
    forces.assign(4 * size_t(atom->nlocal + atom->nghost), 0.0);
    for (size_t k = 0; k < sites.size(); ++k) add_plan(k, new_list);
    add_forces();
    if (vflag_fdotr) virial_fdotr_compute();
}

void PairACEPair::update_sites(size_t k, bool new_list) {
    sites[k].update(atom->nlocal + atom->nghost, atom->x, atom->type, list->inum, list->ilist, neighbors, kernels->width, new_list);
}

/// Add the energies, forces and virials of one plan.
void PairACEPair::add_plan(size_t k, bool new_list) {
    update_sites(k, new_list);
    const acepair::LoadedPlan &loaded = model->plans[k];
    const acepair::Sites &plan_sites = sites[k];
    if (plan_sites.blocks.empty()) return;
    const int W = kernels->width;
    const acepair::System system = plan_sites.system(neighbors);
    const bool with_vectors = vflag_atom || cvflag_atom || scaled;
    acepair::Slots slot(slots, 1, W, plan_sites.longest_block / W + W * loaded.plan.n_species, with_vectors);
    char *const work = workspace.reserve(kernels->workspace_bytes(loaded.plan, plan_sites.longest));
    for (const CentreBlock &block : plan_sites.blocks) {
        kernels->evaluate(loaded.plan, system, block, plan_sites.longest, work, true, slot[0]);
        add_block(block, slot[0]);
    }
}

void PairACEPair::refuse_coincident(int i, int j) {
    error->one(FLERR, "Pair style {}: atoms {} and {} are in the same place", style_name(), atom->tag[i], atom->tag[j]);
}

void PairACEPair::add_block(const CentreBlock &block, BlockResult &result) {
    if (result.coincident[0] >= 0) refuse_coincident(result.coincident[0], result.coincident[1]);
    if (scaled) scale_block(block, result);
    if (eflag_either)
        for (int k = 0; k < block.count; ++k) {
            if (eflag_global) eng_vdwl += result.site_energy[k];
            if (eflag_atom) eatom[block.centre[k]] += result.site_energy[k];
        }
    kernels->add_forces(block, result, forces.data());
    if (vflag_global && !vflag_fdotr) {
        static constexpr int row_major[6] = {0, 4, 8, 1, 2, 5};  // xx, yy, zz, xy, xz, yz
        for (int c = 0; c < 6; ++c) virial[c] += result.virial[row_major[c]];
    }
    if (vflag_atom || cvflag_atom) add_atom_virials(block, result);
}

void PairACEPair::scale_block(const CentreBlock &block, BlockResult &result) const {
    const int W = kernels->width;
    std::fill(result.virial, result.virial + 9, 0.0);
    for (int64_t k = 0, b = 0; k < block.count; ++k) {
        const int type = atom->type[block.centre[k]];
        const double factor = scale[type][type];
        result.site_energy[k] *= factor;
        for (const int64_t end = b + result.n_edge_blocks[k]; b < end; ++b)
            for (int e = 0; e < W; ++e) {
                const double *const D = result.vector + 3 * b * W + e;
                double *const g = result.gradient + 3 * b * W + e;
                for (int c = 0; c < 3; ++c) g[c * W] *= factor;
                for (int c = 0; c < 9; ++c) result.virial[c] -= D[c / 3 * W] * g[c % 3 * W];
            }
    }
}

/// Of −D ⊗ g a half to each atom; the centroid form, which heat flux needs, all to the neighbour.
void PairACEPair::add_atom_virials(const CentreBlock &block, const BlockResult &result) {
    const int W = kernels->width;
    for (int64_t k = 0, b = 0; k < block.count; ++k) {
        const int i = block.centre[k];
        for (const int64_t end = b + result.n_edge_blocks[k]; b < end; ++b)
            for (int e = 0; e < result.edge_count[b]; ++e) {
                const int j = result.edge_neighbor[b * W + e];
                double v[3][3];
                for (int c = 0; c < 9; ++c) v[c / 3][c % 3] = -result.vector[(3 * b + c / 3) * W + e] * result.gradient[(3 * b + c % 3) * W + e];
                if (vflag_atom) {
                    const double symmetric[6] = {v[0][0], v[1][1], v[2][2], 0.5 * (v[0][1] + v[1][0]), 0.5 * (v[0][2] + v[2][0]),
                                                 0.5 * (v[1][2] + v[2][1])};
                    for (int c = 0; c < 6; ++c) vatom[i][c] += 0.5 * symmetric[c], vatom[j][c] += 0.5 * symmetric[c];
                }
                if (cvflag_atom) {
                    const double full[9] = {v[0][0], v[1][1], v[2][2], v[0][1], v[0][2], v[1][2], v[1][0], v[2][0], v[2][1]};
                    for (int c = 0; c < 9; ++c) cvatom[j][c] += full[c];
                }
            }
    }
}

void PairACEPair::add_forces() {
    double *const *const f = atom->f;
    const double *row = forces.data();
    const int n = atom->nlocal + atom->nghost;
    for (int i = 0; i < n; ++i, row += 4)
        for (int c = 0; c < 3; ++c) f[i][c] += row[c];
}

void *PairACEPair::extract(const char *name, int &dim) {
    dim = 2;
    return std::strcmp(name, "scale") == 0 ? scale : nullptr;
}

double PairACEPair::memory_usage() {
    double bytes = Pair::memory_usage();
    bytes += double(neighbors.first.capacity() * sizeof(int64_t) + neighbors.neighbor.capacity() * sizeof(int32_t));
    bytes += double(forces.capacity() * sizeof(double));
    for (const acepair::Sites &plan_sites : sites) bytes += plan_sites.bytes();
    return bytes;
}
