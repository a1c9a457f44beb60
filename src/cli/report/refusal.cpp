#include "cli/report/refusal.hpp"

#include <fmt/format.h>

#include <cerrno>
#include <filesystem>
#include <optional>
#include <utility>

#include "cli/report/printable.hpp"
#include "core/lock/layout.hpp"
#include "sys/file/file.hpp"
#include "sys/file/obstacle.hpp"
#include "sys/process/proc.hpp"

namespace grex::cli {
namespace {

std::string owner_text(const sys::FileStatus& file) {
  return fmt::format("belongs to {}, mode {:04o}", sys::user_name(file.owner), file.permissions);
}

// nullopt if there is none, or it can't be seen.
std::optional<sys::FileStatus> status_of(const std::string& path) {
  const auto status = sys::status_of(path);
  return status && status->type != sys::FileType::absent ? std::optional(*status) : std::nullopt;
}

std::string above(const std::string& path) {
  const std::string parent = std::filesystem::path(path).parent_path();
  return parent.empty() ? "." : parent;
}

// The nearest directory on the way to a path that may not be searched: the last one that
// can be seen.
Refusal refusal_on_the_way(std::string path) {
  for (std::string parent = above(path); parent != path; path = std::exchange(parent, above(parent))) {
    const auto status = status_of(parent);
    if (status) return {.hint = fmt::format("{} {}", parent, owner_text(*status))};
  }
  return {};
}

Refusal refusal_by_file(const std::string& path, const sys::FileStatus& file) {
  const bool is_own = file.owner == sys::effective_uid();
  const std::string whom = is_own ? "try" : fmt::format("ask {} for read permission", sys::user_name(file.owner));
  return {.why = owner_text(file),
          .hint = fmt::format("{}: chmod {}+r {}", whom, is_own ? "u" : "a", shell_line({path}))};
}

Refusal missing_permission(const Error& error) {
  if (error.kind == ErrorKind::create) {
    const auto directory = status_of(above(error.path));
    return directory ? Refusal{.hint = "the directory " + owner_text(*directory)} : refusal_on_the_way(error.path);
  }
  const auto status = status_of(error.path);
  if (!status) return refusal_on_the_way(error.path);
  if (status->type == sys::FileType::regular) return refusal_by_file(error.path, *status);
  if (status->type == sys::FileType::directory) return {.hint = "the directory " + owner_text(*status)};
  return {};
}

std::string link_to(const std::string& text) { return "symbolic link to " + text; }

// A PATH that leads to no directory.
Refusal no_directory(const std::string& path) {
  using Kind = sys::Obstacle::Kind;
  const sys::Obstacle obstacle = sys::find_obstacle(path);
  const bool is_itself = obstacle.at.size() >= path.find_last_not_of('/') + 1;
  switch (obstacle.kind) {
    case Kind::none:
      break;
    case Kind::missing:
      return {.why = is_itself ? "no such directory" : obstacle.at + " does not exist"};
    case Kind::dangling:
      return {.why = (is_itself ? "" : obstacle.at + " is a ") + link_to(obstacle.link) + ", which does not exist"};
    case Kind::not_directory:
      if (!is_itself) return {.why = obstacle.at + " is not a directory"};
      if (!obstacle.link.empty()) return {.what = "not a directory", .why = link_to(obstacle.link)};
      return {.what = "not a directory", .why = core::lock_place_of(path) ? "a lock file" : ""};
  }
  return {};
}

// Something else in the place of a lock file, or of a directory on the way to it.
Refusal unsafe_file(const Error& error) {
  if (error.err != ELOOP) return {};
  const std::string link = sys::link_text(error.path);
  if (!link.empty()) return {.why = "a " + link_to(link)};
  return {.why = status_of(error.path) ? "leads through a symbolic link" : ""};
}

// Whether a path starts in the current directory, and that was removed.
bool starts_nowhere(const std::string& path) {
  const auto current = sys::status_of(".");
  return !path.starts_with('/') && current && current->names == 0;
}

}  // namespace

Refusal explain_refusal(const Error& error) {
  if (error.path.empty()) return {};
  const bool is_in_the_way = error.err == ENOENT || error.err == ENOTDIR || error.err == EEXIST;
  if (error.err == ENOENT && starts_nowhere(error.path)) return {.hint = "the current directory was removed"};
  if (error.kind == ErrorKind::not_found) return is_in_the_way ? no_directory(error.path) : Refusal();
  if (error.kind == ErrorKind::unsafe_file) return unsafe_file(error);
  if (error.kind == ErrorKind::create && error.err == ENOTDIR) {
    return {.why = "exists, but is not a directory", .hint = "if it does not belong there, remove it"};
  }
  return error.err == EACCES ? missing_permission(error) : Refusal();
}

}  // namespace grex::cli
