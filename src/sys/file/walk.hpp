#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "sys/file/file.hpp"

namespace grex::sys {

/// What a walk calls for the entries that it finds. A `directory` is a whole path.
struct TreeVisitor {
  /// Whether to enter a directory of this name.
  std::function<bool(std::string_view name)> enters;
  /// Whether to enter a directory that has another device than the first one, and is in
  /// another mount: `place` is its own, `top` that of the first one.
  std::function<bool(const std::string& directory, const Place& place, const Place& top)> enters_mount;
  /// Called for each directory before its entries. False ends the walk.
  std::function<bool(const std::string& directory)> on_directory;
  /// Called for each entry that is not a directory. `fd` is the directory, borrowed.
  std::function<void(int fd, const std::string& directory, std::string_view name)> on_file;
  /// Called for a directory that could not be read, or not to its end.
  std::function<void(const Error& error)> on_unreadable;
};

/// Visits a directory and everything below it, in no particular order. Symbolic links
/// count as files, also if one replaces a directory at any moment. The walk enters the
/// subvolumes of a mount (btrfs gives each its own device), and may miss what is created,
/// removed or moved in the meantime. Errors: those of reading the first directory.
Result<void> walk_tree(const Directory& top, const TreeVisitor& visitor);

}  // namespace grex::sys
