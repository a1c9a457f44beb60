#include "core/inspect/find_holds.hpp"

#include <algorithm>

#include "core/inspect/descriptor_locks.hpp"
#include "sys/process/pidfd.hpp"
#include "sys/process/proc.hpp"
#include "sys/process/proc_text.hpp"
#include "sys/process/process_memory.hpp"

namespace grex::core {
namespace {

// Whether the process took the lock itself, and still has it on a descriptor of the file.
bool has_lock(pid_t pid, sys::FileId file) {
  const auto locks = locks_on(file, pid);
  return std::any_of(locks.begin(), locks.end(), [pid](const KernelLock& lock) { return lock.pid == pid; });
}

// The name is enough: a process that gives itself this name, and takes our lock, gets
// nothing but its own end, and can't give the name to another process. It stays when the
// program is replaced by a newer one while it runs. The file is compared, too, for a
// program that was installed under another name.
bool runs_grex_lock(pid_t pid) {
  const auto program = sys::program_of(pid);
  return (program && program == sys::program_of(sys::own_process)) ||
         names_grex_lock(sys::process_link(pid, "exe").value_or(""));
}

bool is_users(pid_t pid) {
  const auto user = sys::parse_real_user(sys::process_file(pid, "status").value_or(""));
  return user == sys::own_uid() || sys::effective_uid() == 0;
}

// Nullopt if its command can't be read.
std::optional<bool> is_named(pid_t pid, const IsHold& is_hold) {
  const auto command = sys::command_line_text(pid);
  return command ? std::optional(is_hold(sys::parse_command_line(*command))) : std::nullopt;
}

Hold::Kind inspect_hold(pid_t pid, sys::FileId file) {
  if (!is_users(pid)) return Hold::Kind::anothers;
  return has_lock(pid, file) && runs_grex_lock(pid) ? Hold::Kind::ours : Hold::Kind::unverified;
}

// What the process is, `seen` before. The number in /proc may be another process's than
// that of the pidfd: of one that came after it, or in another PID namespace. If it is not,
// nothing else was inspected.
Hold::Kind judge(int pidfd, pid_t pid, Hold::Kind seen) {
  const auto opened = sys::pid_in_proc(pidfd);
  const auto stat = sys::process_file(pid, "stat");
  if (opened != pid || !stat || sys::has_ended(*stat)) return Hold::Kind::unverified;
  return seen == Hold::Kind::unverified && sys::is_ending(*stat) ? Hold::Kind::ending : seen;
}

}  // namespace

std::vector<Hold> find_holds(const FileReport& report, const IsHold& is_hold) {
  std::vector<Hold> holds;
  if (!report.file) return holds;
  for (const LockProcess& process : report.holders) {
    if (process.role != Role::acquirer || !process.pid) continue;
    const pid_t pid = *process.pid;
    auto opened = sys::open_process(pid);
    const auto calls_itself_hold = is_named(pid, is_hold);
    // If it has ended, it has no command, but is no hold either.
    const bool may_be_hold = calls_itself_hold.value_or(static_cast<bool>(opened));
    Hold hold{Hold::Kind::unverified, pid, {}};
    if (opened) {
      if (calls_itself_hold == true) hold.kind = inspect_hold(pid, report.file->id);
      hold.kind = judge(opened->get(), pid, hold.kind);
      hold.process = std::move(*opened);
    }
    if (may_be_hold || hold.kind == Hold::Kind::ending) holds.push_back(std::move(hold));
  }
  return holds;
}

std::optional<Hold> find_hold(pid_t pid, const IsHold& is_hold) {
  auto opened = sys::open_process(pid);
  if (!opened || is_named(pid, is_hold) != true || !is_users(pid) || !runs_grex_lock(pid)) return std::nullopt;
  const Hold::Kind kind = judge(opened->get(), pid, Hold::Kind::ours);
  return kind == Hold::Kind::ours ? std::optional(Hold{kind, pid, std::move(*opened)}) : std::nullopt;
}

bool names_grex_lock(std::string_view executable) {
  executable = sys::removed_path(executable).value_or(executable);
  return executable.substr(executable.rfind('/') + 1) == "grex-lock";
}

}  // namespace grex::core
