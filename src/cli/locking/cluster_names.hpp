#pragma once

#include <optional>
#include <vector>

#include "base/result.hpp"
#include "cli/args/options.hpp"
#include "cli/report/failure.hpp"
#include "core/cluster/cluster_settings.hpp"
#include "core/lock/target.hpp"

namespace grex::cli {

/// Gives targets their names in the cluster that the options or the environment choose, and returns
/// that; nullopt if there is none. A lock that --name names without a PATH is added. Guards, and
/// slots without a limit, have no name. A Failure is a usage error: also if a target has none.
Result<std::optional<core::ClusterSettings>, Failure> name_in_cluster(std::vector<core::Target>& targets,
                                                                      const LockOptions& options);

}  // namespace grex::cli
