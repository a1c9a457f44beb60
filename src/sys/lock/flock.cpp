#include "sys/lock/flock.hpp"

#include <sys/file.h>

#include <cerrno>
#include <thread>

#include "base/deadline.hpp"

namespace grex::sys {

std::string_view name_of(Mode mode) { return mode == Mode::exclusive ? "exclusive" : "shared"; }

std::optional<Mode> mode_named(std::string_view name) {
  if (name == "exclusive") return Mode::exclusive;
  if (name == "shared") return Mode::shared;
  return std::nullopt;
}

Error flock_error(int err) {
  switch (err) {
    case EBADF:
    case EACCES:
    case EPERM:
      return {ErrorKind::permission, "flock", {}, err};
    case ENOLCK:  // the server's lock service cannot be reached (NFS)
    case ENOMEM:
    case ENOSYS:  // the file system has no locks (Lustre without -o flock; a FUSE daemon)
    case EOPNOTSUPP:
      return {ErrorKind::system, "flock", {}, err};
    default:
      return {ErrorKind::io, "flock", {}, err};
  }
}

Result<Acquire> try_lock(int fd, Mode mode) {
  const int operation = (mode == Mode::exclusive ? LOCK_EX : LOCK_SH) | LOCK_NB;
  while (::flock(fd, operation) != 0) {
    const int err = errno;
    if (err == EWOULDBLOCK) return Acquire::busy;
    if (err != EINTR) return flock_error(err);
  }
  return Acquire::held;
}

Result<Acquire> try_lock_for(int fd, Mode mode, std::chrono::milliseconds time) {
  const Deadline end = Deadline::clock::now() + time;
  for (;;) {
    auto outcome = try_lock(fd, mode);
    if (!outcome || *outcome == Acquire::held || Deadline::clock::now() >= end) return outcome;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

Result<void> unlock(int fd) {
  while (::flock(fd, LOCK_UN) != 0) {
    const int err = errno;
    if (err != EINTR) return flock_error(err);
  }
  return {};
}

}  // namespace grex::sys
