#pragma once

#include <sys/types.h>

#include <string>

#include "base/result.hpp"
#include "base/unique_fd.hpp"
#include "sys/file/file.hpp"

namespace grex::sys {

/// Who may change what is in a directory.
struct Ownership {
  uid_t owner = 0;
  bool is_world_writable = false;
};

/// fstat(2) of a borrowed descriptor. Errors: io, system.
Result<Ownership> ownership_of(int fd);

/// Opens a real directory, not a symlink, in an open one, to look up names in it. Errors:
/// not-found (ENOENT; ENOTDIR for what is no directory), permission, system, io.
Result<UniqueFd> open_subdirectory(int directory, const std::string& name);

/// A walk from a directory to those above it. Each step is from an open directory to its
/// `..`: it crosses mounts, needs no path, and is not misled by directories that are
/// renamed in the meantime.
class UpwardWalk {
 public:
  /// An empty path is an error, not the working directory. Errors: those of
  /// open_directory, but a path longer than PATH_MAX is fine for the working directory ".".
  static Result<UpwardWalk> from(const std::string& path);

  /// From an open directory. Errors: system.
  static Result<UpwardWalk> from(const Directory& directory);

  /// Of the current directory; borrowed, and valid until the next step.
  [[nodiscard]] int fd() const { return fd_.get(); }

  /// One step up. False at the root directory. Errors: those of open_directory; the walk
  /// stays where it is.
  Result<bool> step();

  /// The current directory with its canonical path. Errors: those of open_directory, for
  /// instance if the path is longer than PATH_MAX.
  [[nodiscard]] Result<Directory> directory() const;

  /// A path of the current directory for messages; not canonical if that can't be known.
  [[nodiscard]] std::string shown_path() const;

 private:
  UpwardWalk(UniqueFd fd, std::string path) : fd_(std::move(fd)), path_(std::move(path)) {}

  UniqueFd fd_;
  std::string path_;  // leads to it, unless something was renamed
};

}  // namespace grex::sys
