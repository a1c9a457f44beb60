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
  std::vector<core::Target> targets;   ///< in the order in which they are taken
  core::TierStack stack;               ///< the ancestors' live locks
  std::vector<LockName> already_ours;  ///< --reentrant: an ancestor holds them
};

/// Finds the locks that the options name, and checks that they may be taken. Locks
/// nothing, and creates nothing but missing directories, with --create.
Result<Plan, Failure> make_plan(const LockOptions& options, const GlobalOptions& global);

/// The ancestors' locks as the environment lists them, not verified.
Result<core::TierStack, Failure> inherited_stack();

/// The ancestors' locks that are live; -v reports the others.
Result<core::TierStack, Failure> live_stack(const LockOptions& options);

/// Whether an ancestor already has the lock, with --reentrant; `files` are its existing
/// lock files. A Failure means that it must not be taken under the locks of the stack.
Result<bool, Failure> is_already_ours(const LockName& lock, const std::vector<sys::FileId>& files,
                                      const core::TierStack& stack, const LockOptions& options);

/// A Failure if there are more locks than GREX_LOCK_STACK could list for descendants.
Result<void, Failure> refuse_long_stack(const Plan& plan);

/// Adds the hint to use --create, if that helps.
Failure with_create_hint(Failure failure);

}  // namespace grex::cli
