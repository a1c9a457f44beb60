#include "core/inspect/watched.hpp"

#include "core/inspect/process_numbers.hpp"
#include "sys/process/proc.hpp"
#include "sys/process/proc_text.hpp"
#include "sys/process/process_memory.hpp"

namespace grex::core {

std::optional<pid_t> watched_by(pid_t hold, const WatchedPid& watched_pid) {
  return watched_by(hold, sys::parse_command_line(sys::command_line_text(hold).value_or("")), watched_pid);
}

std::optional<pid_t> watched_by(pid_t hold, const std::vector<std::string>& command, const WatchedPid& watched_pid) {
  const auto watched = watched_pid(command);
  if (!watched || sys::command_name_of(hold) != "grex-lock") return std::nullopt;
  if (sys::process_link(hold, "ns/pid") != sys::process_link(sys::own_process, "ns/pid")) return std::nullopt;
  const auto watched_since = start_time_ns(*watched);
  const auto held_since = start_time_ns(hold);
  return watched_since && held_since && *watched_since <= *held_since ? watched : std::nullopt;
}

}  // namespace grex::core
