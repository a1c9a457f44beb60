#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>

#include "cli/report/failure.hpp"
#include "cli/report/holder_text.hpp"
#include "cli/report/lock_failure.hpp"
#include "core/inspect/queue_position.hpp"
#include "sys/process/worker_thread.hpp"

namespace grex::cli {

/// Tells people, while this lives, what a wait is for, who holds it, and how many
/// wait before us: on standard error, from a second after its beginning. On a
/// terminal it is one line that is kept up to date, and gone in the end;
/// elsewhere a line now and then. A thread does it, so that the wait keeps its
/// place in the kernel's queue. A reader who does not read is not waited for.
class WaitingLine {
 public:
  /// `busy` is called in the thread.
  WaitingLine(core::Queue queue, FindBusy busy);

 private:
  void tell_until(int over);
  void tell(int over);
  [[nodiscard]] std::string text(const std::string& path, Detail detail) const;
  [[nodiscard]] std::string text_within(std::size_t columns) const;

  core::Queue queue_;
  FindBusy find_busy_;
  std::chrono::steady_clock::time_point start_;
  std::optional<core::Ahead> ahead_;  // as of the last look
  Failure busy_;                      // as of the last change of holder
  std::optional<std::chrono::steady_clock::time_point> noted_;
  bool is_drawn_ = false;
  sys::SideThread thread_;  // the last member: it ends before the others do
};

}  // namespace grex::cli
