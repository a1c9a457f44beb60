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
/// blocking system calls of this thread fail with EINTR. Afterwards handlers and mask
/// are what they were. One at a time in a process.
///
/// flock(2) can't be given a set of signals to let through only while it blocks, so
/// a signal may land after the caller looked at received() and before its call. Every
/// interruption is therefore followed by another and another, until the caller looks.
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

  /// From here on received() can't change any more: a signal that arrives now stays
  /// pending for what handles it after this.
  static void stop_listening();

 private:
  void install_handlers();

  bool is_armed_ = false;
  sigset_t old_mask_{};
  struct sigaction old_timer_action_ {};
  std::array<struct sigaction, termination_signals.size()> old_actions_{};
};

/// While it lives, interrupt() makes a blocking system call of another thread fail
/// with EINTR. It may do so before the call, so it has to be repeated until the
/// thread has noticed. Afterwards handler and mask are what they were.
class ThreadInterrupter {
 public:
  ThreadInterrupter();
  ThreadInterrupter(const ThreadInterrupter&) = delete;
  ThreadInterrupter& operator=(const ThreadInterrupter&) = delete;
  ~ThreadInterrupter();

  /// For the thread to call, before anything else: lets itself be interrupted.
  static void allow_here();

  static void interrupt(pthread_t thread);

 private:
  SignalBlock block_;
  struct sigaction old_action_ {};
};

}  // namespace grex::sys
