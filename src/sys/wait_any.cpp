#include "sys/wait_any.hpp"

#include <pthread.h>
#include <signal.h>
#include <sys/file.h>
#include <time.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <vector>

#include "sys/signals.hpp"

namespace grex::sys {
namespace {

constexpr int none = -1;

// What the threads of one wait share.
struct Race {
  int operation = 0;
  pthread_t caller{};
  std::atomic<int> winner = none;      ///< index of the lock that is held
  std::atomic<int> flock_failure = 0;  ///< errno
  std::atomic<bool> over = false;      ///< whoever still waits is to give up
};

struct Waiter {
  Race* race = nullptr;
  int fd = -1;
  int index = 0;
  pthread_t thread{};
};

// Wakes the caller, and interrupts flock(2) in the threads.
int wake_signal() { return SIGRTMIN; }

extern "C" void on_wake(int) {}  // its work is the EINTR

void* wait_at_one(void* argument) {
  const Waiter& self = *static_cast<Waiter*>(argument);
  sigset_t wake;
  sigemptyset(&wake);
  sigaddset(&wake, wake_signal());
  ::pthread_sigmask(SIG_UNBLOCK, &wake, nullptr);
  while (!self.race->over) {
    if (::flock(self.fd, self.race->operation) == 0) {
      int expected = none;
      if (!self.race->winner.compare_exchange_strong(expected, self.index)) unlock(self.fd);
      break;
    }
    const int err = errno;
    if (err == EINTR) continue;
    self.race->flock_failure = err;
    break;
  }
  ::pthread_kill(self.race->caller, wake_signal());
  return nullptr;
}

// The signals that end the wait, and the threads' own, held back to be asked for
// instead of handled. Afterwards mask and handler are what they were.
class Signals {
 public:
  Signals() {
    awaited_ = heeded_signals();
    sigaddset(&awaited_, wake_signal());
    ::pthread_sigmask(SIG_BLOCK, &awaited_, &old_mask_);
    struct sigaction action {};
    action.sa_handler = on_wake;
    sigemptyset(&action.sa_mask);
    ::sigaction(wake_signal(), &action, &old_action_);
  }
  ~Signals() {
    sigset_t wake;
    sigemptyset(&wake);
    sigaddset(&wake, wake_signal());
    constexpr timespec now = {0, 0};
    while (::sigtimedwait(&wake, nullptr, &now) > 0) {
    }
    ::sigaction(wake_signal(), &old_action_, nullptr);
    ::pthread_sigmask(SIG_SETMASK, &old_mask_, nullptr);
  }
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;

  // The next signal, or 0 where it was interrupted or the deadline has passed.
  int next(std::optional<Deadline> deadline, siginfo_t& info) const {
    if (!deadline) return std::max(::sigwaitinfo(&awaited_, &info), 0);
    const auto left = std::max(*deadline - Deadline::clock::now(), Deadline::duration::zero());
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(left);
    const std::chrono::nanoseconds rest = left - seconds;
    const timespec timeout = {static_cast<time_t>(seconds.count()), static_cast<long>(rest.count())};
    return std::max(::sigtimedwait(&awaited_, &info, &timeout), 0);
  }

 private:
  sigset_t awaited_{};
  sigset_t old_mask_{};
  struct sigaction old_action_ {};
};

// One thread a lock, from when they are started until this is dropped.
class Waiters {
 public:
  Waiters(Race& race, std::span<const int> fds) : race_(race), waiters_(fds.size()) {
    for (std::size_t i = 0; i < fds.size(); ++i) waiters_[i] = {&race, fds[i], static_cast<int>(i)};
  }
  Waiters(const Waiters&) = delete;
  Waiters& operator=(const Waiters&) = delete;

  Result<void> start() {
    constexpr std::size_t stack = 64UL * 1024;
    pthread_attr_t attributes;
    ::pthread_attr_init(&attributes);
    ::pthread_attr_setstacksize(&attributes, stack);
    int err = 0;
    for (Waiter& waiter : waiters_) {
      err = ::pthread_create(&waiter.thread, &attributes, wait_at_one, &waiter);
      if (err != 0) break;
      ++started_;
    }
    ::pthread_attr_destroy(&attributes);
    if (err != 0) return Error{ErrorKind::system, "pthread_create", {}, err};
    return {};
  }

  ~Waiters() {
    race_.over = true;
    for (std::size_t i = 0; i < started_; ++i) ::pthread_kill(waiters_[i].thread, wake_signal());
    for (std::size_t i = 0; i < started_; ++i) {
      // A signal may land after the thread looked whether it is over and before
      // it blocks: it is sent again until the thread has ended.
      constexpr long again_ns = 1'000'000;
      while (::pthread_clockjoin_np(waiters_[i].thread, nullptr, CLOCK_MONOTONIC, after(again_ns)) != 0) {
        ::pthread_kill(waiters_[i].thread, wake_signal());
      }
    }
  }

 private:
  const timespec* after(long nanoseconds) {
    constexpr long second = 1'000'000'000;
    ::clock_gettime(CLOCK_MONOTONIC, &until_);
    until_.tv_nsec += nanoseconds;
    until_.tv_sec += until_.tv_nsec / second;
    until_.tv_nsec %= second;
    return &until_;
  }

  Race& race_;
  std::vector<Waiter> waiters_;
  std::size_t started_ = 0;
  timespec until_{};
};

// Until a lock is held, an ending signal, or the deadline.
WaitEnd wait_for_news(const Race& race, const Signals& signals, std::optional<Deadline> deadline) {
  while (race.winner == none && race.flock_failure == 0) {
    if (deadline && Deadline::clock::now() >= *deadline) return {Acquire::timed_out};
    siginfo_t info{};
    const int signal = signals.next(deadline, info);
    if (signal != 0 && signal != wake_signal()) return {Acquire::cancelled, signal, info.si_code == SI_KERNEL};
  }
  return {Acquire::held};
}

}  // namespace

Result<AnyEnd> wait_any(std::span<const int> fds, Mode mode, std::optional<Deadline> deadline) {
  const Signals signals;
  Race race;
  race.operation = mode == Mode::exclusive ? LOCK_EX : LOCK_SH;
  race.caller = ::pthread_self();
  Result<void> started;
  AnyEnd any;
  {
    Waiters waiters(race, fds);
    started = waiters.start();
    if (started) any.end = wait_for_news(race, signals, deadline);
  }
  const int winner = race.winner;
  if (winner != none && (!started || any.end.outcome == Acquire::cancelled)) {
    unlock(fds[static_cast<std::size_t>(winner)]);
  }
  if (!started) return started.error();
  if (any.end.outcome == Acquire::cancelled) return any;
  if (winner != none) return AnyEnd{{Acquire::held}, static_cast<std::size_t>(winner)};
  return any.end.outcome == Acquire::held ? Result<AnyEnd>(flock_error(race.flock_failure)) : any;
}

}  // namespace grex::sys
