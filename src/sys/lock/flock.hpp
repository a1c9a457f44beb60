#pragma once

#include <cerrno>
#include <chrono>
#include <optional>
#include <string_view>
#include <utility>

#include "base/result.hpp"
#include "sys/lock/lock_file.hpp"

namespace grex::sys {

enum class Mode { exclusive, shared };

std::string_view name_of(Mode mode);
std::optional<Mode> mode_named(std::string_view name);

enum class Acquire { held, busy, timed_out, cancelled, suspended };

/// Tries the lock once, without waiting. `busy` is an answer, not an Error.
/// The lock belongs to the open file description: it lasts until every copy of
/// `fd`, children's included, is closed or one is unlocked (flock(2)).
/// Errors: permission (NFS requires a writable descriptor for an exclusive lock),
/// system (also if the file system has no locks), io.
Result<Acquire> try_lock(int fd, Mode mode);

/// The same for a file that is open for reading: if it must be open for writing to be locked
/// (EBADF, on NFS), `reopen` opens it so, which gives a Result<LockFile>. A leased file is busy.
template <class Reopen>
Result<Acquire> try_lock(LockFile& file, Mode mode, Reopen reopen) {
  if (file.is_leased) return Acquire::busy;
  auto outcome = try_lock(file.fd.get(), mode);
  if (outcome || outcome.error().err != EBADF) return outcome;
  auto writable = reopen();
  if (!writable || writable->id != file.id) return outcome;
  file = std::move(*writable);
  return try_lock(file.fd.get(), mode);
}

/// The same, but tries again until `time` has passed. For locks that are held for an
/// instant, where a wait in the kernel's queue, which a signal has to end, is not worth it.
Result<Acquire> try_lock_for(int fd, Mode mode, std::chrono::milliseconds time);

/// Releases the lock for every copy of `fd`. Errors: as try_lock. A local file never
/// fails, but a server may; then closing the last copy releases the lock.
Result<void> unlock(int fd);

/// The Error of a flock(2) call that failed with `err`.
Error flock_error(int err);

}  // namespace grex::sys
