#pragma once

#include <string>

#include "base/result.hpp"
#include "cli/report/failure.hpp"
#include "cli/report/output.hpp"
#include "core/lock/tier.hpp"

namespace grex::cli {

/// The PATH of a lock if the user gives none: that of the enclosing pack, which is named on
/// standard error unless `verbosity` is quiet. A usage Failure if there is none, or the tier
/// needs another directory.
Result<std::string, Failure> omitted_path(core::Tier tier, Verbosity verbosity);

/// Whether there is such a PATH.
bool may_omit_path(core::Tier tier);

}  // namespace grex::cli
