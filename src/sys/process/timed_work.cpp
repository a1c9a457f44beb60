#include "sys/process/timed_work.hpp"

namespace grex::sys {

std::optional<Deadline> next_due(TimedWorks works) {
  std::optional<Deadline> first;
  for (const TimedWork* const work : works) first = earlier_of(first, work->due());
  return first;
}

void do_what_is_due(TimedWorks works) {
  for (TimedWork* const work : works) {
    if (has_passed(work->due())) work->do_now();
  }
}

}  // namespace grex::sys
