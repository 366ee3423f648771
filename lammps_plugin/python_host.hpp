// Python inside LAMMPS, through symbols looked up at run time: the plugin links to no libpython.
#pragma once

#include <cstddef>
#include <vector>

namespace acepair {

struct PyObject;

/// As much of Python's C interface as is needed, with Python running.
class PythonHost {
public:
    /// Use the interpreter of this process, or start the one of the environment; throws std::runtime_error with the reason if there is none.
    static const PythonHost &get();

    /// Holds the interpreter's lock.
    class Lock {
    public:
        explicit Lock(const PythonHost &python) : python(python), state(python.ensure()) {}
        Lock(const Lock &) = delete;
        Lock &operator=(const Lock &) = delete;
        ~Lock() { python.release(state); }

    private:
        const PythonHost &python;
        int state;
    };

    PyObject *(*import_module)(const char *name);
    PyObject *(*call_method)(PyObject *object, const char *name, const char *format, ...);
    PyObject *(*memory_view)(char *memory, long size, int flags);
    void (*decrement)(PyObject *object);
    const char *(*utf8)(PyObject *text);
    void (*print_error)();

    /// View of an array, to be given away.
    template <class T> PyObject *view(const T *array, size_t n) const {
        static char nothing = 0;  // Python refuses a null pointer, which is what an empty vector has
        char *const bytes = n ? reinterpret_cast<char *>(const_cast<T *>(array)) : &nothing;
        return memory_view(bytes, long(n * sizeof(T)), read_and_write);
    }
    template <class T> PyObject *view(const std::vector<T> &array) const { return view(array.data(), array.size()); }

private:
    static constexpr int read_and_write = 0x200;
    int (*ensure)();
    void (*release)(int state);

    PythonHost();
};

}  // namespace acepair
