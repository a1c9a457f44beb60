#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "cli/args/options.hpp"
#include "cli/report/failure.hpp"
#include "core/cluster/cluster_settings.hpp"
#include "core/lock/target.hpp"

namespace grex::cli {

/// The name of the lock of a canonical PATH in a cluster with this root, which is empty if there is
/// none. A Failure is a usage error: it has no name.
Result<std::string, Failure> cluster_name_of(const std::string& path, const std::string& root);

/// Gives targets their names in the cluster that the options or the environment choose, and returns
/// that; nullopt if there is none. A lock that --name names without a PATH is added. Guards, and
/// slots without a limit, have no name. A Failure is a usage error: also if a target has none.
Result<std::optional<core::ClusterSettings>, Failure> name_in_cluster(std::vector<core::Target>& targets,
                                                                      const LockOptions& options);

}  // namespace grex::cli
