// Which kernels this CPU can run.
#include <cstring>

#include "kernels.hpp"

#define ACEPAIR_DECLARE(isa)                                                        \
    namespace isa { extern const KernelsOf<double> kernels; extern const RowKernels row_kernels; } \
    namespace isa##_single { extern const KernelsOf<float> kernels; }
#define ACEPAIR_TABLE(isa) Kernels{isa::kernels, isa::row_kernels, &isa##_single::kernels}

namespace acepair {

#if defined(__x86_64__)
ACEPAIR_DECLARE(avx512)
ACEPAIR_DECLARE(avx2)
#endif
#if defined(__aarch64__)
ACEPAIR_DECLARE(aarch64)
#define ACEPAIR_FALLBACK ACEPAIR_TABLE(aarch64)
#else
ACEPAIR_DECLARE(baseline)
#define ACEPAIR_FALLBACK ACEPAIR_TABLE(baseline)
#endif

namespace {

struct Available {
    Kernels tables[3];
    const Kernels *list[4] = {};

    Available() {
        Kernels *next = tables;
#if defined(__x86_64__)
        __builtin_cpu_init();
        if (__builtin_cpu_supports("x86-64-v4")) *next++ = ACEPAIR_TABLE(avx512);
        if (__builtin_cpu_supports("x86-64-v3")) *next++ = ACEPAIR_TABLE(avx2);
#endif
        *next++ = ACEPAIR_FALLBACK;
        for (const Kernels *table = tables; table != next; ++table) list[table - tables] = table;
    }
};

}  // namespace

const Kernels *const *available_kernels() {
    static const Available available;
    return available.list;
}

const Kernels *select_kernels(const char *isa) {
    for (const Kernels *const *table = available_kernels(); *table; ++table)
        if (!isa || !*isa || std::strcmp(isa, (*table)->isa) == 0) return *table;
    return nullptr;
}

}  // namespace acepair
