// acepairplugin.so: LAMMPS loads this one; it loads the build for that very LAMMPS, or says which command makes one.
// Class layouts differ between updates of one LAMMPS version, so that a build for another would crash: this file uses none.
#include <dlfcn.h>

#include <cstdlib>
#include <string>
#include <unistd.h>
#include <vector>

#include "plugin_abi.hpp"

namespace {

template <class Function> Function *find_symbol(void *library, const char *name) {
    return reinterpret_cast<Function *>(dlsym(library, name));
}

/// What tells one LAMMPS build's classes from another's.
std::string lammps_descriptor(void *lammps) {
    if (const auto descriptor = find_symbol<const char *()>(RTLD_DEFAULT, "_ZN9LAMMPS_NS6LAMMPS14git_descriptorEv")) {
        const std::string name = descriptor();
        if (!name.empty() && name != "(unknown)") return name;
    }
    const auto version = find_symbol<int(void *)>(RTLD_DEFAULT, "lammps_version");
    return version ? "version-" + std::to_string(version(lammps)) : "unknown";
}

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

/// One line, from one rank.
void warn(void *lammps, const std::string &text) {
    const auto setting = find_symbol<int(void *, const char *)>(RTLD_DEFAULT, "lammps_extract_setting");
    if (setting && setting(lammps, "world_rank") > 0) return;
    // type 0 is a warning
    if (const auto report = find_symbol<void(void *, int, const char *)>(RTLD_DEFAULT, "lammps_error")) report(lammps, 0, text.c_str());
}

}  // namespace

void lammpsplugin_init(void *lammps, void *handle, void *register_plugin) {
    const std::string descriptor = lammps_descriptor(lammps), folder = my_folder();
    std::string file = descriptor;
    for (char &c : file)
        if (c == '/') c = '_';
    file = "acepair-" + file + ".so";
    for (const std::string &place : {folder, cache_folder()}) {
        const std::string path = place + "/" + file;
        if (place.empty() || access(path.c_str(), R_OK) != 0) continue;
        void *const library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
        const auto init = library ? find_symbol<decltype(lammpsplugin_init)>(library, "lammpsplugin_init") : nullptr;
        if (init) return init(lammps, handle, register_plugin);
        const char *const reason = dlerror();
        warn(lammps, "acepair: cannot load " + path + ": " + (reason ? reason : "it is no plugin"));
        return;
    }
    warn(lammps, "acepair: pair_style acepair is built for LAMMPS " ACEPAIR_LAMMPS_DESCRIPTOR ", this is LAMMPS " + descriptor +
                     "; 'acepair lammps build' makes a build for it");
}
