#include "sys/lock/flock_wait.hpp"

#include <signal.h>
#include <sys/file.h>
#include <time.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>

#include "sys/signal/signals.hpp"

namespace grex::sys {
namespace {

// flock(2) can't be given a set of signals to let through only while it blocks,
// so a signal may land after the flag was looked at and before the call. Every
// interruption is therefore followed by another and another, this far apart,
// until the flag is seen. Nothing fires before the first.
constexpr long again_ns = 1'000'000;

// Written by the handler only.
volatile sig_atomic_t caught_signal = 0;
volatile sig_atomic_t caught_from_terminal = 0;
timer_t interrupting_timer;

// A realtime signal: SIGALRM may be a deadline that the caller set by alarm(2)
// before it started grex-lock.
int timer_signal() { return SIGRTMIN; }

timespec to_timespec(std::chrono::nanoseconds time) {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(time);
  return {static_cast<time_t>(seconds.count()), static_cast<long>((time - seconds).count())};
}

extern "C" void on_ending_signal(int signal, siginfo_t* info, void*) {
  const int saved = errno;
  if (caught_signal == 0) {
    caught_from_terminal = info->si_code == SI_KERNEL;
    caught_signal = signal;
  }
  const itimerspec again = {{0, again_ns}, {0, again_ns}};
  ::timer_settime(interrupting_timer, 0, &again, nullptr);
  errno = saved;
}

extern "C" void on_timer(int) {}  // its work is the EINTR

// While it lives, the ending signals and the deadline interrupt system calls.
// Afterwards handlers and mask are what they were.
class Interruptions {
 public:
  static Result<void> arm(Interruptions& self, std::optional<Deadline> deadline) {
    caught_signal = 0;
    sigevent event{};
    event.sigev_notify = SIGEV_SIGNAL;
    event.sigev_signo = timer_signal();
    if (::timer_create(CLOCK_MONOTONIC, &event, &interrupting_timer) != 0) {
      return Error{ErrorKind::system, "timer_create", {}, errno};
    }
    self.armed_ = true;
    self.install_handlers();
    if (!deadline) return {};
    const itimerspec at = {{0, again_ns}, to_timespec(deadline->time_since_epoch())};
    if (::timer_settime(interrupting_timer, TIMER_ABSTIME, &at, nullptr) != 0) {
      return Error{ErrorKind::system, "timer_settime", {}, errno};
    }
    return {};
  }

  Interruptions() = default;
  Interruptions(const Interruptions&) = delete;
  Interruptions& operator=(const Interruptions&) = delete;

  ~Interruptions() {
    if (!armed_) return;
    // First the timer: what it has queued is handled on the way back from this
    // call, so its default action, to kill, is never met.
    ::timer_delete(interrupting_timer);
    ::sigaction(timer_signal(), &old_timer_action_, nullptr);
    for (std::size_t i = 0; i < ending_signals.size(); ++i) {
      ::sigaction(ending_signals.at(i), &old_actions_.at(i), nullptr);
    }
    ::sigprocmask(SIG_SETMASK, &old_mask_, nullptr);
  }

  // From here on the flag can't change any more: a signal that comes now stays
  // pending for whoever handles it after us, and is not lost.
  static void stop_listening() {
    sigset_t ending;
    sigemptyset(&ending);
    for (const int signal : ending_signals) sigaddset(&ending, signal);
    ::sigprocmask(SIG_BLOCK, &ending, nullptr);
  }

 private:
  void install_handlers() {
    sigset_t let_through;
    sigemptyset(&let_through);
    sigaddset(&let_through, timer_signal());
    struct sigaction timer_action {};
    timer_action.sa_handler = on_timer;
    sigemptyset(&timer_action.sa_mask);
    ::sigaction(timer_signal(), &timer_action, &old_timer_action_);

    struct sigaction action {};
    action.sa_sigaction = on_ending_signal;
    action.sa_flags = SA_SIGINFO;
    sigemptyset(&action.sa_mask);
    for (std::size_t i = 0; i < ending_signals.size(); ++i) {
      const int signal = ending_signals.at(i);
      ::sigaction(signal, nullptr, &old_actions_.at(i));
      if (old_actions_.at(i).sa_handler == SIG_IGN) continue;
      ::sigaction(signal, &action, nullptr);
      sigaddset(&let_through, signal);
    }
    ::sigprocmask(SIG_UNBLOCK, &let_through, &old_mask_);
  }

  bool armed_ = false;
  sigset_t old_mask_{};
  struct sigaction old_timer_action_ {};
  std::array<struct sigaction, ending_signals.size()> old_actions_{};
};

}  // namespace

int milliseconds_left(std::optional<Deadline> deadline) {
  if (!deadline) return -1;
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(*deadline - Deadline::clock::now()).count();
  constexpr std::chrono::milliseconds::rep longest = std::chrono::milliseconds(std::chrono::hours(24)).count();
  return static_cast<int>(std::clamp<std::chrono::milliseconds::rep>(left, 0, longest));
}

Result<WaitEnd> wait_lock(int fd, Mode mode, std::optional<Deadline> deadline) {
  Interruptions interruptions;
  if (auto armed = Interruptions::arm(interruptions, deadline); !armed) return armed.error();

  const int operation = mode == Mode::exclusive ? LOCK_EX : LOCK_SH;
  WaitEnd end;
  while (caught_signal == 0) {
    if (deadline && std::chrono::steady_clock::now() >= *deadline) {
      end.outcome = Acquire::timed_out;
      break;
    }
    if (::flock(fd, operation) == 0) {
      end.outcome = Acquire::held;
      break;
    }
    const int err = errno;
    if (err != EINTR) return flock_error(err);
  }
  Interruptions::stop_listening();
  if (caught_signal == 0) return end;
  if (end.outcome == Acquire::held) (void)unlock(fd);
  return WaitEnd{Acquire::cancelled, caught_signal, caught_from_terminal != 0};
}

}  // namespace grex::sys
