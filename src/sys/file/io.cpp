#include "sys/file/io.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

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
  (void)open_at(AT_FDCWD, path_by_number(truncated), O_RDONLY | O_NONBLOCK | O_NOCTTY);
}

// Pipes and sockets can be written without waiting (RWF_NOWAIT). Others, such as
// terminals, take this much if poll(2) reports room (drivers/tty/n_tty.c, WAKEUP_CHARS).
constexpr std::size_t room_of_others = 256;

// -1 with EAGAIN if there is no room.
ssize_t write_without_waiting(int fd, std::string_view bytes) {
  const iovec whole = {const_cast<char*>(bytes.data()), bytes.size()};
  const ssize_t n = ::pwritev2(fd, &whole, 1, -1, RWF_NOWAIT);
  if (n >= 0) return n;
  const bool is_unsupported = errno == EOPNOTSUPP || errno == ENOSYS || errno == EINVAL;
  if (!is_unsupported && errno != EAGAIN) return n;
  // A regular file has no reader to wait for.
  const bool no_wait_is_final = errno == EAGAIN;
  const auto status = status_of(fd);
  if (status && status->type == FileType::regular) return ::write(fd, bytes.data(), bytes.size());
  errno = EAGAIN;
  pollfd room = {fd, POLLOUT, 0};
  if (no_wait_is_final || ::poll(&room, 1, 0) == 0) return -1;
  return ::write(fd, bytes.data(), std::min(room_of_others, bytes.size()));
}

}  // namespace

Result<Pipe> make_pipe() {
  std::array<int, 2> ends = {-1, -1};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return Error{ErrorKind::system, "pipe", {}, errno};
  return Pipe{UniqueFd(ends[0]), UniqueFd(ends[1])};
}

void wait_for_input(int fd, int other, std::optional<Deadline> deadline) {
  std::array<pollfd, 2> inputs = {{{fd, POLLIN, 0}, {other, POLLIN, 0}}};
  (void)::poll(inputs.data(), inputs.size(), milliseconds_left(deadline));
}

void announce_input(int socket) {
  ::fcntl(socket, F_SETOWN, ::getpid());
  ::fcntl(socket, F_SETFL, ::fcntl(socket, F_GETFL) | O_ASYNC);
}

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

std::optional<std::string> read_stable_start(int fd, std::size_t limit) {
  constexpr int most_reads = 5;
  std::optional<std::string> before;
  for (int i = 0; i < most_reads; ++i) {
    auto text = read_start(fd, limit);
    if (!text) return std::nullopt;
    if (before == *text) return before;
    before = std::move(*text);
  }
  return std::nullopt;
}

Result<std::size_t> write_available(int fd, std::string_view bytes) {
  const SignalSuppressor reader_gone(SIGPIPE);
  const SignalSuppressor limit_reached(SIGXFSZ);
  std::size_t written = 0;
  while (written < bytes.size()) {
    const ssize_t n = write_without_waiting(fd, bytes.substr(written));
    const int err = errno;
    if (n < 0 && err == EINTR) continue;
    if (n < 0 && err == EAGAIN) break;
    if (n < 0) return Error{ErrorKind::io, "write", {}, err};
    written += static_cast<std::size_t>(n);
  }
  return written;
}

Result<void> write_all(int fd, std::string_view bytes, const WriteEnds& ends) {
  for (;;) {
    const auto written = write_available(fd, bytes);
    if (!written) return written.error();
    bytes.remove_prefix(*written);
    if (bytes.empty()) return {};
    // poll(2) skips descriptors below 0.
    std::array<pollfd, 3> news = {{{fd, POLLOUT, 0}, {ends.stops[0], POLLIN, 0}, {ends.stops[1], POLLIN, 0}}};
    const int count = ::poll(news.data(), news.size(), milliseconds_left(ends.deadline));
    const bool is_stopped = count > 0 && news[0].revents == 0;
    if (count == 0 || is_stopped) return Error{ErrorKind::io, "write", {}, ECANCELED};
  }
}

Result<void> overwrite_start(int fd, std::string_view bytes) {
  const SignalSuppressor limit_reached(SIGXFSZ);
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

Result<void> replace_content(int fd, std::string_view bytes) {
  // Don't truncate an empty file: that would wait for the journal, too (ext4_setattr).
  const auto status = status_of(fd);
  const bool is_empty = status && status->size == 0;
  if (!is_empty && ::ftruncate(fd, 0) != 0) return Error{ErrorKind::io, "ftruncate", {}, errno};
  if (!is_empty && !bytes.empty()) avoid_flush_on_close(fd);
  return overwrite_start(fd, bytes);
}

Result<void> replace_end(int fd, std::size_t offset, std::string_view before, std::string_view after) {
  const SignalSuppressor limit_reached(SIGXFSZ);
  const auto start = static_cast<off_t>(offset);
  const auto old_size = static_cast<off_t>(offset + before.size());
  const auto new_size = static_cast<off_t>(offset + after.size());
  const iovec whole = {const_cast<char*>(after.data()), after.size()};
  ssize_t n = -1;
  do {
    n = ::pwritev2(fd, &whole, 1, start, before.empty() ? RWF_APPEND : 0);
  } while (n < 0 && errno == EINTR);
  if (n < 0) return Error{ErrorKind::io, "write", {}, errno};
  const bool is_written = static_cast<std::size_t>(n) == after.size();
  if (is_written && (new_size >= old_size || ::ftruncate(fd, new_size) == 0)) return {};
  const int err = is_written ? errno : ENOSPC;
  // This needs no space: the file had this size.
  const bool is_restored = ::pwrite(fd, before.data(), before.size(), start) >= 0 && ::ftruncate(fd, old_size) == 0;
  return Error{ErrorKind::io, is_restored ? "write" : "ftruncate", {}, err};
}

}  // namespace grex::sys
