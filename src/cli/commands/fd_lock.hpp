#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <vector>

#include "cli/args/options.hpp"
#include "cli/commands/fd_file.hpp"
#include "cli/locking/plan.hpp"
#include "cli/locking/take.hpp"
#include "cli/report/events.hpp"

namespace grex::cli {

/// A file that `fd` will lock, or has locked.
struct WantedFd {
  FdFile open;
  sys::Mode mode;
  std::optional<core::KernelLock> existing;  ///< in another mode, or in the same, which is kept
  Reentry reentry = Reentry::none;
  std::optional<std::uint64_t> taken = {};  ///< of a lock that is kept, if the stack lists it
};

/// What one call has locked.
struct FdLocks {
  Acquired acquired;
  std::vector<core::HeldLock> without_record;
  core::TierStack entries;  ///< those of its files, in the order of locking
};

/// Decides about each file before any is waited for. `stack` becomes what the ancestors hold,
/// without what the descriptors have already.
Result<void, Failure> judge_all(std::vector<WantedFd>& files, core::TierStack& stack, const LockOptions& options);

/// Takes the locks of all files, in their order, and waits for them as long as the options
/// allow, from `start` on. What it locks is added to `locks`, and leaves `files` without its
/// descriptor. `locks.acquired.stack` is that of judge_all.
Result<void, Failure> lock_all(std::vector<WantedFd>& files, const LockOptions& options, const GlobalOptions& global,
                               const Events& events, std::chrono::steady_clock::time_point start, FdLocks& locks);

}  // namespace grex::cli
