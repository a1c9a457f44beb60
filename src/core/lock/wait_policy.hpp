#pragma once

#include <optional>

#include "base/deadline.hpp"
#include "core/lock/target.hpp"

namespace grex::core {

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

/// How to take locks.
struct WaitPolicy {
  bool waits = true;
  std::optional<Deadline> deadline = {};  ///< for all locks together
  WaitObserver* observer = nullptr;       ///< borrowed; may be null
  bool will_record = false;               ///< a lock's last file is opened for writing, if it will be exclusive
};

}  // namespace grex::core
