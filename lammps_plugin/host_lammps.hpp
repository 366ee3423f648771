// The LAMMPS that has loaded this, by its C functions only: those of C++ are looked up in it, its classes may be others than ours.
#pragma once

#include <dlfcn.h>

#include <string>

namespace acepair {

template <class Function> Function *find_symbol(void *library, const char *name) { return reinterpret_cast<Function *>(dlsym(library, name)); }

inline int lammps_setting(void *lammps, const char *name) {
    const auto setting = find_symbol<int(void *, const char *)>(RTLD_DEFAULT, "lammps_extract_setting");
    return setting ? setting(lammps, name) : -1;
}

/// What tells one LAMMPS build's classes from another's, as acepair/lammps/headers.py has it.
inline std::string lammps_descriptor(void *lammps) {
    const auto git = find_symbol<const char *()>(RTLD_DEFAULT, "_ZN9LAMMPS_NS6LAMMPS14git_descriptorEv");
    const auto version = find_symbol<int(void *)>(RTLD_DEFAULT, "lammps_version");
    std::string name = git ? git() : "";
    if (name.empty() || name == "(unknown)") name = version ? "version-" + std::to_string(version(lammps)) : "unknown";
    if (lammps_setting(lammps, "tagint") == 8) name += "-bigbig";
    if (lammps_setting(lammps, "bigint") == 4) name += "-smallsmall";
    return name;
}

/// One line, from one rank.
inline void warn(void *lammps, const std::string &text) {
    if (lammps_setting(lammps, "world_rank") > 0) return;
    // type 0 is a warning
    if (const auto report = find_symbol<void(void *, int, const char *)>(RTLD_DEFAULT, "lammps_error")) report(lammps, 0, text.c_str());
}

}  // namespace acepair
