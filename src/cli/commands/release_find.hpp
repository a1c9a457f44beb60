#pragma once

#include <sys/types.h>

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "cli/report/failure.hpp"
#include "cli/report/lock_failure.hpp"
#include "core/inspect/find_holds.hpp"
#include "core/lock/target.hpp"
#include "core/lock/tier_stack.hpp"

namespace grex::cli {

/// Which holds of a lock `release` ends.
struct HoldChoice {
  std::optional<int> pid;  ///< only that of this process
  bool all = false;        ///< of several, each
  bool if_held = false;    ///< it is not a Failure if there is none
};

/// The processes that hold a lock.
struct HoldInspection {
  std::vector<core::Hold> holds;             ///< one for each process
  std::vector<core::LockProcess> holders;    ///< all of them
  std::set<pid_t> waiters;                   ///< of these, none holds the whole lock
  std::vector<sys::FileId> files;            ///< of the lock, lost ones included
  bool is_held = false;                      ///< or it may be, because it can't be inspected
  bool was_held = false;                     ///< only by processes that have ended since; then `is_held` is false
  bool is_known = true;                      ///< false if a file could not be inspected
  std::shared_ptr<core::LockProcess> lease;  ///< that keeps a file from being inspected; may be null
  std::optional<Error> unsafe;               ///< if there is something else in the place of a file
  std::string linked;                        ///< a file of a hold that has a second name
  std::string moved_to;                      ///< where a file of a hold is that was moved away
  bool has_changed = false;                  ///< a file changed while it was inspected
};

/// Whether a command line is that of a hold, as main() finds the command.
bool is_hold_command(const std::vector<std::string>& command);

/// Searches all processes, also for locks of files that were removed.
HoldInspection inspect_holds(const core::Target& target);

/// The last entry of the stack for this lock, borrowed; null if there is none.
const core::StackEntry* entry_for(const core::TierStack& stack, const LockName& lock, const HoldInspection& found);

/// Leaves out processes that are not among the first: they came later.
void leave_out_later(const std::set<pid_t>& first, HoldInspection& found);

/// The holds to end, which have all been verified, but for those that are ending: with --all,
/// or if there is no other. If GREX_LOCK_STACK names a hold of the
/// lock, no other is chosen, unless --pid or --all says so. Empty if nothing is held, with
/// --if-held.
Result<std::vector<core::Hold>, Failure> choose_holds(const LockName& lock, HoldInspection found,
                                                      const HoldChoice& choice, const core::TierStack& stack);

/// The Failure if what held the lock at first has ended by itself.
Failure no_longer_held(const LockName& lock);

/// A Failure of `release`. `why` says of the lock why it was not released.
Failure not_released(const LockName& lock, std::string why, ErrorKind kind);

/// The Failure if no one hold of several was chosen.
Failure several_holds(const LockName& lock, const std::vector<core::Hold>& holds);

}  // namespace grex::cli
