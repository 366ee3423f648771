// The entry points for basis rows, in double precision only. See kernels.cpp.
#include "basis_rows.hpp"
#include "kernels.hpp"

namespace acepair::ACEPAIR_ISA {
namespace {

int64_t workspace_bytes(const Plan &plan, const RowPlan &rows, int64_t max_neighbors) {
    return RowWorkspace(plan, rows, max_neighbors, nullptr).bytes();
}

void basis_rows(const Plan &plan, const RowPlan &rows, const System &system, const CentreBlock &centres, int64_t max_neighbors,
                void *memory, const RowResult &out) {
    RowWorkspace work(plan, rows, max_neighbors, static_cast<char *>(memory));
    basis_rows_block<-1>(plan, rows, system, centres, work, out);
}

}  // namespace

extern const RowKernels row_kernels;
const RowKernels row_kernels = {workspace_bytes, basis_rows};

}  // namespace acepair::ACEPAIR_ISA
