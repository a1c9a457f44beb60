#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "base/result.hpp"
#include "cli/report/failure.hpp"
#include "core/cluster/cluster_settings.hpp"
#include "core/inspect/find_holds.hpp"
#include "core/lock/tier.hpp"
#include "core/lock/tier_stack.hpp"

namespace grex::cli {

/// A lock in a cluster, as `release` is told of it.
struct ClusterTarget {
  core::ClusterSettings settings;
  core::Tier tier = core::Tier::per_pack;
  std::string name;
};

/// A Failure that names the holder, if there is one; also if the cluster can't be asked.
Result<void, Failure> check_not_held(const ClusterTarget& target);

/// The hold of the lock that the stack names, if it is one on this machine that this user may end;
/// what others have written into the cluster never chooses a process. nullopt if there is none.
std::optional<core::Hold> find_exported_hold(const ClusterTarget& target, const core::TierStack& stack);

/// Has the holder release the lock, on whichever machine it is, only if its token is this one, and
/// waits for that. A Failure if there is no holder, or several of which none was chosen.
/// Returns how the lock was released.
struct BrokenLock {
  std::uint64_t token = 0;
  core::LockProcess holder;
  bool was_deleted = false;  ///< nobody knows whether its job still runs
};
Result<BrokenLock, Failure> break_lock(const ClusterTarget& target, std::optional<std::uint64_t> token,
                                       std::optional<std::chrono::nanoseconds> timeout);

}  // namespace grex::cli
