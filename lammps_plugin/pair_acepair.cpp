#include "pair_acepair.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <stdexcept>

#include "atom.h"
#include "comm.h"
#include "error.h"
#include "force.h"
#include "memory.h"
#include "neigh_list.h"
#include "neighbor.h"
#include "together.hpp"
#include "update.h"

using namespace LAMMPS_NS;
using acepair::BlockResult;
using acepair::CentreBlock;

namespace {

std::string join(const std::vector<std::string> &words, const char *separator) {
    std::string text;
    for (const std::string &word : words) text += (text.empty() ? "" : separator) + word;
    return text;
}

}  // namespace

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
    const acepair::Kernels *const chosen = acepair::select_kernels(isa);
    std::vector<std::string> names;
    for (auto table = acepair::available_kernels(); *table; ++table) names.push_back((*table)->isa);
    refuse_together(lmp, FLERR, chosen ? "" : fmt::format("ACEPAIR_ISA must be one of {} on this machine, got {}", join(names, ", "), isa));
    kernels = chosen;
    list_is_new = true;  // blocks have the width of the kernels
}

void PairACEPair::forget() {
    model.reset();
    packed_atoms.clear();
}

void PairACEPair::coeff(int narg, char **arg) {
    forget();
    if (!kernels) error->all(FLERR, "pair_coeff needs a pair_style {} that was accepted", style_name());
    if (narg != 3 + atom->ntypes)
        error->all(FLERR, "Pair style {} needs 'pair_coeff * * FILE' and an element or NULL for each of {} atom types", style_name(), atom->ntypes);
    if (!allocated) allocate();
    const std::string file = arg[2];
    std::string path;
    std::unique_ptr<acepair::ModelFile> candidate = read_model(file, path);
    std::vector<acepair::PackedAtoms> prepared = prepare_atoms(*candidate, find_species(*candidate, file, arg + 3));
    open_engine(path);
    map_element2type(narg - 3, arg + 3);
    model = std::move(candidate), packed_atoms = std::move(prepared);
    for (int i = 1; i <= atom->ntypes; ++i)
        for (int j = 1; j <= atom->ntypes; ++j) scale[i][j] = 1;
    list_is_new = true;
    if (comm->me == 0) log_model(file);
}

std::unique_ptr<acepair::ModelFile> PairACEPair::read_model(const std::string &file, std::string &path) {
    auto candidate = std::make_unique<acepair::ModelFile>();
    std::string problem;
    path = utils::get_potential_file_path(file);
    try {
        if (path.empty()) throw std::runtime_error("no such file, neither as named nor in LAMMPS_POTENTIALS");
        acepair::read_model_file(path, *candidate);
    } catch (const std::exception &failure) {
        problem = fmt::format("Cannot read model {}: {}", file, failure.what());
    }
    refuse_together(lmp, FLERR, problem);
    return candidate;
}

/// The model's species of each atom type, −1 for NULL.
std::vector<int32_t> PairACEPair::find_species(const acepair::ModelFile &candidate, const std::string &file, char **names) {
    const std::vector<std::string> &known = candidate.elements;
    std::vector<int32_t> species(atom->ntypes + 1, -1);
    for (int type = 1; type <= atom->ntypes; ++type) {
        const std::string symbol = names[type - 1];
        if (symbol == "NULL") continue;
        const auto found = std::find(known.begin(), known.end(), symbol);
        if (found == known.end()) error->all(FLERR, "Element {} is not in the model {} (it has {})", symbol, file, join(known, ", "));
        species[type] = int32_t(found - known.begin());
    }
    return species;
}

std::vector<acepair::PackedAtoms> PairACEPair::prepare_atoms(const acepair::ModelFile &candidate, const std::vector<int32_t> &species_of_type) {
    std::vector<acepair::PackedAtoms> prepared;
    for (const acepair::LoadedPlan &loaded : candidate.plans) {
        std::vector<int32_t> species(species_of_type);
        for (int32_t &z : species) z = z < 0 ? -1 : loaded.species[z];
        prepared.emplace_back(std::move(species), loaded.plan.n_species);
    }
    return prepared;
}

void PairACEPair::log_model(const std::string &file) {
    std::string mapping;
    for (int type = 1; type <= atom->ntypes; ++type)
        mapping += fmt::format("{} {} -> {}", type > 1 ? "," : "", type, map[type] < 0 ? "NULL" : elements[map[type]]);
    const std::string parameters = model->n_parameters ? fmt::format(", {} linear parameters", model->n_parameters) : "";
    utils::logmesg(lmp, "{} {}: elements {}, cutoff {:.6g} A{}, {}, sha256 {:.12}; types:{}\n", style_name(), file, join(model->elements, " "),
                   model->rcut_max(), parameters, engine_name(), model->sha256, mapping);
}

