#pragma once

#include <pthread.h>
#include <signal.h>

#include <array>
#include <optional>

#include "base/deadline.hpp"
#include "base/result.hpp"
#include "sys/signal/blocked_signals.hpp"
#include "sys/signal/signals.hpp"

namespace grex::sys {

/// While it lives, the termination signals that are not ignored, and a deadline, make
/// blocking system calls of this thread fail with EINTR. Afterwards, handlers and mask
/// are restored. Only one may exist in a process at a time.
///
/// flock(2) can't be given a set of signals to unblock only while it blocks, so a
/// signal may arrive after the caller has checked received(), but before its call.
/// Therefore, every interruption is repeated until the caller checks again.
class Interruptions {
 public:
  Interruptions() = default;
  Interruptions(const Interruptions&) = delete;
  Interruptions& operator=(const Interruptions&) = delete;
  ~Interruptions();

  /// Errors: system.
  Result<void> arm(std::optional<Deadline> deadline);

  /// The first signal that has arrived.
  [[nodiscard]] static std::optional<ReceivedSignal> received();

  /// From here on, received() doesn't change any more: a signal that arrives now stays
  /// pending, and is handled after this object is gone.
  static void stop_listening();

 private:
  void install_handlers();

  bool is_armed_ = false;
  sigset_t old_mask_{};
  struct sigaction old_timer_action_ {};
  std::array<struct sigaction, termination_signals.size()> old_actions_{};
};

/// While it lives, interrupt() makes a blocking system call of another thread fail
/// with EINTR. It may come before that call, so the caller must repeat it until the
/// thread has noticed. Afterwards, handler and mask are restored.
class ThreadInterrupter {
 public:
  ThreadInterrupter();
  ThreadInterrupter(const ThreadInterrupter&) = delete;
  ThreadInterrupter& operator=(const ThreadInterrupter&) = delete;
  ~ThreadInterrupter();

  /// The thread must call this before anything else, to be interruptible.
  static void allow_here();

  static void interrupt(pthread_t thread);

 private:
  SignalBlock block_;
  struct sigaction old_action_ {};
};

}  // namespace grex::sys
