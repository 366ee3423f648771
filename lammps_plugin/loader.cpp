// acepairplugin.so: LAMMPS loads this one; it loads the build for that very LAMMPS, or says which command makes one.
// Class layouts differ between updates of one LAMMPS version, so that a build for another would crash: this file uses none.
#include <cstdlib>
#include <string>
#include <unistd.h>

#include "host_lammps.hpp"
#include "plugin_abi.hpp"

namespace {

std::string my_folder() {
    Dl_info info{};
    if (!dladdr(reinterpret_cast<void *>(&lammpsplugin_init), &info) || !info.dli_fname) return ".";
    const std::string path = info.dli_fname;
    const size_t slash = path.rfind('/');
    return slash == path.npos ? "." : path.substr(0, slash);
}

/// Where `acepair lammps build` puts its builds.
std::string cache_folder() {
    const char *cache = std::getenv("XDG_CACHE_HOME"), *home = std::getenv("HOME");
    const std::string base = cache && *cache ? cache : home && *home ? std::string(home) + "/.cache" : "";
    return base.empty() ? "" : base + "/acepair/lammps/" ACEPAIR_VERSION;
}

}  // namespace

void lammpsplugin_init(void *lammps, void *handle, void *register_plugin) {
    const std::string descriptor = acepair::lammps_descriptor(lammps);
    std::string file = "acepair-" + descriptor + ".so";
    for (char &c : file)
        if (c == '/') c = '_';
    std::string problems;
    for (const std::string &place : {my_folder(), cache_folder()}) {
        const std::string path = place + "/" + file;
        if (place.empty() || access(path.c_str(), R_OK) != 0) continue;
        void *const library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
        const auto init = library ? acepair::find_symbol<decltype(lammpsplugin_init)>(library, "lammpsplugin_init") : nullptr;
        if (init) return init(lammps, handle, register_plugin);
        const char *const reason = dlerror();
        problems += "cannot load " + path + ": " + (reason ? reason : "it is no plugin") + "; ";
    }
    acepair::warn(lammps, "acepair: " + problems + "pair_style acepair is built for LAMMPS " ACEPAIR_LAMMPS_DESCRIPTOR ", this is LAMMPS " + descriptor +
                              "; 'acepair lammps build' makes a build for it");
}
