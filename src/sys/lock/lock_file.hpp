#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/result.hpp"
#include "base/unique_fd.hpp"
#include "sys/file/file.hpp"

namespace grex::sys {

/// An open lock file.
struct LockFile {
  UniqueFd fd;  ///< if `is_leased`, it only names the file
  FileId id;
  bool read_only = false;                 ///< it is open for reading only
  bool must_not_write = false;            ///< the same, or it has a second hard link, so it may be another file
  std::chrono::nanoseconds changed = {};  ///< as in FileStatus, when it was opened
  bool has_content = false;               ///< when it was opened
  bool is_new = false;                    ///< it was missing, and has been created to open it
  bool appends = false;                   ///< whatever is written goes to its end (O_APPEND)
  /// Another process has a lease on the file (F_SETLEASE in fcntl(2)), which has to be broken
  /// first: the file counts as busy, and a wait for its lock opens it.
  bool is_leased = false;
};

/// The name of a lock file below a directory that is open: what it leads to can be looked at
/// and opened, however the path of that directory changes, and even if that can't be known.
struct LockFileName {
  LockFileName(std::shared_ptr<const Directory> open_directory, std::string relative_name)
      : directory(std::move(open_directory)), name(std::move(relative_name)) {}

  /// An absolute path, in which no name may be a symlink: callers give the path that they
  /// resolved, and a symlink in it was put there since. Only the root directory of another
  /// process, /proc/PID/root, is followed.
  LockFileName(std::string absolute_path) : name(std::move(absolute_path)) {}

  std::shared_ptr<const Directory> directory;  ///< null: `name` is an absolute path
  std::string name;

  [[nodiscard]] std::string path() const;
};

/// What a lock file is opened for. Both ways, it may be locked, though on NFS exclusively
/// only for writing. File watchers report each close of a file that was open for writing.
/// `locking` and `recording` create a file that is missing, with the directories of its name.
enum class OpenFor { reading, writing, locking, recording };

/// Opens a lock file below an open directory, even if that directory's path changes in
/// the meantime. It follows no symlink in the name, doesn't block on a FIFO or a lease, opens
/// only a regular file, and never truncates it. A file that may only be read is opened for
/// reading.
///
/// Errors: unsafe-file, permission, create (missing; or it can't be created), system, io.
/// Their path is what could not be opened or created: the file, or a directory on the way.
Result<LockFile> open_lock_file(const LockFileName& name, OpenFor purpose);

/// The same for a name relative to a borrowed descriptor; so is the path of an Error, which
/// is empty for that directory itself.
Result<LockFile> open_lock_file(int directory, const std::string& name, OpenFor purpose);

/// Creates a lock file, with the directories of its name, that is locked before it has its
/// name: no other process can lock it before. nullopt if something has that name by now, or
/// the file system can't do that (O_TMPFILE in open(2)). `purpose` is `locking` or
/// `recording`. Errors: as open_lock_file, for the directories.
Result<std::optional<LockFile>> create_locked(const LockFileName& name, OpenFor purpose,
                                              const std::function<bool(int fd)>& lock);

/// Opens a leased file. Waits until the process has given up the lease, or the kernel has
/// ended it after /proc/sys/fs/lease-break-time. Errors: io, with EINTR, if a signal handler
/// has run; permission, system, io. Allocates no memory.
Result<LockFile> open_leased(const LockFile& leased);

/// What is in a lock file's place, found in the same way. `absent` if it is missing, or a
/// directory on the way to it. Errors: unsafe-file (there is something other than a
/// regular file, or a symlink on the way to it), permission, system, io.
Result<FileStatus> status_of_lock_file(const LockFileName& name);

/// The same, if lstat(2) of the file has shown this status.
Result<FileStatus> checked_status(const FileStatus& status, const LockFileName& name);

/// lstat(2) of a lock file, also through a symlink on the way: what it finds may only be
/// compared with a file that is open. Errors: as status_of.
Result<FileStatus> look_up(const LockFileName& name);

/// Opens the directory that a lock file is in, following no symlink. Errors: as
/// status_of_lock_file; not-found (missing).
Result<Directory> open_directory_of(const LockFileName& name);

/// Waits until no other process is in the middle of removing this name: until then it leads
/// to the file, although that has one name less already. A rename takes the lock of the
/// directory for it; this one, to the same name, replaces nothing and fails.
void finish_changes_of(const LockFileName& name);

enum class Names { one, several, unknown };

/// After this time, the next change of a file shows in the time of its last change, which
/// kernels before 6.13 count in ticks.
inline constexpr std::chrono::milliseconds time_until_changes_show(20);  // two ticks

/// How many names a file has, if one of them leads to it. `before` is an earlier look at the
/// file, and `now` a look by that name, with finish_changes_of() between them. Names that come
/// and go may be missed by each look, but the time of the last change shows them; `unknown`,
/// too, if that is more recent than that.
Names count_names(const FileStatus& before, const Result<FileStatus>& now);

/// The file's status if this is its only name, so writing into it changes no other file;
/// nullopt if that is not certain.
std::optional<FileStatus> status_if_only_name(const LockFile& file, const LockFileName& name);

/// Whether a lock file could be opened or created now, as far as permissions show it.
bool may_have_lock_file(const LockFileName& name);

/// The directory that a lock file is in.
struct LockDirectory {
  UniqueFd fd;  ///< not open if the file lies in the given directory itself
  FileId id;
};

/// Opens it, and creates it if it is missing. Errors: those of open_lock_file.
Result<LockDirectory> open_lock_directory(const LockFileName& name);

/// The names in the directory that a lock file is in. Errors: not-found, unsafe-file (a
/// symlink on the way to it), permission, system, io.
Result<std::vector<std::string>> names_beside_lock_file(const LockFileName& name);

}  // namespace grex::sys
