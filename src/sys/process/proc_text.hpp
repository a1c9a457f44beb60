#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace grex::sys {

/// Field 22 of /proc/PID/stat: when the process started, in clock ticks after
/// boot. Together with the process id and the boot id, it identifies one process.
std::optional<std::uint64_t> parse_start_time(std::string_view stat);

/// Field 2 of /proc/PID/stat: the name of its program, cut to 15 bytes.
std::string_view parse_command_name(std::string_view stat);

/// Field 4 of /proc/PID/stat: its parent; 0 if that is in another PID namespace.
std::optional<pid_t> parse_parent(std::string_view stat);

/// The children in /proc/PID/task/TID/children.
std::vector<pid_t> parse_children(std::string_view children);

/// Whether field 3 of /proc/PID/stat shows a process that has ended, but that its parent
/// has not reaped yet.
bool has_ended(std::string_view stat);

/// Whether field 9 of /proc/PID/stat shows a process whose end has begun (PF_EXITING): its
/// command line and its program can't be read any more, but it may still have its locks.
bool is_ending(std::string_view stat);

/// Whether field 9 shows a thread of the kernel (PF_KTHREAD).
bool is_kernel_thread(std::string_view stat);

/// Whether field 3 of /proc/PID/stat shows a process that a signal has stopped.
bool is_stopped_by_signal(std::string_view stat);

/// The same, also for one that a debugger has stopped. Async-signal-safe.
bool is_stopped(std::string_view stat);

/// Whether /proc/PID/status shows a process that ignores SIGTERM.
bool ignores_sigterm(std::string_view status);

/// The arguments in /proc/PID/cmdline; empty for kernel threads and zombies.
std::vector<std::string> parse_command_line(std::string_view cmdline);

/// The process's number in its own, innermost PID namespace: the last one on the NSpid
/// line of /proc/PID/status.
std::optional<pid_t> parse_innermost_pid(std::string_view status);

/// The numbers of a process in the PID namespaces from that of /proc to its own: the NSpid
/// line of /proc/PID/status. Empty if there is none.
std::vector<pid_t> parse_pids(std::string_view status);

/// The numbers of a process's session in the same namespaces: the NSsid line of
/// /proc/PID/status. 0 in those that the session is not in; empty if there is no line.
std::vector<pid_t> parse_sessions(std::string_view status);

/// The `boottime` line of /proc/PID/timens_offsets, in nanoseconds (time_namespaces(7)).
std::optional<std::int64_t> parse_boot_offset(std::string_view offsets);

/// The real user of a process, from its /proc/PID/status.
std::optional<uid_t> parse_real_user(std::string_view status);

/// The signals that have arrived at a process and not been received, from the ShdPnd line
/// of its /proc/PID/status: signal N is bit N-1. Async-signal-safe.
std::optional<std::uint64_t> parse_pending_signals(std::string_view status);

/// The process of a pidfd, from its /proc/self/fdinfo/N: the number in the PID namespace
/// of that /proc; -1 if the process has ended.
std::optional<pid_t> parse_opened_pid(std::string_view fdinfo);

/// The mount of a descriptor's file, from /proc/PID/fdinfo/N: its ID in the mountinfo of
/// processes of the same mount namespace.
std::optional<std::uint64_t> parse_mount_id(std::string_view fdinfo);

/// How a descriptor was opened, as open(2) takes it, from /proc/PID/fdinfo/N.
std::optional<std::uint64_t> parse_open_flags(std::string_view fdinfo);

/// The path that a file had when it was removed, from the kernel's name for an open file, as
/// /proc/PID/fd/N shows it; nullopt for any other name. A file that is there may have such a
/// name, too.
std::optional<std::string_view> removed_path(std::string_view name);

/// The value of a variable in /proc/PID/environ: the one that getenv(3) found when the
/// process's program began.
std::optional<std::string_view> parse_variable(std::string_view environ, std::string_view name);

/// The name of a user, from the text of /etc/passwd.
std::optional<std::string> parse_user_name(std::string_view passwd, uid_t uid);

}  // namespace grex::sys
