#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "core/inspect/inspect.hpp"
#include "core/lock/tier_stack.hpp"
#include "sys/process/child.hpp"

namespace grex::cli {

/// Why a command did not do what it was asked to, ready to be told.
struct Failure {
  ErrorKind kind = ErrorKind::internal;
  std::string what;  ///< a few words: "busy", "not found"
  std::string path;
  std::string why;
  std::string hint = {};  ///< what to do about it, where that helps
  int err = 0;            ///< errno, or 0
  int exit_code = 0;
  std::optional<core::Tier> tier = {};
  std::vector<core::Party> holders = {};          ///< with busy and timeout
  std::optional<core::StackEntry> ancestor = {};  ///< whose lock stands in the way
  bool told = true;                               ///< false: -q keeps it to the exit code
};

/// How a command ended.
struct Outcome {
  int exit_code = 0;
  std::optional<Failure> failure = {};
  /// The user's Ctrl-C ended it. To the shell we too must have died of it, or
  /// the loop or the script that called us would go on.
  bool interrupted_by_user = false;
};

Outcome failed(Failure failure);

/// That of whoever ends as a child of its did.
Outcome outcome_of(const sys::ChildEnd& end);

/// The prose of an error that the system made.
Failure failure_from(const Error& error);
Failure failure_from(const Error& error, core::Tier tier);

/// Bad input; `hint` is what to type instead.
Failure usage_failure(std::string why, std::string hint);

/// `grex-lock: WHAT: PATH: WHY`, and the hint on a line of its own; with the
/// newlines.
std::string to_text(const Failure& failure);

}  // namespace grex::cli
