#include "python_host.hpp"

#include <dlfcn.h>

#include <cstdlib>
#include <stdexcept>

namespace acepair {
namespace {

template <class Function> void look_up(void *library, const char *name, Function *&function) {
    function = reinterpret_cast<Function *>(dlsym(library, name));
    if (!function) throw std::runtime_error(std::string("this Python has no ") + name);
}

/// The interpreter's program is that of the environment, so that it finds the environment's packages.
void set_program_name(void *library) {
    const char *const program = std::getenv("ACEPAIR_PYTHON");
    const auto decode = reinterpret_cast<wchar_t *(*)(const char *, size_t *)>(dlsym(library, "Py_DecodeLocale"));
    const auto set = reinterpret_cast<void (*)(const wchar_t *)>(dlsym(library, "Py_SetProgramName"));
    if (program && decode && set) set(decode(program, nullptr));  // Python keeps the pointer
}

void start_python(void *library) {
    set_program_name(library);
    void (*initialize)(int) = nullptr;
    void *(*save_thread)() = nullptr;
    look_up(library, "Py_InitializeEx", initialize);
    look_up(library, "PyEval_SaveThread", save_thread);
    initialize(0);  // signals stay LAMMPS's
    save_thread();
}

}  // namespace

PythonHost::PythonHost() {
    void *library = RTLD_DEFAULT;
    if (!dlsym(library, "Py_IsInitialized")) {
        const char *const path = std::getenv("ACEPAIR_LIBPYTHON");
        library = path ? dlopen(path, RTLD_NOW | RTLD_GLOBAL) : nullptr;
        if (!library)
            throw std::runtime_error(path ? std::string("cannot load Python: ") + dlerror()
                                          : "this Python has no shared library; run LAMMPS from Python instead: python -m acepair.lmp -in FILE");
    }
    int (*is_initialized)() = nullptr;
    look_up(library, "Py_IsInitialized", is_initialized);
    if (!is_initialized()) start_python(library);
    look_up(library, "PyGILState_Ensure", ensure);
    look_up(library, "PyGILState_Release", release);
    look_up(library, "PyImport_ImportModule", import_module);
    look_up(library, "PyObject_CallMethod", call_method);
    look_up(library, "PyMemoryView_FromMemory", memory_view);
    look_up(library, "Py_DecRef", decrement);
    look_up(library, "PyUnicode_AsUTF8", utf8);
    look_up(library, "PyErr_Print", print_error);
}

const PythonHost &PythonHost::get() {
    static const PythonHost python;
    return python;
}

}  // namespace acepair
