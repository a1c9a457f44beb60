#pragma once

#include <optional>

#include "cli/args/options.hpp"
#include "cli/report/failure.hpp"

namespace grex::cli {

/// Fills in what the environment, or else the default, decides where the command
/// line is silent: GREX_LOCK_LAYOUT; GREX_LOCK_TIER_CHECK and GREX_LOCK_TIMEOUT.
/// A Failure names the variable, or tells that --json-status-fd can't be written.
std::optional<Failure> complete(GlobalOptions& options);
std::optional<Failure> complete(GlobalOptions& global, LockOptions& lock);

/// The permits of tier semaphore, where --slots does not tell: GREX_PARALLEL,
/// else the number of CPUs. 0 is unbounded. A Failure names the variable.
std::optional<Failure> apply_default(std::optional<unsigned>& slots);

}  // namespace grex::cli
