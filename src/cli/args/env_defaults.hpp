#pragma once

#include <optional>
#include <string>

#include "base/result.hpp"
#include "cli/args/options.hpp"
#include "cli/report/failure.hpp"

namespace grex::cli {

/// These functions set options that the command line has not set, from the environment or
/// else to their defaults. A command calls those whose options it needs, so that it ignores
/// nonsense in other variables. A Failure names the variable.

/// GREX_LOCK_LAYOUT.
Result<void, Failure> apply_env_defaults(GlobalOptions& options);

/// The same, for a command that only shows locks: ignores nonsense.
void apply_valid_env_defaults(GlobalOptions& options);

/// GREX_LOCK_LAYOUT, GREX_LOCK_TIER_CHECK and, unless -n is given, GREX_LOCK_TIMEOUT. A
/// Failure may also say that --json-status-fd can't be written.
Result<void, Failure> apply_env_defaults(GlobalOptions& global, LockOptions& lock);

/// GREX_LOCK_GIT_EXCLUDE, for a command that creates lock files.
Result<void, Failure> apply_env_default(std::optional<GitExclude>& option);

/// GREX_LOCK_IF_LOST, for a command that stays while its locks are held.
Result<void, Failure> apply_env_default(std::optional<IfLost>& option);

/// The absolute path of --log, or else GREX_LOCK_LOG; nullopt if there is no log. A Failure
/// may also say that the working directory has no path, or that this is a lock file of grex.
Result<std::optional<std::string>, Failure> log_file(const std::string& chosen);

/// GREX_LOCK_GUARD: whether --guard is the default.
Result<bool, Failure> guards_by_default();

/// The number of slots at tier semaphore: --slots (`chosen`), else GREX_PARALLEL, else
/// the number of CPUs. 0 means no limit.
Result<unsigned, Failure> default_slots(std::optional<unsigned> chosen);

/// The same, for a command that only shows it: GREX_PARALLEL may be higher than what can be
/// locked, and is ignored if it is not a number.
unsigned shown_slots();

/// Whether that is only a guess, since the environment does not have the number.
bool is_shown_slots_guessed();

}  // namespace grex::cli
