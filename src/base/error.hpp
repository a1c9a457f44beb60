#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

namespace grex {

/// What went wrong, as `error.kind` of the JSON documents spells it.
enum class ErrorKind {
  usage,
  stack,
  not_found,
  busy,
  timeout,
  reentry,
  tier_violation,
  cancelled,
  permission,
  unsafe_file,
  create,
  io,
  system,
  exec,
  internal,
};

constexpr std::string_view name_of(ErrorKind kind) {
  constexpr std::array<std::string_view, 15> names = {
      "usage",      "stack",       "not-found", "busy", "timeout", "reentry", "tier-violation", "cancelled",
      "permission", "unsafe-file", "create",    "io",   "system",  "exec",    "internal"};
  return names.at(static_cast<std::size_t>(kind));
}

/// A call that failed: its kind, its name, the file it was about, and errno.
/// Prose is made from it once, by cli/failure.
struct Error {
  ErrorKind kind;
  std::string_view op;  ///< the call, a literal: "open", "flock"
  std::string path;     ///< empty if no file is involved
  int err = 0;          ///< errno, saved right after the call; 0 if none
};

/// Names the file of an error that was made where only a descriptor was known.
inline Error at_path(Error error, std::string path) {
  error.path = std::move(path);
  return error;
}

}  // namespace grex
