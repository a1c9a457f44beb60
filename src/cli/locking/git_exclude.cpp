#include "cli/locking/git_exclude.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>

#include "cli/report/failure.hpp"
#include "cli/report/output.hpp"
#include "core/lock/git_exclude.hpp"
#include "core/lock/search_upwards.hpp"
#include "sys/file/file.hpp"
#include "sys/file/no_follow.hpp"

namespace grex::cli {
namespace {

// Adds a text to a list. False if it is there.
bool add_new(std::vector<std::string>& list, const std::string& text) {
  if (std::find(list.begin(), list.end(), text) != list.end()) return false;
  list.push_back(text);
  return true;
}

std::string why_of_exclude(const Error& error) {
  if (error.kind == ErrorKind::busy) return "another process keeps it locked";
  if (error.op == sys::check_owner) return "belongs to another user";
  if (error.err == EMLINK) return "has a second hard link";
  if (error.err == EFBIG) return "too long";
  return failure_from(error).why;
}

}  // namespace

void GitExcluder::look_at(const sys::LockFileName& lock_file, const LockOptions& options) {
  if (options.git_exclude == GitExclude::off) return;
  const std::string path = lock_file.path();
  if (!add_new(directories_, path.substr(0, path.rfind('/')))) return;
  const core::GitExclusion exclusion = core::exclude_from_git(lock_file);
  const Result<bool>& added = exclusion.is_added;
  if (added) {
    if (!*added || options.verbosity != Verbosity::verbose) return;
    note(fmt::format("git ignores lock files in {} from now on: see its info/exclude", exclusion.work_tree));
    return;
  }
  if (options.verbosity == Verbosity::quiet || !add_new(reported_, exclusion.work_tree)) return;
  if (!core::is_workspace(exclusion.work_tree)) return;
  note(fmt::format("warning: cannot write: {}: {}; grex may skip this pack, because git status shows lock files",
                   added.error().path, why_of_exclude(added.error())));
}

}  // namespace grex::cli
