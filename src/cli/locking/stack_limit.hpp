#pragma once

#include "base/result.hpp"
#include "cli/locking/plan.hpp"
#include "cli/report/failure.hpp"

namespace grex::cli {

/// A Failure if there are more locks than GREX_LOCK_STACK could list for descendants.
Result<void, Failure> refuse_long_stack(const Plan& plan);

}  // namespace grex::cli
