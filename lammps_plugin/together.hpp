// What one rank cannot do, all must give up together: else the others wait for it for ever.
// LAMMPS communicates, not MPI itself: the plugin must load into LAMMPS builds with any MPI or none.
#pragma once

#include <cstring>
#include <string>

#include "comm.h"
#include "error.h"
#include "lammps.h"

namespace LAMMPS_NS {

/// Stop LAMMPS if any rank has a problem, with the message of the first that has one; "" is none. All ranks have to call this.
inline void refuse_together(LAMMPS *lmp, const char *file, int line, const std::string &problem) {
    struct {
        int rank, n_ranks;
        std::string text;
    } first{-1, 0, ""};
    std::string message;
    if (!problem.empty()) {
        message.assign(reinterpret_cast<const char *>(&lmp->comm->me), sizeof(int));
        message += problem;
    }
    const auto take = [](int size, char *bytes, void *target) {
        if (size <= int(sizeof(int))) return;
        auto &known = *static_cast<decltype(first) *>(target);
        int rank;
        std::memcpy(&rank, bytes, sizeof rank);
        ++known.n_ranks;
        if (known.rank < 0 || rank < known.rank) known.rank = rank, known.text.assign(bytes + sizeof rank, size - sizeof rank);
    };
    lmp->comm->ring(int(message.size()), 1, message.data(), 0, take, nullptr, &first);
    if (first.rank < 0) return;
    if (first.n_ranks < lmp->comm->nprocs) first.text += " (on rank " + std::to_string(first.rank) + ")";
    lmp->error->all(file, line, first.text);
}

}  // namespace LAMMPS_NS
