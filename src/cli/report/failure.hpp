#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "core/inspect/file_report.hpp"
#include "core/lock/tier_stack.hpp"

namespace grex::cli {

/// Why a command failed, ready to be printed.
struct Failure {
  ErrorKind kind = ErrorKind::internal;
  std::string what;  ///< a few words: "busy", "not found"
  std::string path;
  std::string why;
  std::string hint = {};  ///< what to do about it; may be empty
  int err = 0;            ///< errno, or 0
  int exit_code = 0;
  std::optional<core::Tier> tier = {};
  std::vector<core::LockProcess> holders = {};    ///< with busy and timeout
  std::optional<core::StackEntry> ancestor = {};  ///< the ancestor's lock that is in the way
  bool is_printed = true;                         ///< false with -q, which leaves only the exit status
  bool interrupted_by_user = false;               ///< see ExitStatus
  /// With busy and timeout: how long the wait was that is over.
  std::optional<std::chrono::milliseconds> waited = {};
};

/// How a command ended that did not fail.
struct ExitStatus {
  int code = 0;
  /// The user's Ctrl-C ended it. This process must die of SIGINT, too, or the shell
  /// would continue the loop or script that called it.
  bool interrupted_by_user = false;
};

using Outcome = Result<ExitStatus, Failure>;

/// Describes an error in words.
Failure failure_from(const Error& error);
Failure failure_from(const Error& error, core::Tier tier);

/// Bad input; `hint` is what to type instead.
Failure usage_failure(std::string why, std::string hint);

/// This process has rights that its caller may not have, and so it must do nothing.
Failure privileged_failure();

/// `grex-lock: WHAT: PATH: WHY`, and the hint on its own line; with the newlines.
std::string to_text(const Failure& failure);

}  // namespace grex::cli
