#pragma once

#include <memory>
#include <optional>

#include "base/result.hpp"
#include "sys/process/worker_thread.hpp"

namespace grex::sys {

/// Reads and discards what has come on standard input by now, after poll(2) has reported
/// something. Returns whether the input has ended; if it was closed from the beginning, it
/// has. On a terminal that another process reads, too, it may wait for more. Errors: io.
Result<bool> input_has_ended();

/// While this lives, a thread discards standard input, and sends this process a SIGTERM when
/// that has ended. For waits that only signals can end; the rest of the program must block
/// SIGTERM.
class InputWatcher {
 public:
  InputWatcher();
  InputWatcher(const InputWatcher&) = delete;
  InputWatcher& operator=(const InputWatcher&) = delete;
  ~InputWatcher();

  /// Errors: system.
  Result<void> start();

  /// Whether the thread has seen the end of the input, or the Error because of which it
  /// has sent the signal; nullopt if neither.
  [[nodiscard]] std::optional<Result<void>> ended() const;

 private:
  struct Shared;
  std::shared_ptr<Shared> shared_;  // with the thread
  WorkerThread thread_;
};

}  // namespace grex::sys
