#include "sys/lock/flock_wait_any.hpp"

#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/file.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <optional>
#include <utility>
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
  UniqueFd news;                         ///< an eventfd; readable: there is a winner, or a failure
  std::atomic<int> winner = none;        ///< index of the lock that is held
  std::atomic<bool> has_failed = false;  ///< a thread has ended with an Error
  std::optional<Error> failure;          ///< that of the thread that has set `has_failed`; read when all have ended
  std::atomic<bool> over = false;        ///< threads that still wait must give up
};

// A thread, and the file at which it waits: no other thread uses it.
struct Waiter {
  Race* race = nullptr;
  LockFile* file = nullptr;
  int index = 0;
  pthread_t thread{};
};

// Opens the file if it is leased, or else locks it. Returns whether it is locked now.
Result<bool> take_step(LockFile& file, int operation) {
  if (file.is_leased) {
    auto opened = open_leased(file);
    if (!opened) return opened.error();
    file = std::move(*opened);
    return false;
  }
  if (::flock(file.fd.get(), operation) != 0) return flock_error(errno);
  return true;
}

void* wait_at_one(void* argument) {
  const Waiter& self = *static_cast<Waiter*>(argument);
  Race& race = *self.race;
  ThreadInterrupter::allow_here();
  while (!race.over) {
    auto locked = take_step(*self.file, race.operation);
    if (!locked && locked.error().err != EINTR) {
      if (!race.has_failed.exchange(true)) race.failure = std::move(locked.error());
      break;
    }
    if (!locked || !*locked) continue;
    int expected = none;
    if (!race.winner.compare_exchange_strong(expected, self.index)) (void)unlock(self.file->fd.get());
    break;
  }
  ::eventfd_write(race.news.get(), 1);
  return nullptr;
}

// One thread per lock, from start() until this is destroyed.
class Waiters {
 public:
  Waiters(Race& race, std::span<LockFile> files) : race_(race), waiters_(files.size()) {
    for (std::size_t i = 0; i < files.size(); ++i) waiters_[i] = {&race, &files[i], static_cast<int>(i)};
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
    if (race.winner != none || race.has_failed) return WaitEnd{Acquire::held};
    if (has_passed(deadline)) return WaitEnd{Acquire::timed_out};
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

Result<AnyEnd> wait_any(std::span<LockFile> files, Mode mode, std::optional<Deadline> deadline, int stop) {
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
    Waiters waiters(race, files);
    if (auto started = waiters.start(); !started) {
      end = started.error();
    } else {
      end = wait_for_news(race, *signals, deadline, stop);
    }
  }
  const int winner = race.winner;
  const bool may_keep = end && (end->outcome == Acquire::held || end->outcome == Acquire::timed_out);
  if (winner != none && may_keep) return AnyEnd{{Acquire::held}, static_cast<std::size_t>(winner)};
  if (winner != none) (void)unlock(files[static_cast<std::size_t>(winner)].fd.get());
  if (!end) return end.error();
  if (end->outcome == Acquire::held) return *race.failure;
  return AnyEnd{*end};
}

}  // namespace grex::sys
