#pragma once

#include <optional>

#include "base/result.hpp"
#include "cli/args/options.hpp"
#include "cli/report/failure.hpp"

namespace grex::cli {

/// Sets the options that the command line has not set, from the environment or else to
/// their defaults: GREX_LOCK_LAYOUT; GREX_LOCK_TIER_CHECK, GREX_LOCK_GIT_EXCLUDE,
/// GREX_LOCK_GUARD and GREX_LOCK_TIMEOUT. A Failure names the variable, or says that --json-status-fd can't be written.
Result<void, Failure> apply_env_defaults(GlobalOptions& options);
Result<void, Failure> apply_env_defaults(GlobalOptions& global, LockOptions& lock);

/// The number of slots at tier semaphore: --slots (`chosen`), else GREX_PARALLEL, else
/// the number of CPUs. 0 means no limit. A Failure names the variable.
Result<unsigned, Failure> default_slots(std::optional<unsigned> chosen);

}  // namespace grex::cli