/// For LAMMPS as a library, where a script goes on after an error.
void PairACEPair::check_set() {
    if (!model) error->all(FLERR, "All pair coeffs are not set");
}

void PairACEPair::init_style() {
    check_set();
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
    check_set();
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
    check_set();
    ev_init(eflag, vflag);
    pack_atoms(update_neighbors());
    scaled = is_scaled();
    forces.assign(4 * size_t(atom->nlocal + atom->nghost), 0.0);
    for (size_t k = 0; k < packed_atoms.size(); ++k) add_plan(k);
    add_forces();
    if (vflag_fdotr) virial_fdotr_compute();
}

void PairACEPair::pack_atoms(bool new_list) {
    for (acepair::PackedAtoms &packed : packed_atoms) {
        const bool other_species = packed.pack(atom->nlocal + atom->nghost, atom->x, atom->type);
        if (new_list || other_species) packed.cut(list->inum, list->ilist, neighbors, kernels->width);
    }
}

/// Whether fix adapt has set factors. Those of I = J alone have an effect.
bool PairACEPair::is_scaled() {
    bool found = false;
    for (int i = 1; i <= atom->ntypes; ++i) {
        if (map[i] < 0) continue;
        found |= scale[i][i] != 1;
        for (int j = i + 1; j <= atom->ntypes; ++j)
            if (map[j] >= 0 && scale[i][j] != 1 && scale[i][j] != scale[i][i] && scale[i][j] != scale[j][j])
                error->all(FLERR, "Pair style {}: scale {} {} has no effect: those of {} {} and {} {} multiply the energies of these atoms", style_name(),
                           i, j, i, i, j, j);
    }
    return found;
}

void PairACEPair::add_plan(size_t k) {
    const acepair::Plan &plan = model->plans[k].arranged->plan;
    const acepair::PackedAtoms &packed = packed_atoms[k];
    const acepair::CentreBlocks &centres = packed.centre_blocks;
    if (centres.blocks.empty()) return;
    const int W = kernels->width;
    const acepair::System system = packed.system(neighbors);
    const bool with_vectors = vflag_atom || cvflag_atom || scaled;
    acepair::Slots slots(memory_of_kernels, 1, W, acepair::max_edge_blocks(centres.max_block_neighbors, W, plan.n_species), with_vectors);
    char *const workspace = memory_of_kernels.workspace.reserve(kernels->workspace_bytes(plan, centres.max_neighbors));
    for (const CentreBlock &block : centres.blocks) {
        kernels->evaluate(plan, system, block, centres.max_neighbors, workspace, true, slots[0]);
        add_block(block, slots[0]);
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
    if (vflag_global && !vflag_fdotr) add_virial(result.virial);
    if (vflag_atom || cvflag_atom) add_block_virials(block, result);
}

/// LAMMPS's order is xx, yy, zz, xy, xz, yz.
void PairACEPair::add_virial(const double *row_major) {
    static constexpr int place[6] = {0, 4, 8, 1, 2, 5};
    for (int c = 0; c < 6; ++c) virial[c] += row_major[place[c]];
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

void PairACEPair::add_block_virials(const CentreBlock &block, const BlockResult &result) {
    const int W = kernels->width;
    for (int64_t k = 0, b = 0; k < block.count; ++k)
        for (const int64_t end = b + result.n_edge_blocks[k]; b < end; ++b)
            for (int e = 0; e < result.edge_count[b]; ++e) {
                const double *const D = result.vector + 3 * b * W + e, *const g = result.gradient + 3 * b * W + e;
                const double vector[3] = {D[0], D[W], D[2 * W]}, gradient[3] = {g[0], g[W], g[2 * W]};
                add_edge_virial(block.centre[k], result.edge_neighbor[b * W + e], vector, gradient);
            }
}

/// Of −D ⊗ g a half to each atom; the centroid form, which heat flux needs, all to the neighbour.
void PairACEPair::add_edge_virial(int i, int j, const double *D, const double *g) {
    if (vflag_atom) {
        const double half[6] = {0.5 * D[0] * g[0], 0.5 * D[1] * g[1], 0.5 * D[2] * g[2], 0.25 * (D[0] * g[1] + D[1] * g[0]),
                                0.25 * (D[0] * g[2] + D[2] * g[0]), 0.25 * (D[1] * g[2] + D[2] * g[1])};
        for (int c = 0; c < 6; ++c) vatom[i][c] -= half[c], vatom[j][c] -= half[c];
    }
    if (cvflag_atom) {
        static constexpr int row[9] = {0, 1, 2, 0, 0, 1, 1, 2, 2}, column[9] = {0, 1, 2, 1, 2, 2, 0, 0, 1};
        for (int c = 0; c < 9; ++c) cvatom[j][c] -= D[row[c]] * g[column[c]];
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
    for (const acepair::PackedAtoms &packed : packed_atoms) bytes += packed.bytes();
    return bytes;
}
