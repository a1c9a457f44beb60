#include "cli/report/holder_text.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <iterator>

#include "cli/report/printable.hpp"
#include "core/inspect/process_numbers.hpp"
#include "sys/process/proc.hpp"
#include "sys/process/proc_text.hpp"

namespace grex::cli {
namespace {

using core::LockProcess;

// --json has the whole command.
std::string shortened(std::string text) {
  constexpr std::size_t longest = 72;
  return cut_to(std::move(text), longest);
}

// On another host, or in a container with another host name, the same PID is another
// process.
std::string pid_text(const LockProcess& process) {
  std::string text = process.pid ? fmt::format("pid {}", *process.pid) : "a process";
  if (!process.host.empty() && process.host != sys::host_name()) text += " on " + printable(process.host);
  return text;
}

bool is_brief(Detail detail) { return detail == Detail::brief || detail == Detail::no_command; }

// The process to ask about a lock: the one that took it if it is alive, or else one
// that inherited it.
const LockProcess& contact(const std::vector<LockProcess>& holders) {
  const auto alive = std::find_if(holders.begin(), holders.end(),
                                  [](const LockProcess& process) { return process.alive.value_or(false); });
  return alive != holders.end() ? *alive : holders.front();
}

// A hold's options say nothing of what it is for.
bool is_hold(const LockProcess& process) {
  if (process.verb) return process.verb == "hold";
  const auto& words = process.command;
  return words.size() > 1 && words[0].substr(words[0].rfind('/') + 1) == "grex-lock" && words[1] == "hold";
}

std::string process_text(const LockProcess& process, UtcTime now, Detail detail) {
  std::string text = pid_text(process);
  if (process.user && !is_brief(detail)) text += fmt::format(" ({})", printable(*process.user));
  if (process.alive == false) text += " (gone)";
  if (process.is_stopped) text += " (stopped)";
  if (!is_brief(detail) && process.since && now - *process.since >= std::chrono::milliseconds(1)) {
    text += " for " + format_duration(now - *process.since);
  }
  if (process.since && detail == Detail::all) text += " since " + format_local(*process.since, now);
  const bool has_note = process.note && !process.note->empty();
  const std::string command = detail == Detail::no_command ? std::string() : shown_command(process);
  if (has_note || !command.empty()) text += ":";
  // Before the command, because the end of the line may be cut.
  if (has_note) text += fmt::format(" [{}]", printable(*process.note));
  if (!command.empty()) text += " " + shortened(command);
  return text;
}

// The process that took the lock, if another one is shown.
std::string acquirer_text(const LockProcess& acquirer) {
  if (!acquirer.pid || acquirer.verb == "fd") return {};  // 'grex-lock fd' always leaves the lock to the shell
  if (acquirer.alive != false) return fmt::format("; locked by {}", pid_text(acquirer));
  if (acquirer.verb) return fmt::format("; its grex-lock ({}) has ended", pid_text(acquirer));
  return fmt::format("; locked by {}, which has ended", pid_text(acquirer));
}

// The process to ask and, if that is another one, the process that took the lock: it
// may be gone while its command still holds the lock.
std::string holders_text(const std::vector<LockProcess>& holders, UtcTime now, Detail detail) {
  LockProcess asked = contact(holders);
  const LockProcess& first = holders.front();
  std::string text(lone_descriptor(asked));
  if (!text.empty()) {
    if (asked.since) text += ", from " + process_text(asked, now, detail);
    return text;
  }
  if (asked.role == core::Role::acquirer || first.role != core::Role::acquirer) {
    return process_text(asked, now, detail);
  }
  // What the record of the acquirer says is true of the lock.
  asked.since = first.since;
  asked.note = first.note;
  text = process_text(asked, now, detail);
  return is_brief(detail) ? text : text + acquirer_text(first);
}

}  // namespace

std::string_view lone_descriptor(const LockProcess& acquirer) {
  switch (acquirer.openers) {
    case core::Openers::none:
      return "a descriptor that no process has open";
    case core::Openers::none_seen:
      return "a descriptor that no process has open, as far as can be seen";
    case core::Openers::not_known:
      break;
  }
  return {};
}

std::string shown_command(const LockProcess& process) {
  if (!is_hold(process)) return shell_line(process.command);
  if (!process.watched) return "grex-lock hold";
  const auto& [pid, command] = *process.watched;
  return fmt::format("grex-lock hold for pid {}{}{}", pid, command.empty() ? "" : ": ", shell_line(command));
}

std::string holder_text(const std::vector<LockProcess>& holders, UtcTime now, Detail detail) {
  if (holders.empty()) return std::string(invisible_process);
  std::string text = holders_text(holders, now, detail);
  const auto acquirers = std::count_if(holders.begin(), holders.end(),
                                       [](const LockProcess& process) { return process.role == core::Role::acquirer; });
  if (acquirers > 1 && detail != Detail::no_command) text += fmt::format(", and {} more", acquirers - 1);
  return text;
}

std::string lease_text(const LockProcess& process) {
  if (!process.pid) return fmt::format("leased by {}", invisible_process);
  return "leased by " + process_text(process, utc_now(), Detail::no_date);
}

std::string kill_line(const std::vector<pid_t>& pids) {
  std::vector<pid_t> stopped;
  std::vector<pid_t> deaf;
  for (const pid_t pid : pids) {
    if (sys::is_stopped_by_signal(sys::process_file(pid, "stat").value_or(""))) stopped.push_back(pid);
    std::vector<pid_t> signalled = {pid};
    // grex-lock passes the signal on to its command.
    if (sys::command_name_of(pid) == "grex-lock") signalled = core::children_but_keepers(pid);
    std::copy_if(signalled.begin(), signalled.end(), std::back_inserter(deaf),
                 [](pid_t its) { return sys::ignores_sigterm(sys::process_file(its, "status").value_or("")); });
  }
  std::string line = fmt::format("kill {}", fmt::join(pids, " "));
  if (!stopped.empty()) line += fmt::format("; kill -CONT {}", fmt::join(stopped, " "));
  if (!deaf.empty()) line += fmt::format("; kill -9 {} (SIGTERM is ignored)", fmt::join(deaf, " "));
  return line;
}

std::string process_list(const std::vector<LockProcess>& processes) {
  constexpr std::size_t shown = 3;
  std::string text;
  for (std::size_t i = 0; i < processes.size() && i < shown; ++i) {
    const LockProcess& process = processes[i];
    if (i > 0) text += ", ";
    text += fmt::format("pid {}", process.pid.value_or(0));
    if (!process.command.empty()) text += fmt::format(" ({})", shortened(shell_line(process.command)));
  }
  if (processes.size() > shown) text += fmt::format(", and {} more", processes.size() - shown);
  return text;
}

}  // namespace grex::cli
