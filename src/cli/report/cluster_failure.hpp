#pragma once

#include <string>

#include "cli/report/failure.hpp"
#include "core/cluster/cluster.hpp"

namespace grex::cli {

/// The cluster could not be asked. `url` names it.
Failure cluster_failure(const core::ClusterFailure& failure, const std::string& url);

/// A holder or waiter, from what it has written into the cluster; of what is no record, only that
/// there is a process.
core::LockProcess process_in_cluster(const std::string& value);

/// The holders of a lock of a cluster, from what they have written there.
std::vector<core::LockProcess> holders_in(const core::Queue& queue);

}  // namespace grex::cli
