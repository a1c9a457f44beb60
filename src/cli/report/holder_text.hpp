#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>
#include <vector>

#include "base/time_text.hpp"
#include "core/inspect/file_report.hpp"

namespace grex::cli {

/// How much a line shows of a holder: everything; everything but the date; the essentials, for a
/// narrow terminal; or of these only what comes before the command.
enum class Detail { all, no_date, brief, no_command };

/// What holds a lock if no process has it open; empty if one has, or if that is not known.
std::string_view lone_descriptor(const core::LockProcess& acquirer);

/// Instead of a process that is not known.
inline constexpr std::string_view invisible_process = "a process not visible from here (other host or container)";

/// The command of a process, printable; that of a hold without its arguments, but with the process
/// that it watches.
std::string shown_command(const core::LockProcess& process);

/// The process that holds a lock, since when, its note and its command: a part of a line.
/// Says so if the process is unknown.
std::string holder_text(const std::vector<core::LockProcess>& holders, UtcTime now, Detail detail = Detail::all);

/// The process that has a lease on a lock file: a part of a line.
std::string lease_text(const core::LockProcess& process);

/// The command that ends these processes. One that is stopped must also be continued, and what
/// ignores SIGTERM needs SIGKILL.
std::string kill_line(const std::vector<pid_t>& pids);

/// The first few of these processes, each with its command, and how many more there are:
/// a part of a line.
std::string process_list(const std::vector<core::LockProcess>& processes);

}  // namespace grex::cli
