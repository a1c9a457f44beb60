#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "base/unique_fd.hpp"
#include "sys/file/file.hpp"

namespace grex::sys {

enum class Mode { exclusive, shared };

std::string_view name_of(Mode mode);
std::optional<Mode> mode_named(std::string_view name);

/// An open lock file.
struct LockFile {
  UniqueFd fd;
  FileId id;
  /// Nothing may be written into it: it is open for reading only, or it has
  /// another name, and so may be any file that somebody put in a lock file's place.
  bool must_not_write = false;
};

/// What a lock file is opened for.
enum class OpenFor {
  locking,  ///< it is made where it is missing, with the directories of its name
  probing,  ///< it may be locked, but not made
  reading,  ///< only to read it
};

/// Opens a lock file below an open directory, whatever is done to the path
/// meanwhile: no symlink in its name, no blocking on a FIFO, only a regular
/// file, never truncated. One that may only be read is opened for reading.
///
/// `name` is relative to `directory`. Errors: unsafe-file, permission, create
/// (missing; with OpenFor::locking it can't be made), system, io.
Result<LockFile> open_lock_file(int directory, const std::string& name, OpenFor purpose);

/// The same by an absolute path, in which only the end may be no symlink.
Result<LockFile> open_lock_file(const std::string& path, OpenFor purpose);

enum class Acquire { held, busy, timed_out, cancelled, suspended };

/// Tries the lock once, without waiting. `busy` is an answer, not an Error.
/// The lock belongs to the open file description: it lasts until every copy of
/// `fd`, children's included, is closed or one is unlocked (flock(2)).
/// Errors: permission (NFS wants a writable descriptor for an exclusive lock),
/// system (also where the file system has no locks), io.
Result<Acquire> try_lock(int fd, Mode mode);

/// Frees the lock for every copy of `fd`. Errors as for try_lock: not from a
/// local file, but a server may fail, and then the last copy to be closed frees it.
Result<void> unlock(int fd);

/// The Error of a flock(2) call that failed with `err`.
Error flock_error(int err);

}  // namespace grex::sys
