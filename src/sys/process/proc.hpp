#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/stop_token.hpp"
#include "sys/file/file.hpp"

namespace grex::sys {

/// These functions read /proc (proc(5)) as it is mounted. What can't be read is empty or
/// nullopt, never an Error: other processes come and go, and may be hidden. Nothing is
/// parsed here.

/// /proc/locks: the locks that this PID namespace sees.
struct LockTableText {
  std::string text;
  /// Whether one read(2) got all of it. The kernel returns at most a page at a time,
  /// never splits a lock from its waiters, and lets locks come and go in between: then a
  /// lock that was held all the time may be missing (fs/seq_file.c, seq_read_iter;
  /// fs/locks.c, locks_show). Half of the page must be left, which is room for another
  /// lock with more than thirty waiters.
  bool single_read = false;
  bool is_cut = false;  ///< `should_stop` ended the reading
};

/// `should_stop` is called after each page but the first: reading a long list takes
/// seconds, and any user can make it long. A line at the end of what was read is whole.
LockTableText lock_table_text(const StopToken& should_stop = never_stop);

/// /proc/PID/mountinfo.
std::string mount_table_text(pid_t pid);

/// /proc/PID/NAME, such as "stat" or "cmdline"; at most 64 KiB of it.
std::optional<std::string> process_file(pid_t pid, const std::string& name);

/// /proc/PID/environ, however long (execve(2) allows 6 MiB).
std::optional<std::string> process_environment(pid_t pid);

/// Stands for this process in the functions that take a process id, whatever number it
/// has in /proc.
inline constexpr pid_t own_process = 0;

/// This process's number in its own PID namespace, and its real user.
pid_t own_pid();
uid_t own_uid();

/// This process's number in /proc, which may show an outer PID namespace; nullopt if it is
/// not in there.
std::optional<pid_t> own_pid_in_proc();

/// Its effective user.
uid_t effective_uid();

/// Whether the kernel gave this process rights that its caller may not have: by a
/// set-user-ID or set-group-ID bit, file capabilities, or a security module (getauxval(3),
/// AT_SECURE).
bool is_privileged_program();

/// The process that started this one, or adopted it.
pid_t parent_pid();

/// Whether that process has this descriptor open, as far as can be seen.
bool is_open_in_parent(int fd);

/// The content of /etc/passwd, since a static program can't use NSS; empty if it can't be
/// read.
std::string passwd_text();

/// The name of a user that /etc/passwd has; "uid N" for any other.
std::string user_name(uid_t uid);

/// The target of /proc/PID/NAME, such as "cwd" or "ns/pid".
std::optional<std::string> process_link(pid_t pid, const std::string& name);

/// How a path that a process sees is reached from here.
std::string in_root_of(pid_t pid, const std::string& path);

/// /proc/sys/kernel/random/boot_id, without the newline.
std::string boot_id();

/// The processes that /proc shows, in ascending order.
std::optional<std::vector<pid_t>> processes();

/// The name of a process's command; empty if it can't be read.
std::string command_name_of(pid_t pid);

/// How many threads a process has.
std::optional<std::size_t> thread_count(pid_t pid);

/// The children of all threads of a process; nullopt if the kernel does not list them
/// (CONFIG_PROC_CHILDREN).
std::optional<std::vector<pid_t>> children_of(pid_t pid);

/// The session of a process, by its number in this PID namespace; 0 if the session began
/// outside.
std::optional<pid_t> session_of(pid_t pid);

/// Whether there is a process with this number in this PID namespace.
enum class Existence { exists, gone };
Existence existence_of(pid_t pid);

/// Effective user of a process.
std::optional<uid_t> owner_of(pid_t pid);

/// The file of the program that a process runs; nullopt if it may not be read.
std::optional<FileId> program_of(pid_t pid);

/// The root directory of a process; nullopt if it may not be read.
std::optional<FileId> root_of(pid_t pid);

/// A descriptor of a process, and the file behind it.
struct OpenDescriptor {
  pid_t pid = 0;
  int number = -1;
  FileId file;  ///< FileId{} if its file system may not be accessed
  bool is_regular = false;
};

/// The descriptors of a process's main thread; nullopt if they may not be read (another
/// user's process, or one with more capabilities), or if `should_stop` ended the reading of very many.
std::optional<std::vector<OpenDescriptor>> descriptors_of(pid_t pid, const StopToken& should_stop = never_stop);

/// The path of the file behind a descriptor, as path_of(int) in sys/file/file.hpp; nullopt
/// if it is too long for the kernel to show it.
std::optional<std::string> path_of(const OpenDescriptor& descriptor);

/// The status of the file behind a descriptor, as it is known without asking a server;
/// nullopt if the descriptor has been closed, or has another file by now.
std::optional<FileStatus> status_of(const OpenDescriptor& descriptor);

/// Opens the regular file behind a descriptor for reading, even if it has no name any more.
/// Breaks a lease on it. Not open if it may not be read, or the descriptor has another file.
UniqueFd open_file_of(const OpenDescriptor& descriptor);

/// The lines of /proc/PID/fdinfo/N.
std::optional<std::string> descriptor_info(const OpenDescriptor& descriptor);

std::string host_name();

/// This process's environment, ending with a null pointer. Borrowed.
char** environment();

/// The unit of the start times in /proc/PID/stat.
std::int64_t nanoseconds_per_tick();

/// How many CPUs this process may run on; at least 1.
unsigned cpu_count();

/// Whether this process is root, and in the initial user namespace: it may inspect every
/// process, unless a security module forbids that. False if unknown.
bool is_root_of_machine();

/// Whether this process is in the initial PID namespace. Only there does /proc/locks show
/// the locks of every process (include/linux/proc_ns.h, PROC_PID_INIT_INO). False if
/// unknown.
bool in_initial_pid_namespace();

}  // namespace grex::sys
