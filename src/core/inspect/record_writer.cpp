#include "core/inspect/record_writer.hpp"

#include <cstdlib>
#include <utility>

#include "core/inspect/process_numbers.hpp"
#include "sys/process/proc.hpp"
#include "sys/process/proc_text.hpp"

namespace grex::core {

Match is_writer(const Record& record, pid_t pid) {
  const auto started_here = start_time_ns(pid);
  if (!started_here) return Match::unknown;
  const auto innermost = sys::parse_innermost_pid(sys::process_file(pid, "status").value_or(""));
  if (innermost.value_or(pid) != record.writer.pid) return Match::no;
  // As the clock of the process shows it, which wrote the record.
  const std::int64_t started = *started_here - boot_offset_from(pid);
  if (record.taken) return std::cmp_less_equal(started, *record.taken) ? Match::yes : Match::no;
  // grex-lock 0.1 wrote its start time. If the clocks differ by a part of a tick, it was
  // rounded at another moment.
  const std::int64_t tick = sys::nanoseconds_per_tick();
  const std::int64_t difference = std::abs(started - static_cast<std::int64_t>(record.writer.start_time) * tick);
  return difference < tick ? Match::yes : Match::no;
}

}  // namespace grex::core
