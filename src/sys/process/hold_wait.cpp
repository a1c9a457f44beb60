#include "sys/process/hold_wait.hpp"

#include <poll.h>
#include <sys/uio.h>
#include <unistd.h>

#include <array>
#include <cerrno>

namespace grex::sys {
namespace {

Result<bool> input_has_ended() {
  std::array<char, 4096> discarded;
  // Another process may have read the same input first: RWF_NOWAIT doesn't wait for
  // more, but terminals don't support it.
  const iovec whole = {discarded.data(), discarded.size()};
  ssize_t n = ::preadv2(STDIN_FILENO, &whole, 1, -1, RWF_NOWAIT);
  if (n < 0 && (errno == EOPNOTSUPP || errno == ENOSYS || errno == EINVAL)) {
    n = ::read(STDIN_FILENO, discarded.data(), discarded.size());
  }
  if (n >= 0) return n == 0;
  const int err = errno;
  if (err == EINTR || err == EAGAIN) return false;
  if (err == EBADF) return true;  // closed from the beginning
  return Error{ErrorKind::io, "read", "standard input", err};
}

}  // namespace

Result<void> wait_until_released(const BlockedSignals& signals, const HoldEnds& ends) {
  // poll(2) skips descriptors below 0.
  std::array<pollfd, 3> news = {
      {{signals.fd(), POLLIN, 0}, {ends.pidfd, POLLIN, 0}, {ends.input ? STDIN_FILENO : -1, POLLIN, 0}}};
  for (;;) {
    if (::poll(news.data(), news.size(), milliseconds_left(ends.deadline)) < 0) {
      const int err = errno;
      if (err == EINTR) continue;
      return Error{ErrorKind::system, "poll", {}, err};
    }
    while (signals.next()) {  // no more are of interest
    }
    if (news[0].revents != 0 || news[1].revents != 0) return {};
    if (news[2].revents != 0) {
      const auto ended = input_has_ended();
      if (!ended) return ended.error();
      if (*ended) return {};
    }
    if (ends.deadline && Deadline::clock::now() >= *ends.deadline) return {};
  }
}

}  // namespace grex::sys
