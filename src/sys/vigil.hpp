#pragma once

#include <optional>

#include "base/result.hpp"
#include "base/unique_fd.hpp"
#include "sys/wait.hpp"

namespace grex::sys {

/// What may end a vigil, beside SIGTERM, SIGINT and SIGHUP.
struct VigilEnds {
  std::optional<Deadline> deadline = {};
  int pidfd = -1;      ///< that process's end; -1: none; borrowed
  bool input = false;  ///< end of file on standard input
};

/// A sleep until told to stop. From its beginning the signals that end it are
/// held back, for the rest of the process's life: so none that comes before the
/// sleep is lost (wait_lock and wait_any heed them), and none that comes after it
/// keeps us from cleaning up.
/// SIGTERM ends it even where it was ignored when grex-lock began; SIGINT and
/// SIGHUP do not then.
class Vigil {
 public:
  /// Errors: system.
  static Result<Vigil> begin();

  /// Sleeps until one of the ends. Of the standard input, what comes before its
  /// end is thrown away. Errors: system, io (the input).
  Result<void> keep(const VigilEnds& ends) const;

  /// The descriptor it listens at; borrowed.
  [[nodiscard]] int fd() const { return signals_.get(); }

 private:
  explicit Vigil(UniqueFd signals) : signals_(std::move(signals)) {}
  UniqueFd signals_;
};

}  // namespace grex::sys
