#pragma once

#include <vector>

#include "base/result.hpp"
#include "cli/args/options.hpp"
#include "cli/report/failure.hpp"
#include "core/lock/target.hpp"

namespace grex::cli {

/// Adds the guards of packs: shared locks on the workspaces above each pack and on those that
/// the user names, which keep `grex sync` out while others that share them go on. Only if
/// --guard is given, or by GREX_LOCK_GUARD. With --guard, a Failure if a pack has none. Warns
/// of a search that stopped before the root directory, unless the user names what to guard. Errors: those of
/// core::resolve.
Result<void, Failure> add_guards(std::vector<core::Target>& targets, const LockOptions& options,
                                 const GlobalOptions& global);

/// Warns of a lock at tier workspace-sync or semaphore whose directory is no workspace, but lies in one: that
/// one was probably meant.
void note_no_workspace(const core::Target& target);

/// Warns of a lock at tier per-pack whose directory is no pack, but lies in one. Not of a child of
/// a workspace that is no pack of another one: it may be a pack that has no mark yet.
void note_no_pack(const sys::Directory& directory);

/// The same of a target; at another tier, and of a guard, nothing.
void note_no_pack(const core::Target& target);

/// With what the user can do if a guard can't be taken under the locks of ancestors. `targets` are
/// all that the command takes.
Failure with_guard_hint(Failure failure, const std::vector<core::Target>& targets, const LockOptions& options);

}  // namespace grex::cli
