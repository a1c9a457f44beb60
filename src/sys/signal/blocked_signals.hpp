#pragma once

#include <optional>

#include "base/result.hpp"
#include "base/unique_fd.hpp"
#include "sys/lock/flock_wait.hpp"

namespace grex::sys {

/// SIGTERM, SIGINT and SIGHUP, as far as they are not ignored, held back for the
/// rest of the process's life, to be asked for: so none comes between two steps.
/// wait_lock and wait_any heed them all the same.
class HeldBackSignals {
 public:
  /// Errors: system.
  static Result<HeldBackSignals> begin();

  /// The next one that has come, as the end of a wait.
  [[nodiscard]] std::optional<WaitEnd> next() const;

  /// Readable when one has come; borrowed.
  [[nodiscard]] int fd() const { return fd_.get(); }

 private:
  explicit HeldBackSignals(UniqueFd fd) : fd_(std::move(fd)) {}
  UniqueFd fd_;  // a signalfd
};

/// Makes SIGTERM heeded where it was ignored when grex-lock began.
void heed_sigterm();

}  // namespace grex::sys
