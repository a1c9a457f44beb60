#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <optional>
#include <string_view>
#include <vector>

#include "base/deadline.hpp"
#include "base/result.hpp"
#include "core/lock/target.hpp"
#include "core/lock/tier_stack.hpp"
#include "sys/lock/flock_wait.hpp"

namespace grex::core {

struct WaitPolicy;

/// Is called when a wait begins and ends, and when a lock file is created.
class WaitObserver {
 public:
  WaitObserver() = default;
  WaitObserver(const WaitObserver&) = delete;
  WaitObserver& operator=(const WaitObserver&) = delete;
  virtual ~WaitObserver() = default;

  /// A wait for a file of `target` begins. The references are valid until wait_ends().
  virtual void wait_begins(const Target& target, const TargetFile& file) = 0;
  virtual void wait_ends() = 0;

  /// The lock file of this name was missing, and has been created.
  /// It may be locked by now, but the command does not run yet.
  virtual void lock_file_created(const sys::LockFileName& name) { (void)name; }
};

/// Reports the start and the end of a wait to an observer, unless that is null.
class ObservedWait {
 public:
  ObservedWait(WaitObserver* observer, const Target& target, const TargetFile& file) : observer_(observer) {
    if (observer_ != nullptr) observer_->wait_begins(target, file);
  }
  ObservedWait(const ObservedWait&) = delete;
  ObservedWait& operator=(const ObservedWait&) = delete;
  ~ObservedWait() {
    if (observer_ != nullptr) observer_->wait_ends();
  }

 private:
  WaitObserver* observer_;
};

/// Locks that are kept elsewhere: by a cluster, for the targets that want that. Those of a tier are
/// taken after its files.
class RemoteLocks {
 public:
  RemoteLocks() = default;
  RemoteLocks(const RemoteLocks&) = delete;
  RemoteLocks& operator=(const RemoteLocks&) = delete;
  virtual ~RemoteLocks() = default;

  /// Takes those of the targets at this tier, or none of them; `held` if there are none. The other
  /// ends are as in Attempt, also `cancelled` by a termination signal. Errors, by their `op`:
  /// remote_failed, after which the implementation knows why; remote_lost.
  virtual Result<sys::WaitEnd> take(Tier tier, const std::vector<Target>& targets, const WaitPolicy& policy) = 0;

  /// What is held of the target with this index.
  [[nodiscard]] virtual std::optional<ClusterEntry> entry_of(std::size_t target) const = 0;

  /// Releases all, so that they can be taken again.
  virtual void release() = 0;
};

/// The `op` of the Error if it could not be known whether the locks are held.
inline constexpr std::string_view remote_failed = "ask the cluster";

/// The same if those that were held are lost, and all must be taken again.
inline constexpr std::string_view remote_lost = "keep the cluster's locks";

/// How to use the gates of locks: see gate.hpp.
struct GateRules {
  /// The highest tier of the locks that ancestors have. At this tier and below, gates are not used.
  std::optional<Tier> above = {};
  /// Whether a process in front of this gate of the lock, which is busy, must wait for it now.
  std::function<bool(const Target& target, sys::FileId gate)> must_wait;
};

/// How to take locks.
struct WaitPolicy {
  bool waits = true;
  std::optional<Deadline> deadline = {};  ///< for all locks together
  /// How long to wait, unobserved, for a file that must be checked when it is busy, before that is
  /// reported: the check costs more than most waits.
  std::chrono::nanoseconds before_check{0};
  WaitObserver* observer = nullptr;     ///< borrowed; may be null
  std::optional<GateRules> gates = {};  ///< nullopt: no gates are used
  RemoteLocks* remote = nullptr;        ///< borrowed; null: no lock is kept elsewhere
  bool will_record = false;             ///< a lock's last file is opened for writing, if it will be exclusive
};

}  // namespace grex::core
