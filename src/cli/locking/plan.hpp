#pragma once

#include <string>
#include <vector>

#include "base/result.hpp"
#include "cli/args/options.hpp"
#include "cli/report/lock_failure.hpp"
#include "core/lock/acquire.hpp"
#include "core/lock/target.hpp"
#include "core/lock/tier_stack.hpp"

namespace grex::cli {

/// The locks that a command may take: the tier order has been checked.
struct Plan {
  std::vector<core::Target> targets;   ///< with the files that have to be taken
  core::TierStack stack;               ///< the ancestors' locks that are live
  std::vector<LockName> already_ours;  ///< --reentrant: an ancestor holds these files
  std::vector<std::string> guards;     ///< the workspaces that guard packs, also by an ancestor's lock
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
  seems,  ///< try it once, and then check_again: an ancestor seems to have it
};

/// A Failure means that the file must not be locked under the locks of the stack.
Result<Reentry, Failure> reentry_of(const LockName& lock, const core::WantedFile& wanted,
                                    const core::VerifiedStack& stack, const LockOptions& options);

/// After trying a file that an ancestor seemed to have: it is busy, and by now it may be
/// clear that another process has it. Removes entries that are stale from the stack. Then
/// it is `none` or `ours`; a Failure if an ancestor still seems to have it.
Result<Reentry, Failure> check_again(const LockName& lock, const core::WantedFile& wanted, core::TierStack& stack,
                                     const LockOptions& options);

/// The same for a file of a plan, which will be waited for, or moves to `already_ours`.
Result<void, Failure> check_again(Plan& plan, const core::FilePosition& at, const LockOptions& options);

/// A Failure if there are more locks than GREX_LOCK_STACK could list for descendants.
Result<void, Failure> refuse_long_stack(const Plan& plan);

/// Adds the hint to use --create, if that helps.
Failure with_create_hint(Failure failure);

}  // namespace grex::cli
