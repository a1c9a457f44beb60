#pragma once

#include <optional>

#include "base/result.hpp"
#include "sys/wait.hpp"

namespace grex::sys {

/// What may end a vigil, beside SIGTERM, SIGINT and SIGHUP.
struct VigilEnds {
  std::optional<Deadline> deadline = {};
  int pidfd = -1;      ///< that process's end; -1: none; borrowed
  bool input = false;  ///< end of file on standard input
};

/// Sleeps until it is told to end. SIGTERM ends it even where it was ignored
/// when grex-lock began; SIGINT and SIGHUP do not then. Of the standard input,
/// what comes before its end is thrown away. Errors: system, io (the input).
Result<void> keep_vigil(const VigilEnds& ends);

}  // namespace grex::sys
