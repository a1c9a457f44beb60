#include "sys/file/io.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "sys/file/file.hpp"
#include "sys/signal/blocked_signals.hpp"

namespace grex::sys {
namespace {

// Some file systems flush a truncated file to disk at its next close, by any
// descriptor, so that a crash doesn't leave it empty (fs/ext4/file.c,
// ext4_release_file; fs/xfs/xfs_file.c, xfs_file_release; fs/btrfs/file.c,
// btrfs_release_file). Our content is worth nothing after a crash, so this causes that
// close before it is written. On other file systems, that costs a needless open.
void avoid_flush_on_close(int truncated) {
  (void)open_at(AT_FDCWD, "/proc/self/fd/" + std::to_string(truncated), O_RDONLY | O_NONBLOCK | O_NOCTTY);
}

}  // namespace

Result<std::string> read_file(const std::string& path, std::size_t limit) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY));
  const int err = errno;
  if (!fd.is_open()) return Error{ErrorKind::io, "open", path, err};
  auto text = read_start(fd.get(), limit);
  if (!text) return at_path(text.error(), path);
  return text;
}

Result<std::string> read_start(int fd, std::size_t limit) {
  std::array<char, 4096> piece;  // most of these files are shorter, and each page of stack costs time
  std::string text;
  while (text.size() < limit) {
    const std::size_t want = std::min(limit - text.size(), piece.size());
    const ssize_t n = ::pread(fd, piece.data(), want, static_cast<off_t>(text.size()));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return Error{ErrorKind::io, "read", {}, errno};
    if (n == 0) break;
    text.append(piece.data(), static_cast<std::size_t>(n));
  }
  return text;
}

Result<void> write_all(int fd, std::string_view bytes, int stop) {
  const SignalSuppressor reader_gone(SIGPIPE);
  const SignalSuppressor limit_reached(SIGXFSZ);
  // A writable pipe or terminal takes this much without blocking (PIPE_BUF,
  // drivers/tty/n_tty.c: WAKEUP_CHARS).
  constexpr std::size_t piece = 256;
  if (stop >= 0 && access_of(fd) != Access::writing) return Error{ErrorKind::io, "write", {}, EBADF};
  bool must_wait = stop >= 0;
  while (!bytes.empty()) {
    if (must_wait) {
      std::array<pollfd, 2> news = {{{fd, POLLOUT, 0}, {stop, POLLIN, 0}}};
      ::poll(news.data(), news.size(), -1);
      if (news[0].revents == 0 && news[1].revents != 0) return Error{ErrorKind::io, "write", {}, ECANCELED};
    }
    const ssize_t n = ::write(fd, bytes.data(), stop >= 0 ? std::min(piece, bytes.size()) : bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) {  // another process set O_NONBLOCK on the open file description
      must_wait = true;
      continue;
    }
    if (n < 0) return Error{ErrorKind::io, "write", {}, errno};
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  return {};
}

bool has_room(int fd) {
  pollfd writable = {fd, POLLOUT, 0};
  return ::poll(&writable, 1, 0) == 1;  // if there is an error, write(2) returns it immediately
}

Result<void> replace_content(int fd, std::string_view bytes) {
  const SignalSuppressor limit_reached(SIGXFSZ);
  // Don't truncate an empty file: that would wait for the journal, too (ext4_setattr).
  const auto status = status_of(fd);
  const bool is_empty = status && status->size == 0;
  if (!is_empty && ::ftruncate(fd, 0) != 0) return Error{ErrorKind::io, "ftruncate", {}, errno};
  if (!is_empty && !bytes.empty()) avoid_flush_on_close(fd);
  off_t offset = 0;
  while (!bytes.empty()) {
    const ssize_t n = ::pwrite(fd, bytes.data(), bytes.size(), offset);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      const int err = errno;
      // An empty file has no record; half a record would be read as stale.
      if (::ftruncate(fd, 0) != 0) return Error{ErrorKind::io, "ftruncate", {}, errno};
      return Error{ErrorKind::io, "write", {}, err};
    }
    offset += n;
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  return {};
}

}  // namespace grex::sys
