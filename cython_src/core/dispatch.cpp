// Which kernels this CPU can run.
#include <cstring>

#include "kernels.hpp"

namespace acepair {

#if defined(__x86_64__)
namespace avx512 { extern const Kernels kernels; }
namespace avx2 { extern const Kernels kernels; }
#endif
#if defined(__aarch64__)
namespace aarch64 { extern const Kernels kernels; }
namespace fallback = aarch64;
#else
namespace baseline { extern const Kernels kernels; }
namespace fallback = baseline;
#endif

namespace {

struct Available {
    const Kernels *tables[4] = {};

    Available() {
        const Kernels **next = tables;
#if defined(__x86_64__)
        __builtin_cpu_init();
        if (__builtin_cpu_supports("x86-64-v4")) *next++ = &avx512::kernels;
        if (__builtin_cpu_supports("x86-64-v3")) *next++ = &avx2::kernels;
#endif
        *next++ = &fallback::kernels;
    }
};

}  // namespace

const Kernels *const *available_kernels() {
    static const Available available;
    return available.tables;
}

const Kernels *select_kernels(const char *isa) {
    for (const Kernels *const *table = available_kernels(); *table; ++table)
        if (!isa || !*isa || std::strcmp(isa, (*table)->isa) == 0) return *table;
    return nullptr;
}

}  // namespace acepair
