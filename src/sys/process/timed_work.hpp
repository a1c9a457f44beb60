#pragma once

#include <optional>
#include <span>

#include "base/deadline.hpp"

namespace grex::sys {

/// Something that a process does from time to time while it waits for something else.
class TimedWork {
 public:
  TimedWork() = default;
  TimedWork(const TimedWork&) = delete;
  TimedWork& operator=(const TimedWork&) = delete;
  virtual ~TimedWork() = default;

  /// When it must be done next; nullopt: never again.
  [[nodiscard]] virtual std::optional<Deadline> due() const = 0;

  /// Does it. The wait notices nothing in the meantime, so this must not block.
  virtual void do_now() = 0;
};

/// What has to be done during one wait; borrowed.
using TimedWorks = std::span<TimedWork* const>;

/// When the first of them is due; nullopt: never.
std::optional<Deadline> next_due(TimedWorks works);

/// Does those that are due by now.
void do_what_is_due(TimedWorks works);

}  // namespace grex::sys
