#pragma once

#include <sys/types.h>

#include <chrono>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "base/unique_fd.hpp"

namespace grex::sys {

/// What a file is, whatever it is called: st_dev and st_ino.
struct FileId {
  std::uint64_t dev = 0;
  std::uint64_t ino = 0;
  auto operator<=>(const FileId&) const = default;
};

enum class FileType { absent, regular, directory, other };

/// The rest is meaningful unless it is absent.
struct FileStatus {
  FileType type = FileType::absent;
  FileId id;
  std::uint64_t size = 0;                  ///< bytes
  std::uint64_t names = 0;                 ///< hard links
  std::chrono::nanoseconds modified = {};  ///< since the epoch
};

/// What it means that a file could not be opened or looked up.
ErrorKind kind_of_lookup(int err);

/// openat(2), close-on-exec, begun again where a signal interrupts it. If none is
/// returned, errno says why.
UniqueFd open_at(int directory, const std::string& name, int flags, mode_t mode = 0);

/// lstat(2): a symlink is `other`. A missing file, or a missing directory on
/// the way to it, is `absent`, not an Error. Errors: not-found (a loop of
/// symlinks, too long a name), permission, system, io.
Result<FileStatus> status_of(const std::string& path);

/// fstat(2) of a borrowed descriptor. Errors: io, system.
Result<FileStatus> status_of(int fd);

/// Where a file lies.
struct Place {
  std::optional<std::uint64_t> mount;  ///< its number in /proc/self/mountinfo; none before Linux 5.8
  std::uint64_t device = 0;            ///< st_dev
};

/// That of a borrowed descriptor. No server is asked. Errors: permission, system, io.
Result<Place> place_of(int fd);

/// That of an absolute path, whose end may be a symlink that is not followed; where
/// there is nothing yet, of the nearest directory above. Errors: permission, system, io.
Result<Place> place_of(const std::string& path);

/// What a descriptor that this process was given is open for.
enum class Access { closed, reading, writing };
Access access_of(int fd);

/// What path a descriptor of this process was opened by, as the kernel names it
/// now; empty where that can't be known. " (deleted)" is added to one that has
/// no name any more.
std::string path_of(int fd);

/// Another descriptor for the same open file, above the standard streams and not
/// inherited. Errors: system.
Result<UniqueFd> duplicate(int fd);

/// Takes the numbers 0, 1 and 2 where they are closed, so that no file of ours
/// gets them: they fail as before, and the programs that are run find them closed.
void reserve_standard_streams();

/// Keeps a descriptor that this process was given from the programs it runs.
void close_on_exec(int fd);

/// A directory, opened only to look up names in it (O_PATH), and its one
/// canonical path: absolute, symlinks resolved, as the kernel names it.
struct Directory {
  UniqueFd fd;
  std::string path;
};

/// Errors: not-found (missing, or not a directory), permission, system, io.
Result<Directory> open_directory(const std::string& path);

/// mkdir -p with the caller's umask. Errors: create, system, not-found (a file stands
/// in the way).
Result<void> make_directories(const std::string& path);

/// Absolute path of the working directory; empty where it can't be known.
std::string working_directory();

/// The names in a directory, without "." and "..", in no order. Errors:
/// not-found, permission, system, io.
Result<std::vector<std::string>> names_in(const std::string& directory);

}  // namespace grex::sys
