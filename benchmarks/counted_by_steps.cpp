// Instructions counted by stepping through them one by one: the trap flag of x86 makes every one raise SIGTRAP (Linux, x86-64).
#include <csignal>
#include <cstdio>
#include <dlfcn.h>
#include <string>
#include <ucontext.h>

#include "counted_calls.hpp"

namespace {

constexpr uint64_t max_size = 1 << 24;  // bytes of this library
uint32_t executed[max_size];            // by offset in it
uint64_t base;
volatile bool stepping;

void on_trap(int, siginfo_t *, void *context) {
    auto &registers = static_cast<ucontext_t *>(context)->uc_mcontext.gregs;
    constexpr greg_t trap_flag = 0x100;
    if (!stepping) {
        registers[REG_EFL] &= ~trap_flag;
        return;
    }
    registers[REG_EFL] |= trap_flag;
    const uint64_t offset = uint64_t(registers[REG_RIP]) - base;
    if (offset < max_size) ++executed[offset];
}

}  // namespace

/// Writes lines "offset times" to NAME.steps.
void count_evaluate(const char *name, const acepair::Plan *plan, const double *xyzs, const int64_t *first, const int32_t *neighbor,
                    const int32_t *centres, int64_t n_centres, double *energies, double *forces, double *virial) {
    Dl_info library;
    dladdr(reinterpret_cast<void *>(&count_evaluate), &library);
    base = reinterpret_cast<uint64_t>(library.dli_fbase);
    std::memset(executed, 0, sizeof executed);
    struct sigaction action = {}, before;
    action.sa_sigaction = on_trap;
    action.sa_flags = SA_SIGINFO;
    sigaction(SIGTRAP, &action, &before);
    stepping = true;
    raise(SIGTRAP);
    evaluate_once(*plan, xyzs, first, neighbor, centres, n_centres, energies, forces, virial);
    stepping = false;  // seen by the next trap
    sigaction(SIGTRAP, &before, nullptr);

    std::FILE *file = std::fopen((std::string(name) + ".steps").c_str(), "w");
    for (uint64_t offset = 0; offset < max_size; ++offset)
        if (executed[offset]) std::fprintf(file, "%llx %u\n", static_cast<unsigned long long>(offset), executed[offset]);
    std::fclose(file);
}
