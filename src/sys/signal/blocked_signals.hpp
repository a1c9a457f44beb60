#pragma once

#include <signal.h>

#include <optional>

#include "base/result.hpp"
#include "base/unique_fd.hpp"
#include "sys/signal/signals.hpp"

namespace grex::sys {

/// Blocks signals in this thread while it lives, and then restores the thread's mask.
class SignalBlock {
 public:
  explicit SignalBlock(const sigset_t& signals) { ::pthread_sigmask(SIG_BLOCK, &signals, &old_); }
  SignalBlock(const SignalBlock&) = delete;
  SignalBlock& operator=(const SignalBlock&) = delete;
  ~SignalBlock() { ::pthread_sigmask(SIG_SETMASK, &old_, nullptr); }

 private:
  sigset_t old_{};
};

/// Blocks the termination signals that are not ignored, while it lives. For the time
/// between two waits, which respond to these signals even so.
class BlockTerminationSignals : public SignalBlock {
 public:
  BlockTerminationSignals() : SignalBlock(unignored_signals()) {}
};

/// Reads signals one by one (signalfd(2)). The caller must have blocked them.
class SignalReader {
 public:
  /// Errors: system.
  static Result<SignalReader> open(const sigset_t& signals);

  /// The next signal that has arrived; nullopt if there is none.
  [[nodiscard]] std::optional<ReceivedSignal> next() const;

  /// Readable when a signal has arrived; borrowed.
  [[nodiscard]] int fd() const { return fd_.get(); }

 private:
  explicit SignalReader(UniqueFd fd) : fd_(std::move(fd)) {}
  UniqueFd fd_;  // a signalfd
};

/// Blocks the termination signals that are not ignored, until restore() or the end of
/// the process. The caller reads them when it is ready, so that none arrives between
/// two steps. wait_lock and wait_any respond to them even so.
class BlockedSignals {
 public:
  /// Errors: system.
  static Result<BlockedSignals> begin();

  /// Restores the mask from before begin().
  void restore() const { ::sigprocmask(SIG_SETMASK, &old_mask_, nullptr); }

  [[nodiscard]] std::optional<ReceivedSignal> next() const { return reader_.next(); }

  /// Readable when a signal has arrived; borrowed.
  [[nodiscard]] int fd() const { return reader_.fd(); }

 private:
  explicit BlockedSignals(SignalReader reader) : reader_(std::move(reader)) {}
  SignalReader reader_;
  sigset_t old_mask_{};
};

/// While this lives, a SIGTSTP (Ctrl-Z) stays pending. It stops this process only
/// afterwards, unless a SIGCONT has arrived since. Nothing changes if the process that
/// started us ignored or blocked the signal.
class DeferredStop {
 public:
  DeferredStop();
  ~DeferredStop();
  DeferredStop(const DeferredStop&) = delete;
  DeferredStop& operator=(const DeferredStop&) = delete;

  /// Readable while a SIGTSTP is pending, but must not be read; -1 if nothing was
  /// changed; borrowed.
  [[nodiscard]] int fd() const { return fd_.get(); }

 private:
  UniqueFd fd_;  // a signalfd
};

/// Keeps a signal that our own system call may raise, such as SIGPIPE, from killing
/// us while this lives: the call fails instead. A signal that was pending before
/// stays pending.
class SignalSuppressor {
 public:
  explicit SignalSuppressor(int signal);
  ~SignalSuppressor();
  SignalSuppressor(const SignalSuppressor&) = delete;
  SignalSuppressor& operator=(const SignalSuppressor&) = delete;

 private:
  sigset_t only_it_;
  bool was_pending_;
  SignalBlock block_;
};

}  // namespace grex::sys
