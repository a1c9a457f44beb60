#include "core/lock/git_directory.hpp"

#include <fcntl.h>

#include <cerrno>

#include "base/text.hpp"
#include "core/lock/git_block.hpp"
#include "sys/file/file.hpp"
#include "sys/file/io.hpp"
#include "sys/file/upward_walk.hpp"

namespace grex::core {
namespace {

constexpr std::size_t longest_path_file = 8192;  // bytes

bool has(int directory, const std::string& name) {
  const auto status = sys::status_at(directory, name);
  return status && status->type != sys::FileType::absent;
}

bool is_repository(int directory) {
  return has(directory, "HEAD") && has(directory, "objects") && has(directory, "refs");
}

// The content of a small file. Errors: not-found with ENOENT if it is missing.
Result<std::string> read_small_file(int directory, const std::string& name, sys::Owner owner) {
  const auto file = sys::open_file_no_follow(directory, name, O_RDONLY, owner);
  if (!file) return file.error();
  return sys::read_start(file->get(), longest_path_file);
}

// The directory that a path in a file of `directory` names.
Result<UniqueFd> open_named(int directory, const std::optional<std::string>& path, sys::Owner owner) {
  if (!path) return Error{ErrorKind::not_found, "read", {}, EINVAL};
  return sys::open_directory_no_follow(directory, *path, owner);
}

// The directory that a `.git` file leads to, in a linked worktree or a submodule.
Result<UniqueFd> open_linked(int work_tree, sys::Owner owner) {
  const auto text = read_small_file(work_tree, ".git", owner);
  if (!text) return text.error();
  auto directory = open_named(work_tree, gitdir_in(*text), owner);
  if (!directory) return directory;
  const auto common = read_small_file(directory->get(), "commondir", owner);
  if (common) return open_named(directory->get(), commondir_in(*common), owner);
  if (common.error().err != ENOENT) return common.error();
  return directory;
}

// nullopt if `.git` is a directory, but no repository. `path` is that of `.git`.
Result<std::optional<GitDirectory>> open_git(int work_tree, const std::string& path, sys::FileType type,
                                             sys::Owner owner) {
  if (type == sys::FileType::symlink) return Error{ErrorKind::unsafe_file, "open", path, ELOOP};
  const bool is_linked = type != sys::FileType::directory;
  auto directory = is_linked ? open_linked(work_tree, owner) : sys::open_directory_no_follow(work_tree, ".git", owner);
  if (!directory) return at_path(directory.error(), path);
  if (!is_repository(directory->get())) {
    if (is_linked) return Error{ErrorKind::not_found, "open", path, ENOENT};
    return std::optional<GitDirectory>();
  }
  std::string name = is_linked ? sys::path_of(directory->get()) : path;
  return std::optional(GitDirectory{std::move(*directory), name.empty() ? path : std::move(name)});
}

}  // namespace

GitSearch find_git_directory(const sys::LockFileName& file, sys::Owner owner) {
  const auto start = sys::open_directory_of(file);
  if (!start) return {{}, start.error()};
  auto walk = sys::UpwardWalk::from(*start);
  if (!walk) return {{}, walk.error()};
  for (;;) {
    const auto status = sys::status_at(walk->fd(), ".git");
    if (!status || status->type != sys::FileType::absent) {
      const std::string above = walk->shown_path();
      const std::string mark = path_in(above, ".git");
      if (!status) return {above, at_path(status.error(), mark)};
      auto directory = open_git(walk->fd(), mark, status->type, owner);
      if (!directory || *directory) return {above, std::move(directory)};
    }
    const auto has_stepped = walk->step();
    if (!has_stepped) return {walk->shown_path(), has_stepped.error()};
    if (!*has_stepped) return {{}, std::optional<GitDirectory>()};
  }
}

}  // namespace grex::core
