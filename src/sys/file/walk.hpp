#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace grex::sys {

/// What to do with what a walk meets. A directory is named by its whole path.
struct TreeVisitor {
  /// Whether to go into the directory of this name.
  std::function<bool(std::string_view name)> enters;
  /// Each directory, before what is in it. False ends the walk.
  std::function<bool(const std::string& directory)> on_directory;
  /// A name in a directory that is no directory itself.
  std::function<void(const std::string& directory, std::string_view name)> on_file;
  /// A directory that could not be read, or not to its end.
  std::function<void(const Error& error)> on_unreadable;
};

/// Visits a directory and all below it, in no order. Symbolic links are files to
/// it, and it stays on the directory's file system. What is made or removed
/// meanwhile may be missed. Errors: those of reading the first directory.
Result<void> walk_tree(const std::string& directory, const TreeVisitor& visitor);

}  // namespace grex::sys
