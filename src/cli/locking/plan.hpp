#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "cli/args/options.hpp"
#include "cli/report/lock_failure.hpp"
#include "core/cluster/cluster_settings.hpp"
#include "core/lock/acquire.hpp"
#include "core/lock/target.hpp"
#include "core/lock/tier_stack.hpp"

namespace grex::cli {

/// The locks that a command may take: the tier order has been checked.
struct Plan {
  std::vector<core::Target> targets;                  ///< with the files that have to be taken
  core::TierStack stack;                              ///< the ancestors' locks that are live
  std::vector<LockName> already_ours;                 ///< --reentrant: an ancestor holds these files
  std::optional<core::ClusterSettings> cluster = {};  ///< that keeps locks of targets, too
  std::vector<std::string> guards;                    ///< the workspaces that guard packs, also by an ancestor's lock
};

/// Finds the locks that the options name, and checks that they may be taken. Locks
/// nothing, and creates nothing but missing directories, with --create.
Result<Plan, Failure> make_plan(const LockOptions& options, const GlobalOptions& global);

/// The ancestors' locks as the environment lists them, not verified.
Result<core::TierStack, Failure> inherited_stack();

/// The ancestors' locks that are live; -v reports the others.
Result<core::VerifiedStack, Failure> live_stack(const LockOptions& options);

/// Whether a file must be locked, with --reentrant.
enum class Reentry {
  none,   ///< lock it
  ours,   ///< don't: an ancestor has it
  seems,  ///< try it once, and then check_busy: an ancestor seems to have it
};

/// A Failure means that the file must not be locked under the locks of the stack.
Result<Reentry, Failure> reentry_of(const LockName& lock, const core::WantedFile& wanted,
                                    const core::VerifiedStack& stack, const LockOptions& options);

/// What is known of a file after it was found busy.
struct BusyCheck {
  Reentry reentry = Reentry::none;             ///< `none`: wait for it; or `ours`
  std::optional<core::StackEntry> found = {};  ///< a process above has it, which the stack didn't list
};

/// After trying a file: it is busy. Looks whether this process or one above it has the lock;
/// the stack need not list it. `reentry` is what reentry_of returned. If an ancestor seemed to
/// have it, it may be clear by now that another process has: removes entries that are stale
/// from the stack. Adds one that is found, unless the file must be locked. A Failure if a
/// process above has it, or still seems to have it, and the options don't allow that.
Result<BusyCheck, Failure> check_busy(const LockName& lock, const core::WantedFile& wanted, Reentry reentry,
                                      core::TierStack& stack, const LockOptions& options);

/// The same for a file of a plan, which will be waited for (`none`), or moves to `already_ours`
/// (`ours`); then the other files must be allowed under it.
Result<Reentry, Failure> check_busy(Plan& plan, const core::FilePosition& at, const LockOptions& options);

}  // namespace grex::cli
