#include "sys/process/daemonize.hpp"

#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <cerrno>
#include <vector>

#include "base/exit_code.hpp"
#include "sys/file/file.hpp"
#include "sys/file/io.hpp"
#include "sys/process/pidfd.hpp"
#include "sys/signal/blocked_signals.hpp"
#include "sys/signal/forwarded_signals.hpp"

namespace grex::sys {
namespace {

using Fork = std::variant<Background, BackgroundEnd>;

// The messages between the two halves, in this order.
constexpr char ready = 'r';     // from the new half: forward no more signals
constexpr char go = 'g';        // from the old one: no more will come
constexpr char detached = 'd';  // from the new one: it has detached

// The next message from the other half; nullopt if that is gone.
std::optional<char> receive(int fd) {
  char message = 0;
  ssize_t n = 0;
  while ((n = ::read(fd, &message, 1)) < 0 && errno == EINTR) {
  }
  return n == 1 ? std::optional(message) : std::nullopt;
}

bool send(int fd, char message) { return static_cast<bool>(write_all(fd, std::string_view(&message, 1))); }

Error gone() { return {ErrorKind::system, "write", {}, EPIPE}; }

// Closes every descriptor above the standard streams except those in `keep`.
void close_all_but(std::vector<int> keep) {
  std::sort(keep.begin(), keep.end());
  unsigned first = STDERR_FILENO + 1;
  for (const int fd : keep) {
    assert(fd > STDERR_FILENO);
    const auto kept = static_cast<unsigned>(fd);
    close_descriptors(first, kept - 1);
    first = kept + 1;
  }
  close_descriptors(first, ~0U);
}

// Called first in the new half: makes it die with the other half.
void begin_background(int other) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  pollfd hung_up = {other, 0, 0};
  ::poll(&hung_up, 1, 0);
  if (hung_up.revents != 0) ::_exit(exit_code::system);  // gone before prctl(2): no process waits for us
}

// Waits for messages from the new half, or for its end, and forwards signals to it. The end of
// the caller is like a SIGTERM: no process waits for us any more.
class Foreground {
 public:
  Foreground(pid_t background, BlockedSignals signals, int other, UniqueFd caller)
      : background_(background), signals_(std::move(signals)), other_(other), caller_(std::move(caller)) {}

  BackgroundEnd wait() {
    forward(Group::before_fork);
    std::array<pollfd, 3> news = {{{other_, POLLIN, 0}, {signals_.fd(), POLLIN, 0}, {caller_.get(), POLLIN, 0}}};
    for (;;) {
      if (::poll(news.data(), news.size(), -1) < 0) continue;  // EINTR: stopped and continued
      // After `ready`, a forwarded signal would reach a process that has left the caller.
      if (news[1].fd >= 0) forward(Group::after_fork);
      if (news[2].revents != 0) {
        ::kill(background_, SIGTERM);
        news[2].fd = -1;
      }
      if (news[0].revents == 0) continue;
      const auto message = receive(other_);
      if (message == detached) return Detached{};
      if (!message) return end();
      forward(Group::after_fork);
      news[1].fd = -1;
      news[2].fd = -1;
      if (!send(other_, go)) ::shutdown(other_, SHUT_WR);  // it would wait for that forever
    }
  }

 private:
  // Whether the new half has got what was sent to our process group.
  enum class Group { before_fork, after_fork };

  void forward(Group group) {
    while (auto signal = signals_.next()) {
      if (is_ctrl_c(*signal)) interrupted_ = true;
      if (group == Group::before_fork) signal->to_group = false;
      (void)ForwardedSignals::forward(*signal, background_);  // our own code: it accepts our signals
    }
  }

  [[nodiscard]] ChildEnd end() {
    forward(Group::after_fork);  // for the Ctrl-C that has ended it
    siginfo_t child{};
    while (::waitid(P_PID, static_cast<id_t>(background_), &child, WEXITED) != 0 && errno == EINTR) {
    }
    const bool killed = child.si_code != CLD_EXITED;
    return {child.si_status, killed, interrupted_ && killed && child.si_status == SIGINT};
  }

  pid_t background_;
  BlockedSignals signals_;
  int other_;
  UniqueFd caller_;  // a pidfd
  bool interrupted_ = false;
};

}  // namespace

Result<void> Background::new_session(int stop) {
  if (!send(other_.get(), ready)) return gone();
  std::array<pollfd, 2> news = {{{other_.get(), POLLIN, 0}, {stop, POLLIN, 0}}};
  while (::poll(news.data(), news.size(), -1) < 0 && errno == EINTR) {
  }
  if (news[0].revents == 0) return Error{ErrorKind::system, "poll", {}, ECANCELED};
  if (receive(other_.get()) != go) return gone();
  ::setsid();
  return {};
}

Result<void> Background::detach(std::span<const int> keep) {
  if (::chdir("/") != 0) return Error{ErrorKind::system, "chdir", "/", errno};
  std::vector<int> kept(keep.begin(), keep.end());
  kept.push_back(other_.get());
  kept.push_back(unusable_.get());
  for (const int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) ::dup2(unusable_.get(), stream);
  close_all_but(std::move(kept));
  unusable_.reset();
  ::prctl(PR_SET_PDEATHSIG, 0);
  if (!send(other_.get(), detached)) return gone();
  other_.reset();
  return {};
}

Result<Fork> fork_background() {
  auto unusable = open_unusable();
  if (!unusable) return unusable.error();
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) {
    return Error{ErrorKind::system, "socketpair", {}, errno};
  }
  UniqueFd ours(ends[0]);
  UniqueFd theirs(ends[1]);
  keep_child_status();                      // the caller gets it
  auto caller = open_process(::getppid());  // it fails if that has just ended, or is outside a PID namespace
  auto signals = BlockedSignals::begin();
  if (!signals) return signals.error();
  const pid_t pid = ::fork();
  const int err = errno;
  if (pid == 0) {
    ours.reset();
    begin_background(theirs.get());
    signals->restore();
    return Fork(Background(std::move(theirs), std::move(*unusable)));
  }
  if (pid < 0) {
    signals->restore();
    return Error{ErrorKind::system, "fork", {}, err};
  }
  theirs.reset();
  return Fork(Foreground(pid, std::move(*signals), ours.get(), caller ? std::move(*caller) : UniqueFd()).wait());
}

}  // namespace grex::sys
