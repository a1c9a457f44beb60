#include "cli/report/failure.hpp"

#include <fmt/format.h>
#include <string.h>

#include <cerrno>
#include <utility>

#include "base/exit_code.hpp"
#include "cli/report/printable.hpp"
#include "cli/report/refusal.hpp"
#include "core/inspect/inspect.hpp"
#include "core/lock/target.hpp"
#include "sys/file/no_follow.hpp"
#include "sys/file/owner.hpp"
#include "sys/file/safe_walk.hpp"

namespace grex::cli {
namespace {

std::string_view what_of(const Error& error) {
  switch (error.kind) {
    case ErrorKind::not_found:
      return "not found";
    case ErrorKind::permission:
      return "no permission";
    case ErrorKind::unsafe_file:
      return error.op == sys::unsafe_step ? "unsafe path" : "unsafe lock file";
    case ErrorKind::create:
      return "cannot create";
    case ErrorKind::io:
      return "I/O error";
    case ErrorKind::system:
      return "the system refused";
    case ErrorKind::exec:
      return error.err == ENOENT ? "command not found" : "cannot run";
    default:
      return "internal error";
  }
}

// See core::find_meta.
std::string why_no_meta(int err) {
  if (err == ENOENT) return "no .grex/pack.yaml in any directory above";
  return fmt::format("the search for .grex/pack.yaml stops at this directory, {}",
                     err == EPERM ? "which other users can write to" : "which cannot be read");
}

bool was_refused_as_owner(const Error& error) {
  return error.kind == ErrorKind::create && error.op == sys::create_as_owner;
}

std::string why_of(const Error& error) {
  if (error.op == sys::unsafe_step) return "leads from one user's directory or link to another user's";
  if (error.kind == ErrorKind::unsafe_file && error.err == ENOTDIR) return "not a directory";
  if (error.kind == ErrorKind::unsafe_file) return error.err == ELOOP ? "a symbolic link" : "not a regular file";
  if (error.kind == ErrorKind::permission && error.op == "flock") {
    return "an exclusive lock needs permission to write here";
  }
  if (error.op == core::find_meta) return why_no_meta(error.err);
  if (error.op == core::not_looked_up) return "its file system may not answer";
  const char* const description = ::strerrordesc_np(error.err);
  std::string why = description != nullptr ? description : "unknown error";
  if (was_refused_as_owner(error)) why = "the owner of the directory can't: " + why;
  if (error.kind == ErrorKind::io || error.kind == ErrorKind::system) why += fmt::format(" ({})", error.op);
  return why;
}

std::string hint_of(const Error& error) {
  if (error.op == sys::unsafe_step) return "if you trust that user, change to the directory, and use '.' as PATH";
  if (was_refused_as_owner(error)) return "in another user's directory, root makes only what that user could";
  if (error.kind == ErrorKind::unsafe_file) return "if it does not belong there, remove it";
  if (error.op == "flock" && error.kind == ErrorKind::system && error.err != ENOMEM) {
    return "its file system has no locks, or cannot reach the server that keeps them: see how it is mounted";
  }
  if (error.op == core::find_meta) return "use --layout flat, or a destination in a workspace";
  return {};
}

// Whether what is in the way can be seen in the file system.
bool may_be_explained(const Error& error) {
  switch (error.kind) {
    case ErrorKind::not_found:
      return error.op != core::find_meta;
    case ErrorKind::unsafe_file:
      return error.op != sys::unsafe_step;
    case ErrorKind::permission:
      return error.op != "flock" && error.op != sys::check_owner;
    case ErrorKind::create:
      return error.op != sys::create_as_owner;
    default:
      return false;
  }
}

}  // namespace

Failure failure_from(const Error& error) {
  if (error.op == core::no_destination) {
    return usage_failure(fmt::format("tier backend: {} cannot be a clone destination", error.path), {});
  }
  Failure failure;
  failure.kind = error.kind;
  failure.what = what_of(error);
  failure.path = error.path;
  failure.why = why_of(error);
  failure.hint = hint_of(error);
  failure.err = error.err;
  failure.exit_code = exit_code_of(error.kind, error.err);
  if (!may_be_explained(error)) return failure;
  Refusal refusal = explain_refusal(error);
  if (!refusal.what.empty()) {
    failure.what = std::move(refusal.what);
    failure.why.clear();
  }
  if (!refusal.why.empty()) failure.why = std::move(refusal.why);
  if (!refusal.hint.empty()) failure.hint = std::move(refusal.hint);
  return failure;
}

Failure failure_from(const Error& error, core::Tier tier) {
  Failure failure = failure_from(error);
  failure.tier = tier;
  return failure;
}

Failure usage_failure(std::string why, std::string hint) {
  Failure failure;
  failure.kind = ErrorKind::usage;
  failure.what = "usage";
  failure.why = std::move(why);
  failure.hint = std::move(hint);
  failure.exit_code = exit_code::usage;
  return failure;
}

Failure privileged_failure() {
  Failure failure;
  failure.kind = ErrorKind::permission;
  failure.what = "no permission";
  failure.why = "grex-lock has rights that its caller may not have, which it would pass on to any command";
  failure.hint = "the program must not be set-user-ID or set-group-ID, nor have file capabilities";
  failure.exit_code = exit_code::permission;
  return failure;
}

std::string to_text(const Failure& failure) {
  std::string line = "grex-lock: " + failure.what;
  const bool is_command = failure.kind == ErrorKind::exec;
  if (!failure.path.empty()) line += ": " + (is_command ? shell_line({failure.path}) : printable(failure.path));
  if (!failure.why.empty()) line += ": " + printable(failure.why);
  line += "\n";
  if (!failure.hint.empty()) line += "grex-lock: " + printable(failure.hint) + "\n";
  return line;
}

}  // namespace grex::cli
