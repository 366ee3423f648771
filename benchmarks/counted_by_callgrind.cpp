// Instructions counted by callgrind, started and stopped from here.
#include <valgrind/callgrind.h>

#include "counted_calls.hpp"

void count_evaluate(const char *name, const acepair::Plan *plan, const double *xyzs, const int64_t *first, const int32_t *neighbor,
                    const int32_t *centres, int64_t n_centres, double *energies, double *forces, double *virial) {
    CALLGRIND_START_INSTRUMENTATION;
    evaluate_once(*plan, xyzs, first, neighbor, centres, n_centres, energies, forces, virial);
    CALLGRIND_STOP_INSTRUMENTATION;
    CALLGRIND_DUMP_STATS_AT(name);
}
