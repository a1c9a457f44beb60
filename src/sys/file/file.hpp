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

/// The identity of a file, whatever its name: st_dev and st_ino.
struct FileId {
  std::uint64_t dev = 0;
  std::uint64_t ino = 0;
  auto operator<=>(const FileId&) const = default;
};

enum class FileType { absent, regular, directory, symlink, other };

/// If the type is `absent`, the other members mean nothing.
struct FileStatus {
  FileType type = FileType::absent;
  FileId id;
  std::uint64_t size = 0;                  ///< bytes
  std::uint64_t names = 0;                 ///< hard links
  std::chrono::nanoseconds modified = {};  ///< since the epoch
  std::chrono::nanoseconds changed = {};   ///< the same, but also when a name was added or removed
  uid_t owner = 0;
  mode_t permissions = 0;  ///< and the other bits of chmod(2)
};

/// The kind of error if a file could not be opened or looked up; `err` is errno.
ErrorKind kind_of_lookup(int err);

/// openat(2), close-on-exec, retried if a signal interrupts it. If the result is not
/// open, errno says why.
UniqueFd open_at(int directory, const std::string& name, int flags, mode_t mode = 0);

/// The path by which a descriptor of this process can be opened again.
std::string path_by_number(int fd);

/// lstat(2). A missing file, or a missing directory on the way to it, is `absent`, not an
/// Error. Errors: not-found (a loop of symlinks, a name that is too long), permission,
/// system, io.
Result<FileStatus> status_of(const std::string& path);

/// The same for a name in an open directory.
Result<FileStatus> status_at(int directory, const std::string& name);

/// Whether there is something at a path, as lstat(2) sees it; false if it can't be known.
bool exists(const std::string& path);

/// The directory at a path; nullopt if there is none, as lstat(2) sees it, or that can't be known.
std::optional<FileId> directory_at(const std::string& path);

/// fstat(2) of a borrowed descriptor. Errors: io, system.
Result<FileStatus> status_of(int fd);

/// The mount and the device of a file.
struct Place {
  std::optional<std::uint64_t> mount;  ///< its ID in /proc/self/mountinfo; none before Linux 5.8
  std::uint64_t device = 0;            ///< st_dev
};

/// The place of a borrowed descriptor's file. Asks no server. Errors: permission,
/// system, io.
Result<Place> place_of(int fd);

/// The same of a name in an open directory, without following a symlink. Asks no server for
/// the root of what is mounted there.
Result<Place> place_of(int directory, const std::string& name);

/// The place of an absolute path, without following a symlink at its end. If nothing
/// exists there yet, that of the nearest directory above. Errors: permission, system, io.
Result<Place> place_of(const std::string& path);

/// What a descriptor that this process inherited is open for. One that can only look up
/// names (O_PATH) counts as closed.
enum class Access { closed, reading, writing };
Access access_of(int fd);

/// Whether a write through a descriptor goes to the end of its file (O_APPEND).
bool appends(int fd);

/// The kernel's current name for the file of a descriptor of this process; empty if
/// unknown. " (deleted)" is appended if the file has no name any more.
std::string path_of(int fd);

/// Another descriptor for the same open file description, above the standard streams
/// and close-on-exec. Errors: system.
Result<UniqueFd> duplicate(int fd);

/// A descriptor that can neither be read nor written: that fails with EBADF, as on a closed
/// one. Needs no file but the root directory. Errors: system.
Result<UniqueFd> open_unusable();

/// Occupies each of the descriptors 0, 1 and 2 that is closed, so that no file of ours
/// gets its number. Using it still fails, and programs that we run find it closed.
/// Errors: system.
Result<void> reserve_standard_streams();

/// Closes the descriptors from `first` to `last`, as far as they are open.
/// Async-signal-safe.
void close_descriptors(unsigned first, unsigned last);

/// Keeps programs that this process runs from inheriting a descriptor.
void close_on_exec(int fd);

/// A directory, opened only to look up names in it (O_PATH).
struct Directory {
  UniqueFd fd;
  FileId id;
  /// Its canonical path: absolute, with symlinks resolved, as the kernel names it.
  std::string path;
  /// A path by which this process can open it again: `path`, unless that leads through a
  /// directory that may not be searched, or is longer than the kernel allows. Then it is
  /// the one by which it was opened: relative, most likely.
  std::string access_path;
};

/// As root, opened by walk_safely. Errors: not-found (missing, or not a directory),
/// permission, system, io; as root, also unsafe-file.
Result<Directory> open_directory(const std::string& path);

/// Whether its path leads to another directory by now, or to none.
bool is_elsewhere(const Directory& directory);

/// mkdir -p with the caller's umask; as root, by walk_safely. Errors: create, system,
/// not-found (a file is in the way); as root, also those of open_directory.
Result<void> create_directories(const std::string& path);

/// The absolute path of the working directory; empty if unknown.
std::string working_directory();

/// A path by which this process can look up what an absolute path names, if the kernel
/// named that: a relative one, if a directory on the way to the working directory may not be
/// searched.
std::string access_path_of(const std::string& path);

/// The names in a directory, without "." and "..", in no particular order. Errors:
/// not-found, permission, system, io.
Result<std::vector<std::string>> names_in(const std::string& directory);

/// The same for a borrowed descriptor, which may be open for looking up names only.
Result<std::vector<std::string>> names_in(int directory);

}  // namespace grex::sys
