#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace grex::sys {

/// What a walk calls for the entries that it finds. A `directory` is a whole path.
struct TreeVisitor {
  /// Whether to enter a directory of this name.
  std::function<bool(std::string_view name)> enters;
  /// Called for each directory before its entries. False ends the walk.
  std::function<bool(const std::string& directory)> on_directory;
  /// Called for each entry that is not a directory.
  std::function<void(const std::string& directory, std::string_view name)> on_file;
  /// Called for a directory that could not be read, or not to its end.
  std::function<void(const Error& error)> on_unreadable;
};

/// Visits a directory and everything below it, in no particular order. Symbolic links
/// count as files. The walk stays on the directory's file system, and may miss what is
/// created or removed in the meantime. Errors: those of reading the first directory.
Result<void> walk_tree(const std::string& directory, const TreeVisitor& visitor);

}  // namespace grex::sys
