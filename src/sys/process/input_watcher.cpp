#include "sys/process/input_watcher.hpp"

#include <poll.h>
#include <signal.h>
#include <sys/uio.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <mutex>

namespace grex::sys {
namespace {

// Otherwise, the input of a process in the background of a terminal would be an error
// (drivers/tty/tty_jobctrl.c), and not stop the process.
void unblock_sigttin() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTTIN);
  ::pthread_sigmask(SIG_UNBLOCK, &signals, nullptr);
}

}  // namespace

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

struct InputWatcher::Shared {
  // Waits for the end of the input; nullopt if the thread must return before.
  static std::optional<Result<void>> wait(int stop);

  std::mutex mutex;  // guards the next one
  std::optional<Result<void>> ended;
};

std::optional<Result<void>> InputWatcher::Shared::wait(int stop) {
  std::array<pollfd, 2> news = {{{stop, POLLIN, 0}, {STDIN_FILENO, POLLIN, 0}}};
  for (;;) {
    if (::poll(news.data(), news.size(), -1) < 0) continue;  // EINTR
    if (news[0].revents != 0) return std::nullopt;
    const auto ended = input_has_ended();
    if (!ended) return ended.error();
    if (*ended) return Result<void>();
  }
}

InputWatcher::InputWatcher() : shared_(std::make_shared<Shared>()) {}

// The thread may wait for a terminal. Then, it only takes part in what its process does: it
// reads the same input to the same end.
InputWatcher::~InputWatcher() { thread_.end_by(Deadline::clock::now() + std::chrono::seconds(1)); }

Result<void> InputWatcher::start() {
  return thread_.start([shared = shared_](int stop) {
    unblock_sigttin();
    auto ended = Shared::wait(stop);
    if (!ended) return;
    const std::lock_guard lock(shared->mutex);
    shared->ended = std::move(ended);
    ::kill(::getpid(), SIGTERM);
  });
}

std::optional<Result<void>> InputWatcher::ended() const {
  const std::lock_guard lock(shared_->mutex);
  return shared_->ended;
}

}  // namespace grex::sys
