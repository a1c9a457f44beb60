#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

namespace grex {

/// The kinds of error; name_of() gives the `error.kind` of the JSON documents.
enum class ErrorKind {
  usage,
  stack,
  not_found,
  not_held,
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
  lost,
  unreachable,
  cluster_config,
  internal,
};

constexpr std::string_view name_of(ErrorKind kind) {
  constexpr std::array<std::string_view, 19> names = {
      "usage",          "stack",     "not-found",   "not-held",       "busy",    "timeout", "reentry",
      "tier-violation", "cancelled", "permission",  "unsafe-file",    "create",  "io",      "system",
      "exec",           "lost",      "unreachable", "cluster-config", "internal"};
  return names.at(static_cast<std::size_t>(kind));
}

/// A call that failed: the kind of error, the call's name, the file, and errno.
/// Only cli/report/failure turns it into prose.
struct Error {
  ErrorKind kind;
  std::string_view op;  ///< the call, a literal: "open", "flock"
  std::string path;     ///< empty if no file is involved
  int err = 0;          ///< errno, saved right after the call; 0 if none
};

/// Adds the path to an error from a function that knows only the descriptor.
inline Error at_path(Error error, std::string path) {
  error.path = std::move(path);
  return error;
}

}  // namespace grex
