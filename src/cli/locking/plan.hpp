#pragma once

#include <vector>

#include "base/result.hpp"
#include "cli/args/options.hpp"
#include "cli/report/lock_failure.hpp"
#include "core/lock/target.hpp"
#include "core/lock/tier_stack.hpp"

namespace grex::cli {

/// The locks that a command may take: the tier order has been checked.
struct Plan {
  std::vector<core::Target> targets;   ///< in the order of taking them
  core::TierStack stack;               ///< the ancestors' live locks
  std::vector<LockName> already_ours;  ///< --reentrant: an ancestor holds them
};

/// From options to locks that may be taken. Nothing has been created or locked but,
/// with --create, the missing directories.
Result<Plan, Failure> make_plan(const LockOptions& options, const GlobalOptions& global);

/// The ancestors' locks as the environment lists them, not verified.
Result<core::TierStack, Failure> inherited_stack();

/// Those of them that are live; -v notes the others.
Result<core::TierStack, Failure> live_stack(const LockOptions& options);

/// Whether an ancestor has a lock already, with --reentrant; `files` are its existing
/// lock files. A Failure means that it must not be taken below the locks of the stack.
Result<bool, Failure> is_already_ours(const LockName& lock, const std::vector<sys::FileId>& files,
                                      const core::TierStack& stack, const LockOptions& options);

/// A Failure if there are more locks than GREX_LOCK_STACK could list for descendants.
Result<void, Failure> refuse_long_stack(const Plan& plan);

/// With the advice to use --create, if that helps.
Failure with_create_hint(Failure failure);

/// How the options want a busy lock to be reported.
BusyReport busy_report_of(const LockOptions& options);

}  // namespace grex::cli
