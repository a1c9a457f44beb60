#include "sys/lock/flock_wait_any.hpp"

#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/file.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <vector>

#include "base/unique_fd.hpp"
#include "sys/signal/blocked_signals.hpp"
#include "sys/signal/interruptions.hpp"

namespace grex::sys {
namespace {

constexpr int none = -1;

// Shared by the threads of one wait.
struct Race {
  int operation = 0;
  UniqueFd news;                       ///< an eventfd; readable: there is a winner, or a failure
  std::atomic<int> winner = none;      ///< index of the lock that is held
  std::atomic<int> flock_failure = 0;  ///< errno
  std::atomic<bool> over = false;      ///< threads that still wait must give up
};

struct Waiter {
  Race* race = nullptr;
  int fd = -1;
  int index = 0;
  pthread_t thread{};
};

void* wait_at_one(void* argument) {
  const Waiter& self = *static_cast<Waiter*>(argument);
  ThreadInterrupter::allow_here();
  while (!self.race->over) {
    if (::flock(self.fd, self.race->operation) == 0) {
      int expected = none;
      if (!self.race->winner.compare_exchange_strong(expected, self.index)) (void)unlock(self.fd);
      break;
    }
    const int err = errno;
    if (err == EINTR) continue;
    self.race->flock_failure = err;
    break;
  }
  ::eventfd_write(self.race->news.get(), 1);
  return nullptr;
}

// One thread per lock, from start() until this is destroyed.
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
    for (std::size_t i = 0; i < started_; ++i) ThreadInterrupter::interrupt(waiters_[i].thread);
    for (std::size_t i = 0; i < started_; ++i) {
      // A signal may arrive after the thread has read `over` and before it blocks, so
      // it is sent again until the thread has ended.
      while (!has_joined(waiters_[i].thread)) ThreadInterrupter::interrupt(waiters_[i].thread);
    }
  }

 private:
  static bool has_joined(pthread_t thread) {
    constexpr std::chrono::milliseconds interval(1);
    const timespec until = to_timespec(Deadline::clock::now() + interval);
    return ::pthread_clockjoin_np(thread, nullptr, CLOCK_MONOTONIC, &until) == 0;
  }

  Race& race_;
  std::vector<Waiter> waiters_;
  std::size_t started_ = 0;
};

// Waits until a lock is held, a signal arrives, the deadline has passed, or `stop` is
// readable.
Result<WaitEnd> wait_for_news(const Race& race, const SignalReader& signals, std::optional<Deadline> deadline,
                              int stop) {
  // poll(2) skips descriptors below 0.
  std::array<pollfd, 3> news = {{{race.news.get(), POLLIN, 0}, {signals.fd(), POLLIN, 0}, {stop, POLLIN, 0}}};
  for (;;) {
    if (race.winner != none || race.flock_failure != 0) return WaitEnd{Acquire::held};
    if (deadline && Deadline::clock::now() >= *deadline) return WaitEnd{Acquire::timed_out};
    if (::poll(news.data(), news.size(), milliseconds_left(deadline)) < 0) {
      const int err = errno;
      if (err == EINTR) continue;
      return Error{ErrorKind::system, "poll", {}, err};
    }
    if (news[1].revents != 0) {
      if (const auto signal = signals.next()) return WaitEnd{Acquire::cancelled, *signal};
    }
    if (news[2].revents != 0) return WaitEnd{Acquire::suspended};
  }
}

}  // namespace

Result<AnyEnd> wait_any(std::span<const int> fds, Mode mode, std::optional<Deadline> deadline, int stop) {
  const sigset_t awaited = unignored_signals();
  const SignalBlock block(awaited);
  const ThreadInterrupter interrupter;
  const auto signals = SignalReader::open(awaited);
  if (!signals) return signals.error();
  Race race;
  race.operation = mode == Mode::exclusive ? LOCK_EX : LOCK_SH;
  race.news.reset(::eventfd(0, EFD_CLOEXEC));
  if (!race.news.is_open()) return Error{ErrorKind::system, "eventfd", {}, errno};
  Result<WaitEnd> end = WaitEnd{};
  {
    Waiters waiters(race, fds);
    if (auto started = waiters.start(); !started) {
      end = started.error();
    } else {
      end = wait_for_news(race, *signals, deadline, stop);
    }
  }
  const int winner = race.winner;
  const bool may_keep = end && (end->outcome == Acquire::held || end->outcome == Acquire::timed_out);
  if (winner != none && may_keep) return AnyEnd{{Acquire::held}, static_cast<std::size_t>(winner)};
  if (winner != none) (void)unlock(fds[static_cast<std::size_t>(winner)]);
  if (!end) return end.error();
  if (end->outcome == Acquire::held) return flock_error(race.flock_failure);
  return AnyEnd{*end};
}

}  // namespace grex::sys
