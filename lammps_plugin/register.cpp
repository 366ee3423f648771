// The plugin for one LAMMPS build: registers the pair styles, or says why not.
#include <string>

#include "error.h"
#include "lammps.h"
#include "pair_acepair.hpp"
#include "pair_acepair_python.hpp"
#include "plugin_abi.hpp"

using namespace LAMMPS_NS;

namespace {

template <class Style> void *create(void *lammps) { return new Style(static_cast<LAMMPS *>(lammps)); }

}  // namespace

void lammpsplugin_init(void *lammps, void *handle, void *register_plugin) {
    LAMMPS *const lmp = static_cast<LAMMPS *>(lammps);
#ifdef ACEPAIR_LAMMPS_DESCRIPTOR
    if (LAMMPS::has_git_info() && std::string(LAMMPS::git_descriptor()) != ACEPAIR_LAMMPS_DESCRIPTOR) {
        lmp->error->warning(FLERR, std::string("acepair: this plugin is built for LAMMPS " ACEPAIR_LAMMPS_DESCRIPTOR ", this is LAMMPS ") +
                                       LAMMPS::git_descriptor() + "; 'acepair lammps build' makes a build for it");
        return;
    }
#endif
    const auto add = reinterpret_cast<lammpsplugin_regfunc>(register_plugin);
    lammpsplugin_t plugin{};
    plugin.version = lmp->version;
    plugin.style = "pair";
    plugin.author = "acepair developers";
    plugin.handle = handle;

    plugin.name = "acepair";
    plugin.info = "Atomic Cluster Expansion, acepair " ACEPAIR_VERSION;
    plugin.creator.v1 = create<PairACEPair>;
    add(&plugin, lammps);

    plugin.name = "acepair/python";
    plugin.info = "Atomic Cluster Expansion in Python, acepair " ACEPAIR_VERSION;
    plugin.creator.v1 = create<PairACEPairPython>;
    add(&plugin, lammps);
}
