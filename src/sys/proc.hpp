#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "sys/file.hpp"

namespace grex::sys {

/// Everything here reads /proc (proc(5)) as it is mounted; what can't be read
/// is empty or nullopt, never an Error: it is about other processes, which come
/// and go and may be hidden. Nothing is parsed here.

/// /proc/locks: the locks that this PID namespace sees.
struct LockTableText {
  std::string text;
  /// The kernel hands out a page of it at a time, and lets locks come and go
  /// between two pages: then a lock that was held all along may be missing
  /// (fs/seq_file.c, seq_read_iter; fs/locks.c, locks_start). One page is whole.
  bool in_one_piece = false;
};
LockTableText lock_table_text();

/// /proc/self/mountinfo.
std::string mount_table_text();

/// /proc/PID/NAME, such as "stat" or "cmdline"; at most 64 KiB of it.
std::optional<std::string> process_file(pid_t pid, const std::string& name);

/// The target of /proc/PID/NAME, such as "cwd" or "ns/pid".
std::optional<std::string> process_link(pid_t pid, const std::string& name);

/// /proc/sys/kernel/random/boot_id, without the newline.
std::string boot_id();

std::vector<pid_t> processes();

enum class Existence { exists, gone };
Existence existence_of(pid_t pid);

/// Effective user of a process.
std::optional<uid_t> owner_of(pid_t pid);

/// One descriptor of some process and the file behind it.
struct OpenDescriptor {
  pid_t pid = 0;
  int number = -1;
  FileId file;
};

/// A process's descriptors for the given files; nullopt where they may not be
/// looked at (another user's process).
std::optional<std::vector<OpenDescriptor>> descriptors_of(pid_t pid, const std::vector<FileId>& files);

/// The lines of /proc/PID/fdinfo/N.
std::optional<std::string> descriptor_info(const OpenDescriptor& descriptor);

std::string host_name();

/// How many CPUs this process may run on; at least 1.
unsigned cpu_count();

/// Whether this process is in the initial PID namespace, the only one whose
/// /proc/locks shows every process's locks (include/linux/proc_ns.h,
/// PROC_PID_INIT_INO). Not so where it can't be known.
bool in_initial_pid_namespace();

}  // namespace grex::sys
