#include "sys/signal/terminal_signals_at_fork.hpp"

#include <doctest/doctest.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>

using namespace grex;

namespace {

// Sends a signal to this process as the terminal would, which may be done only to oneself
// (rt_sigqueueinfo(2)).
void type_signal(int signal) {
  siginfo_t info{};
  info.si_signo = signal;
  info.si_code = SI_KERNEL;
  REQUIRE(::syscall(SYS_rt_sigqueueinfo, ::getpid(), signal, &info) == 0);
}

// Starts a child that sends itself a signal, unless that is 0; returns its wait status.
[[gnu::noinline]] int start_child(int signal) {
  // NOLINTNEXTLINE(clang-analyzer-security.insecureAPI.vfork): this is about vfork
  const pid_t child = ::vfork();
  if (child == 0) {
    sys::TerminalSignalsAtFork::enter_child();
    const sigset_t none = sys::set_of({});
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    if (signal != 0) ::kill(::getpid(), signal);  // NOLINT(clang-analyzer-unix.Vfork)
    ::_exit(0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return status;
}

// Blocks the signals, and gives them their default action instead of doctest's.
class Blocked {
 public:
  Blocked() {
    const sigset_t set = sys::set_of(signals);
    ::sigprocmask(SIG_BLOCK, &set, &old_mask_);
    struct sigaction by_default {};
    by_default.sa_handler = SIG_DFL;
    for (std::size_t i = 0; i < signals.size(); ++i) ::sigaction(signals[i], &by_default, &old_actions_[i]);
  }
  ~Blocked() {
    for (std::size_t i = 0; i < signals.size(); ++i) ::sigaction(signals[i], &old_actions_[i], nullptr);
    ::sigprocmask(SIG_SETMASK, &old_mask_, nullptr);
  }
  Blocked(const Blocked&) = delete;
  Blocked& operator=(const Blocked&) = delete;

 private:
  static constexpr std::array signals = {SIGINT, SIGQUIT, SIGHUP};
  sigset_t old_mask_{};
  std::array<struct sigaction, 3> old_actions_{};
};

}  // namespace

TEST_CASE("a signal of the terminal counts as sent to a child only if it came after the fork") {
  const Blocked blocked;
  type_signal(SIGINT);  // pending from before
  {
    const sys::TerminalSignalsAtFork terminal;
    CHECK(start_child(0) == 0);
    type_signal(SIGQUIT);
  }
  const auto arrived = sys::TerminalSignalsAtFork::arrived();
  REQUIRE(arrived.size() == 2);
  CHECK(arrived[0].number == SIGINT);
  CHECK(arrived[0].from_terminal);
  CHECK_FALSE(arrived[0].to_group);
  CHECK(arrived[1].number == SIGQUIT);
  CHECK(arrived[1].to_group);
  CHECK_FALSE(sys::is_pending(SIGINT));

  // They are blocked again, and act as before.
  type_signal(SIGINT);
  CHECK(sys::is_pending(SIGINT));
  CHECK(sys::take_signal(sys::set_of({SIGINT})));
  struct sigaction action {};
  ::sigaction(SIGINT, nullptr, &action);
  const bool is_default = action.sa_handler == SIG_DFL;
  CHECK(is_default);
}

TEST_CASE("a signal of the terminal acts on a child that has not come to exec yet, but Ctrl-Z is only noted") {
  const Blocked blocked;
  for (const int signal : {SIGINT, SIGQUIT, SIGHUP}) {
    const sys::TerminalSignalsAtFork terminal;
    const int status = start_child(signal);
    CHECK(WIFSIGNALED(status));
    CHECK(WTERMSIG(status) == signal);
    CHECK_FALSE(sys::TerminalSignalsAtFork::child_missed_stop());
  }
  {
    const sys::TerminalSignalsAtFork terminal;
    CHECK(start_child(SIGTSTP) == 0);
    CHECK(sys::TerminalSignalsAtFork::child_missed_stop());
  }
  CHECK(sys::TerminalSignalsAtFork::arrived().empty());
}

TEST_CASE("a Ctrl-Z before the fork stops this process afterwards, and is to be sent to the child") {
  const Blocked blocked;
  // As a child that reports what it has seen, because it stops.
  const pid_t child = ::fork();
  if (child == 0) {
    ::signal(SIGTSTP, SIG_DFL);
    ::setpgid(0, 0);  // in an orphaned process group, it would not stop
    bool is_missed = false;
    {
      const sys::TerminalSignalsAtFork terminal;
      type_signal(SIGTSTP);
      is_missed = start_child(0) == 0 && sys::TerminalSignalsAtFork::child_missed_stop();
    }
    ::_exit(is_missed ? 7 : 1);
  }
  int status = 0;
  ::waitpid(child, &status, WUNTRACED);
  CHECK(WIFSTOPPED(status));
  ::kill(child, SIGCONT);
  ::waitpid(child, &status, 0);
  CHECK(WEXITSTATUS(status) == 7);
}

TEST_CASE("a signal of the terminal that was ignored is ignored in the child, but still reported") {
  const Blocked blocked;
  struct sigaction ignore {};
  ignore.sa_handler = SIG_IGN;
  ::sigaction(SIGHUP, &ignore, nullptr);
  {
    const sys::TerminalSignalsAtFork terminal;
    CHECK(start_child(SIGHUP) == 0);
    type_signal(SIGHUP);
  }
  CHECK(sys::is_ignored(SIGHUP));
  CHECK(sys::TerminalSignalsAtFork::arrived().size() == 1);
}
