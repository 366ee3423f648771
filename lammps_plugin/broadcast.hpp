// Telling all ranks what one found, without calling MPI: the plugin must load into LAMMPS builds with any MPI or none.
#pragma once

#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "utils.h"

namespace LAMMPS_NS {

/// Rank 0's text on all ranks, on one line.
inline std::string broadcast_line(std::string text, int me, MPI_Comm world) {
    constexpr int max_length = 2000;
    std::vector<char> buffer(max_length + 2, '\0');
    for (char &c : text)
        if (c == '\n') c = ' ';
    text = text.substr(0, max_length - 1) + '\n';
    FILE *const file = me == 0 ? fmemopen(text.data(), text.size(), "r") : nullptr;
    utils::read_lines_from_file(file, 1, max_length, buffer.data(), me, world);
    if (file) std::fclose(file);
    return std::string(buffer.data(), strcspn(buffer.data(), "\n"));
}

}  // namespace LAMMPS_NS
