#pragma once

#include <string>

#include "cli/report/events.hpp"
#include "cli/report/failure.hpp"

namespace grex::cli {

/// What a look at the files of one lock has found that must be reported.
struct LostChange {
  enum class Kind { restored, moved, lost };
  Kind kind = Kind::lost;
  LostLock lock;
  bool is_created = false;  ///< if restored: by this process
  std::string why;          ///< if lost, without `lock.busy`
};

/// The line about it, without "grex-lock: "; empty if it needs none. The name of what holds
/// the new file comes from `lock.busy`.
std::string line_about(const LostChange& change);

/// The end of a command that had to be stopped because of a lost lock; `hint` says what was
/// stopped.
Failure lost_failure(const LostChange& change, std::string hint);

}  // namespace grex::cli
