// The plan and the results in the precision this is compiled for.
#pragma once

#include "plan.hpp"
#include "simd.hpp"
#include "system.hpp"

namespace acepair::ACEPAIR_ISA {

inline constexpr int team = team_size<Real>;  ///< centres in a team; W64 teams make a block, W64 edges of each centre a vector
static_assert(team == halves, "lane e belongs to centre e % team: broadcast_team and interleave_team");

using TransformParameters = TransformParametersOf<Real>;
using EnvelopeParameters = EnvelopeParametersOf<Real>;
using RadialPlan = RadialPlanOf<Real>;
using Moments = MomentsOf<Real>;
using Dag = DagOf<Real>;
using Plan = PlanOf<Real>;
using BlockResult = BlockResultOf<Real>;

}  // namespace acepair::ACEPAIR_ISA
