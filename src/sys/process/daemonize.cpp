#include "sys/process/daemonize.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <cerrno>
#include <vector>

#include "base/exit_code.hpp"
#include "sys/file/io.hpp"
#include "sys/signal/signals.hpp"

namespace grex::sys {
namespace {

using Split = std::variant<Background, BackgroundEnd>;

// What the two halves say to each other, in this order.
constexpr char ready = 'r';  // the new half: no more signals, please
constexpr char go = 'g';     // the old one: there will be none
constexpr char left = 'l';   // the new one: I am gone

// The next word of the other half; nullopt if it is gone.
std::optional<char> hear(int fd) {
  char word = 0;
  ssize_t n = 0;
  while ((n = ::read(fd, &word, 1)) < 0 && errno == EINTR) {
  }
  return n == 1 ? std::optional(word) : std::nullopt;
}

bool say(int fd, char word) { return static_cast<bool>(write_all(fd, std::string_view(&word, 1))); }

Error gone() { return {ErrorKind::system, "write", {}, EPIPE}; }

void close_from_to(unsigned first, unsigned last) {
  if (first > last || ::close_range(first, last, 0) == 0) return;
  // Older than Linux 5.9, or forbidden: one by one, as far as there can be any.
  const long limit = ::sysconf(_SC_OPEN_MAX);
  last = std::min(last, static_cast<unsigned>(limit > 0 ? limit : 1024));
  for (unsigned fd = first; fd <= last; ++fd) ::close(static_cast<int>(fd));
}

// Closes every descriptor above the standard streams that is not to be kept.
void close_all_but(std::vector<int> keep) {
  std::sort(keep.begin(), keep.end());
  unsigned first = STDERR_FILENO + 1;
  for (const int fd : keep) {
    assert(fd > STDERR_FILENO);
    const auto kept = static_cast<unsigned>(fd);
    close_from_to(first, kept - 1);
    first = kept + 1;
  }
  close_from_to(first, ~0U);
}

// The new half's beginning: with the signals as they were before the split, and
// bound to the life of the other.
void begin_background(int other, const sigset_t& mask) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  pollfd hung_up = {other, 0, 0};
  ::poll(&hung_up, 1, 0);
  if (hung_up.revents != 0) ::_exit(exit_code::system);  // gone before that: nobody waits
  ::sigprocmask(SIG_SETMASK, &mask, nullptr);
}

// Waits for the new half's words, or its end, and hands signals on meanwhile.
class Foreground {
 public:
  Foreground(pid_t background, int signals, int other) : background_(background), signals_(signals), other_(other) {}

  BackgroundEnd wait() {
    std::array<pollfd, 2> news = {{{other_, POLLIN, 0}, {signals_, POLLIN, 0}}};
    for (;;) {
      if (::poll(news.data(), news.size(), -1) < 0) continue;  // EINTR: stopped and continued
      // What comes after that word would find the other half gone its own way.
      if (news[1].fd >= 0) hand_on();
      if (news[0].revents == 0) continue;
      const auto word = hear(other_);
      if (word == left) return Left{};
      if (!word) return end();
      hand_on();
      news[1].fd = -1;
      say(other_, go);
    }
  }

 private:
  void hand_on() {
    signalfd_siginfo info{};
    while (::read(signals_, &info, sizeof info) == sizeof info) {
      const int signal = static_cast<int>(info.ssi_signo);
      if (signal == SIGINT && info.ssi_code == SI_KERNEL) interrupted_ = true;
      if (!went_to_group(signal, info.ssi_code)) ::kill(background_, signal);
    }
  }

  [[nodiscard]] ChildEnd end() const {
    siginfo_t child{};
    while (::waitid(P_PID, static_cast<id_t>(background_), &child, WEXITED) != 0 && errno == EINTR) {
    }
    const bool killed = child.si_code != CLD_EXITED;
    return {child.si_status, killed, interrupted_ && killed && child.si_status == SIGINT};
  }

  pid_t background_;
  int signals_;
  int other_;
  bool interrupted_ = false;
};

}  // namespace

Result<void> Background::settle(int unless) {
  if (!say(other_.get(), ready)) return gone();
  std::array<pollfd, 2> news = {{{other_.get(), POLLIN, 0}, {unless, POLLIN, 0}}};
  while (::poll(news.data(), news.size(), -1) < 0 && errno == EINTR) {
  }
  if (news[0].revents == 0) return Error{ErrorKind::system, "poll", {}, ECANCELED};
  if (hear(other_.get()) != go) return gone();
  ::setsid();
  return {};
}

Result<void> Background::leave(std::span<const int> keep) {
  if (::chdir("/") != 0) return Error{ErrorKind::system, "chdir", "/", errno};
  std::vector<int> kept(keep.begin(), keep.end());
  kept.push_back(other_.get());
  kept.push_back(nothing_.get());
  for (const int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) ::dup2(nothing_.get(), stream);
  close_all_but(std::move(kept));
  nothing_.reset();
  ::prctl(PR_SET_PDEATHSIG, 0);
  if (!say(other_.get(), left)) return gone();
  other_.reset();
  return {};
}

Result<Split> split() {
  UniqueFd nothing(::open("/dev/null", O_RDWR | O_CLOEXEC));
  if (!nothing.is_open()) return Error{ErrorKind::system, "open", "/dev/null", errno};
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) {
    return Error{ErrorKind::system, "socketpair", {}, errno};
  }
  UniqueFd ours(ends[0]);
  UniqueFd theirs(ends[1]);
  const sigset_t heeded = heeded_signals();
  const UniqueFd signals(::signalfd(-1, &heeded, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!signals.is_open()) return Error{ErrorKind::system, "signalfd", {}, errno};
  // A status that the kernel throws away could not be handed on.
  struct sigaction keep_status {};
  keep_status.sa_handler = SIG_DFL;
  ::sigaction(SIGCHLD, &keep_status, nullptr);

  sigset_t old_mask;
  ::sigprocmask(SIG_BLOCK, &heeded, &old_mask);
  const pid_t pid = ::fork();
  const int err = errno;
  if (pid == 0) {
    ours.reset();
    begin_background(theirs.get(), old_mask);
    return Split(Background(std::move(theirs), std::move(nothing)));
  }
  if (pid < 0) {
    ::sigprocmask(SIG_SETMASK, &old_mask, nullptr);
    return Error{ErrorKind::system, "fork", {}, err};
  }
  theirs.reset();
  return Split(Foreground(pid, signals.get(), ours.get()).wait());
}

}  // namespace grex::sys
