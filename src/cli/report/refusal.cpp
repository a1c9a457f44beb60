#include "cli/report/refusal.hpp"

#include <fmt/format.h>

#include <cerrno>
#include <filesystem>
#include <optional>
#include <utility>

#include "sys/file/file.hpp"
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
    if (status) return {{}, fmt::format("{} {}", parent, owner_text(*status))};
  }
  return {};
}

Refusal refusal_by_file(const std::string& path, const sys::FileStatus& file) {
  const bool is_own = file.owner == sys::effective_uid();
  return {"it " + owner_text(file),
          fmt::format("{} 'chmod {}+r {}'",
                      is_own ? "allow it by" : "ask " + sys::user_name(file.owner) + " for read permission, as by",
                      is_own ? "u" : "a", path)};
}

}  // namespace

Refusal explain_refusal(const Error& error) {
  if (error.err != EACCES || error.path.empty()) return {};
  if (error.kind == ErrorKind::create) {
    const auto directory = status_of(above(error.path));
    return directory ? Refusal{{}, "the directory " + owner_text(*directory)} : refusal_on_the_way(error.path);
  }
  const auto status = status_of(error.path);
  if (!status) return refusal_on_the_way(error.path);
  if (status->type == sys::FileType::regular) return refusal_by_file(error.path, *status);
  if (status->type == sys::FileType::directory) return {{}, "the directory " + owner_text(*status)};
  return {};
}

}  // namespace grex::cli
