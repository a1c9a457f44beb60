#pragma once

#include <chrono>
#include <optional>
#include <vector>

#include "base/result.hpp"
#include "cli/report/failure.hpp"
#include "cli/report/lock_failure.hpp"
#include "cli/report/output.hpp"
#include "core/inspect/find_holds.hpp"

namespace grex::cli {

/// Ends the holds, and returns when their locks are free: a process releases them before its
/// pidfd becomes readable. One that can't be ended keeps none of the others. `holders` are the
/// processes that hold the lock, for the report. Gives up after 10 s without a timeout.
Result<void, Failure> end_holds(const std::vector<core::Hold>& holds, std::vector<core::LockProcess> holders,
                                const LockName& lock, std::optional<std::chrono::nanoseconds> timeout,
                                Verbosity verbosity);

}  // namespace grex::cli
