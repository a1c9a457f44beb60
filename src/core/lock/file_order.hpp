#pragma once

#include <vector>

#include "base/result.hpp"
#include "core/lock/target.hpp"
#include "sys/lock/flock.hpp"

namespace grex::core {

/// A file to take. It is opened in this directory: by the directory, its place in the order
/// was found, and by now the path may lead to another one.
struct OrderedFile {
  FilePosition at;
  sys::LockDirectory directory;
};

/// The order in which all processes take files, whatever layouts they use, and by whatever
/// paths the directories are reached: by tier, then the flat layout first, then by inode and
/// device of the directory, then by name. If several names lead to one file, it comes first
/// in the mode that is enough for all. Creates the directories. Errors: those of
/// sys::open_lock_directory; then `at` is the file.
Result<std::vector<OrderedFile>> order_of(const std::vector<Target>& targets, FilePosition& at);

}  // namespace grex::core
