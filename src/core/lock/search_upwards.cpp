#include "core/lock/search_upwards.hpp"

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <utility>

#include "base/text.hpp"
#include "sys/file/upward_walk.hpp"
#include "sys/process/proc.hpp"

namespace grex::core {
namespace {

enum class Mark { absent, present, unsafe, unreadable };

bool is_safe(const sys::Ownership& directory, uid_t user) {
  if (directory.is_world_writable) return false;
  return user == 0 || directory.owner == user || directory.owner == 0;
}

Mark safety_of(int directory) {
  const auto ownership = sys::ownership_of(directory);
  if (!ownership) return Mark::unreadable;
  return is_safe(*ownership, sys::effective_uid()) ? Mark::present : Mark::unsafe;
}

Mark pack_yaml_in(int directory) {
  const auto grex = sys::open_subdirectory(directory, ".grex");
  if (!grex) {
    const int err = grex.error().err;
    return err == ENOENT || err == ENOTDIR ? Mark::absent : Mark::unreadable;
  }
  const auto pack_yaml = sys::status_at(grex->get(), "pack.yaml");
  if (!pack_yaml) return Mark::unreadable;
  if (pack_yaml->type != sys::FileType::regular) return Mark::absent;
  // In a `.grex/` that another user can write to, the file proves as little.
  return safety_of(grex->get());
}

// `.git` is a file in a worktree and a submodule, and a symlink in checkouts of repo(1).
Mark git_in(int directory) {
  const auto git = sys::status_at(directory, ".git");
  if (!git) return Mark::unreadable;
  const bool is_repository = git->type == sys::FileType::directory || git->type == sys::FileType::regular ||
                             git->type == sys::FileType::symlink;
  return is_repository ? Mark::present : Mark::absent;
}

Mark pack_in(int directory) {
  const Mark git = git_in(directory);
  return git == Mark::absent ? pack_yaml_in(directory) : git;
}

enum class Extent { nearest, all };

SearchStop stop_at(std::string directory, Mark mark) {
  const auto reason = mark == Mark::unsafe ? SearchStop::Reason::unsafe : SearchStop::Reason::unreadable;
  return {std::move(directory), reason};
}

SearchResult search_upwards(Result<sys::UpwardWalk> walk, Mark (*mark_in)(int directory), Extent wanted) {
  SearchResult result;
  if (!walk) {
    const bool is_unsafe = walk.error().kind == ErrorKind::unsafe_file;
    result.stop = stop_at(walk.error().path, is_unsafe ? Mark::unsafe : Mark::unreadable);
    return result;
  }
  for (;;) {
    const Mark safety = safety_of(walk->fd());
    const Mark mark = safety == Mark::present ? mark_in(walk->fd()) : safety;
    if (mark == Mark::unsafe || mark == Mark::unreadable) {
      const bool is_inside = safety == Mark::present && mark == Mark::unsafe;
      result.stop = stop_at(is_inside ? path_in(walk->shown_path(), ".grex") : walk->shown_path(), mark);
      return result;
    }
    if (mark == Mark::present) {
      auto directory = walk->directory();
      if (!directory) {
        const bool is_unsafe = directory.error().kind == ErrorKind::unsafe_file;
        result.stop = stop_at(walk->shown_path(), is_unsafe ? Mark::unsafe : Mark::unreadable);
        return result;
      }
      result.found.push_back(std::move(*directory));
      if (wanted == Extent::nearest) return result;
    }
    const auto above = walk->step();
    if (!above) result.stop = stop_at(walk->shown_path(), Mark::unreadable);
    if (!above || !*above) return result;
  }
}

// From a directory that is opened as PATH is, so that for root, too, no user leads the
// search elsewhere.
SearchResult search_workspaces(const std::string& from) {
  const auto directory = sys::open_directory(from);
  auto walk = directory ? sys::UpwardWalk::from(*directory) : directory.error();
  return search_upwards(std::move(walk), pack_yaml_in, Extent::all);
}

// The directories in which a component of the path is a symlink, the last one first.
std::vector<std::string> directories_of_links(const std::string& path) {
  std::vector<std::string> directories;
  for (std::size_t begin = 0; begin < path.size();) {
    const std::size_t end = std::min(path.find('/', begin), path.size());
    const auto component = end > begin ? sys::status_of(path.substr(0, end)) : sys::FileStatus{};
    if (component && component->type == sys::FileType::symlink) {
      directories.push_back(begin == 0 ? "." : path.substr(0, begin));
    }
    begin = end + 1;
  }
  std::reverse(directories.begin(), directories.end());
  return directories;
}

}  // namespace

bool is_workspace(const std::string& directory) { return sys::exists(path_in(directory, ".grex/pack.yaml")); }

SearchResult find_enclosing_pack() { return search_upwards(sys::UpwardWalk::from("."), pack_in, Extent::nearest); }

SearchResult find_enclosing_pack(const sys::Directory& from) {
  return search_upwards(sys::UpwardWalk::from(from), pack_in, Extent::nearest);
}

std::optional<sys::Directory> pack_around(const sys::Directory& directory) {
  SearchResult search = find_enclosing_pack(directory);
  if (search.found.empty()) return std::nullopt;
  sys::Directory& pack = search.found.front();
  if (pack.id == directory.id) return std::nullopt;
  const auto above = [](const std::string& path) { return std::filesystem::path(path).parent_path().string(); };
  const bool is_in_workspace = above(directory.path) == pack.path && is_workspace(pack.path);
  if (is_in_workspace && !is_workspace(above(pack.path))) return std::nullopt;
  return std::move(pack);
}

SearchResult find_meta_directory(const sys::Directory& from) {
  return search_upwards(sys::UpwardWalk::from(from), pack_yaml_in, Extent::nearest);
}

SearchResult find_workspaces(const std::string& path) {
  SearchResult result = search_workspaces(path);
  for (const std::string& from : directories_of_links(path)) {
    SearchResult more = search_workspaces(from);
    for (sys::Directory& directory : more.found) {
      const auto is_known = [&directory](const sys::Directory& known) { return known.id == directory.id; };
      if (std::none_of(result.found.begin(), result.found.end(), is_known)) {
        result.found.push_back(std::move(directory));
      }
    }
    if (!result.stop) result.stop = std::move(more.stop);
  }
  return result;
}

}  // namespace grex::core
