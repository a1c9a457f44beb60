#include "sys/background.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <vector>

#include "sys/file.hpp"
#include "sys/signals.hpp"

namespace grex::sys {
namespace {

using Split = std::variant<Background, ChildEnd>;

// Closes every descriptor above the standard streams that is not to be kept.
void close_all_but(std::vector<int> keep) {
  std::sort(keep.begin(), keep.end());
  unsigned first = STDERR_FILENO + 1;
  for (const int fd : keep) {
    const auto kept = static_cast<unsigned>(fd);
    if (kept > first) ::close_range(first, kept - 1, 0);
    if (kept >= first) first = kept + 1;
  }
  ::close_range(first, ~0U, 0);
}

// The new half's beginning: with the signals as they were before the split, and
// bound to the life of the other.
void begin_background(pid_t foreground, const sigset_t& mask) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != foreground) ::_exit(0);  // gone before that: nobody waits
  ::sigprocmask(SIG_SETMASK, &mask, nullptr);
}

// Waits for the new half's report, or its end, and hands signals on meanwhile.
class Foreground {
 public:
  Foreground(pid_t background, int signals, int report)
      : background_(background), news_{{{signals, POLLIN, 0}, {report, POLLIN, 0}}} {}

  ChildEnd wait() {
    for (;;) {
      if (::poll(news_.data(), news_.size(), -1) < 0) continue;  // EINTR: stopped and continued
      if (news_[1].revents != 0) return end();
      if (news_[0].revents != 0) hand_on();
    }
  }

 private:
  void hand_on() {
    signalfd_siginfo info{};
    if (::read(news_[0].fd, &info, sizeof info) != sizeof info) return;
    const int signal = static_cast<int>(info.ssi_signo);
    if (signal == SIGINT && info.ssi_code == SI_KERNEL) interrupted_ = true;
    if (!went_to_group(signal, info.ssi_code)) ::kill(background_, signal);
  }

  ChildEnd end() {
    char left = 0;
    ssize_t n = 0;
    while ((n = ::read(news_[1].fd, &left, 1)) < 0 && errno == EINTR) {
    }
    if (n == 1) return {};
    siginfo_t child{};
    while (::waitid(P_PID, static_cast<id_t>(background_), &child, WEXITED) != 0 && errno == EINTR) {
    }
    const bool killed = child.si_code != CLD_EXITED;
    return {child.si_status, killed, interrupted_ && killed && child.si_status == SIGINT};
  }

  pid_t background_;
  std::array<pollfd, 2> news_;
  bool interrupted_ = false;
};

}  // namespace

Result<void> Background::leave(std::span<const int> keep) {
  const UniqueFd nothing(::open("/dev/null", O_RDWR | O_CLOEXEC));
  if (!nothing.is_open()) return Error{ErrorKind::system, "open", "/dev/null", errno};
  ::setsid();
  if (::chdir("/") != 0) return Error{ErrorKind::system, "chdir", "/", errno};
  for (const int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) ::dup2(nothing.get(), stream);
  std::vector<int> kept(keep.begin(), keep.end());
  kept.push_back(report_.get());
  kept.push_back(nothing.get());
  close_all_but(std::move(kept));
  ::prctl(PR_SET_PDEATHSIG, 0);
  if (auto told = write_all(report_.get(), "x"); !told) return Error{ErrorKind::system, "write", {}, EPIPE};
  report_.reset();
  return {};
}

Result<Split> split() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return Error{ErrorKind::system, "pipe", {}, errno};
  UniqueFd report(ends[0]);
  UniqueFd tell(ends[1]);
  const sigset_t heeded = heeded_signals();
  const UniqueFd signals(::signalfd(-1, &heeded, SFD_CLOEXEC));
  if (!signals.is_open()) return Error{ErrorKind::system, "signalfd", {}, errno};
  // A status that the kernel throws away could not be handed on.
  struct sigaction keep_status {};
  keep_status.sa_handler = SIG_DFL;
  ::sigaction(SIGCHLD, &keep_status, nullptr);

  sigset_t old_mask;
  ::sigprocmask(SIG_BLOCK, &heeded, &old_mask);
  const pid_t foreground = ::getpid();
  const pid_t pid = ::fork();
  const int err = errno;
  if (pid == 0) {
    begin_background(foreground, old_mask);
    return Split(Background(std::move(tell)));
  }
  if (pid < 0) {
    ::sigprocmask(SIG_SETMASK, &old_mask, nullptr);
    return Error{ErrorKind::system, "fork", {}, err};
  }
  tell.reset();
  return Split(Foreground(pid, signals.get(), report.get()).wait());
}

}  // namespace grex::sys
