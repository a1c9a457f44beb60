#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "base/result.hpp"
#include "cli/report/failure.hpp"
#include "core/cluster/cluster_settings.hpp"

namespace grex::cli {

class Parser;

/// The options for locks that span machines, as they were written.
struct ClusterOptions {
  std::optional<std::string> url;   ///< --cluster
  std::optional<std::string> root;  ///< --cluster-root
  std::optional<std::string> name;  ///< --name
  std::optional<std::chrono::nanoseconds> lease;
  bool operator==(const ClusterOptions&) const = default;
};

/// The group of these options; --lease only for commands that hold locks.
enum class WithLease { no, yes };
void add_cluster_options(Parser& parser, ClusterOptions& options, WithLease with_lease);

/// --cluster alone, for a command that works without one only.
void add_cluster_option(Parser& parser, ClusterOptions& options);

/// A cluster, and how the locks of this command are named there.
struct ChosenCluster {
  core::ClusterSettings settings;
  std::string root;  ///< canonical; empty: there is none
};

/// The cluster that the options name, or else GREX_LOCK_CLUSTER, with GREX_LOCK_CLUSTER_ROOT and
/// GREX_LOCK_LEASE; nullopt: none. A Failure names what is wrong; also an option that can have no
/// effect without a cluster.
Result<std::optional<ChosenCluster>, Failure> choose_cluster(const ClusterOptions& options);

/// The hint for a missing PATH; with a cluster, a lock may have a name instead.
std::string or_name(std::string hint, const ClusterOptions& options);

/// A Failure if a cluster is chosen: `what` can't lock there, and would lock on this machine only.
Result<void, Failure> refuse_cluster(const ClusterOptions& options, std::string_view what);

}  // namespace grex::cli
