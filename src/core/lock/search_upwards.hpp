#pragma once

#include <optional>
#include <string>
#include <vector>

#include "sys/file/file.hpp"

namespace grex::core {

/// Where a search upwards ended before the root directory, because what is there, and
/// above, proves nothing: another user could have put it there. Such a directory belongs
/// to neither the effective user nor root, or every user can write to it. Root, which
/// works in other users' packs, stops only at the latter.
struct SearchStop {
  enum class Reason { unsafe, unreadable };
  std::string directory;
  Reason reason = Reason::unsafe;
};

/// The directories that a search upwards has found, the nearest first.
struct SearchResult {
  std::vector<sys::Directory> found;
  std::optional<SearchStop> stop;
};

/// The enclosing pack: the nearest directory, from the working directory upwards, that has
/// `.grex/pack.yaml` or `.git`. If one is found, there is no `stop`.
SearchResult find_enclosing_pack();

/// The same from an open directory upwards.
SearchResult find_enclosing_pack(const sys::Directory& from);

/// The pack that a directory lies in without being one: its locks are those that count. A child
/// of an outermost workspace may be a pack without a mark, so it has none.
std::optional<sys::Directory> pack_around(const sys::Directory& directory);

/// Whether a directory has `.grex/pack.yaml`, of any owner: see SearchStop.
bool is_workspace(const std::string& directory);

/// The nearest directory, from this one upwards, that has `.grex/pack.yaml`. If one is
/// found, there is no `stop`. A `.grex/` alone does not count: grex-lock makes it, too.
SearchResult find_meta_directory(const sys::Directory& from);

/// Every directory that has `.grex/pack.yaml`, from `path` upwards, and also from each
/// directory upwards in which a component of `path` is a symlink: so the workspaces above
/// a path are those above it as it is written, and as it is canonical. `stop` is the first
/// one; directories above another can have been found all the same.
SearchResult find_workspaces(const std::string& path);

}  // namespace grex::core
