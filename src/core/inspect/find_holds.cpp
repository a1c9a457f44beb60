#include "core/inspect/find_holds.hpp"

#include <string>

#include "sys/process/pidfd.hpp"
#include "sys/process/proc.hpp"
#include "sys/process/proc_text.hpp"

namespace grex::core {
namespace {

bool claims_to_hold(const LockProcess& process) {
  return process.role == Role::acquirer && process.pid && process.alive == true && process.verb == "hold" &&
         process.identity;
}

// Whether the process that was opened is the one that wrote the record. /proc may be that
// of another PID namespace, in which the number is another process's, so the number must
// be the same in both. The writer started before its record was read, so no process that
// got the number later has the same start time.
bool is_writer(const ProcessIdentity& writer, pid_t pid, int pidfd) {
  const auto opened =
      sys::parse_opened_pid(sys::process_file(sys::own_process, "fdinfo/" + std::to_string(pidfd)).value_or(""));
  const auto stat = sys::process_file(pid, "stat");
  return opened == pid && stat && sys::parse_start_time(*stat) == writer.start_time &&
         writer.boot_id == sys::boot_id() && !sys::has_ended(*stat);
}

}  // namespace

std::vector<Hold> find_holds(const FileReport& report) {
  std::vector<Hold> holds;
  if (report.record != RecordState::valid) return holds;
  for (const LockProcess& process : report.holders) {
    if (!claims_to_hold(process)) continue;
    auto pidfd = sys::open_process(*process.pid);
    if (pidfd && is_writer(*process.identity, *process.pid, pidfd->get())) {
      holds.push_back({*process.pid, std::move(*pidfd)});
    }
  }
  return holds;
}

}  // namespace grex::core
