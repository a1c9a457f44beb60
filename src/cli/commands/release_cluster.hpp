#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "cli/report/failure.hpp"
#include "cli/report/lock_failure.hpp"
#include "core/cluster/cluster_settings.hpp"
#include "core/inspect/find_holds.hpp"
#include "core/lock/tier.hpp"
#include "core/lock/tier_stack.hpp"

namespace grex::cli {

/// A lock in a cluster, as `release` is given it.
struct ClusterTarget {
  core::ClusterSettings settings;
  core::Tier tier = core::Tier::per_pack;
  std::string name;
};

/// What a Failure calls it: it has no PATH.
LockName named_lock(const ClusterTarget& target);

/// A Failure that names the holder, if there is one; also if the cluster can't be asked. Otherwise
/// a hint for a user who expected one; it may be empty.
Result<std::string, Failure> check_not_held(const ClusterTarget& target);

/// The hold of the lock that the stack names, if it is one on this machine that this user may end.
/// nullopt if there is none.
std::optional<core::Hold> find_exported_hold(const ClusterTarget& target, const core::TierStack& stack);

/// The holds on this machine that the cluster lists as holders, that this user may end, and whose
/// own command line has the name: what others have written into the cluster never chooses a process.
Result<std::vector<core::Hold>, Failure> find_named_holds(const ClusterTarget& target);

/// Has the holder release the lock, on whichever machine it is, only if its token is this one, and
/// waits for that; `asked` is called when it begins to. A Failure if there is no holder, or several
/// of which none was chosen. Returns how the lock was released.
struct BrokenLock {
  std::uint64_t token = 0;
  bool responded = true;  ///< otherwise, whether its job still runs is not known
};
Result<BrokenLock, Failure> break_lock(const ClusterTarget& target, std::optional<std::uint64_t> token,
                                       std::optional<std::chrono::nanoseconds> timeout,
                                       const std::function<void(const core::LockProcess& holder)>& asked);

}  // namespace grex::cli
