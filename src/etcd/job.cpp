#include "etcd/job.hpp"

#include <fcntl.h>
#include <signal.h>

#include <algorithm>
#include <utility>

#include "base/deadline.hpp"
#include "base/text.hpp"
#include "sys/file/file.hpp"
#include "sys/process/pidfd.hpp"
#include "sys/process/proc.hpp"
#include "sys/process/proc_text.hpp"

namespace grex::etcd {
namespace {

bool has_process_ended(const UniqueFd& process) {
  return !process.is_open() || sys::wait_for_end(process.get(), Deadline::clock::now());
}

bool is_write_end(const sys::OpenDescriptor& descriptor, const sys::FileId& pipe) {
  if (descriptor.file != pipe) return false;
  const auto flags = sys::parse_open_flags(sys::descriptor_info(descriptor).value_or(""));
  return flags && (*flags & static_cast<unsigned>(O_ACCMODE)) != O_RDONLY;
}

// Whether a process has the write end of the liveness pipe open. If that can't be read, it has not.
bool has_write_end(pid_t pid, int pipe) {
  const auto status = sys::status_of(pipe);
  const auto descriptors = sys::descriptors_of(pid).value_or(std::vector<sys::OpenDescriptor>());
  return status &&
         std::any_of(descriptors.begin(), descriptors.end(),
                     [&status](const sys::OpenDescriptor& descriptor) { return is_write_end(descriptor, status->id); });
}

}  // namespace

Job::Job(int pipe, pid_t grex_lock) : pipe_(pipe), own_name_(sys::command_name_of(sys::own_process)) {
  auto process = sys::open_process(grex_lock);
  // If it ended before it was opened, another process has its number, or none. If it ended before
  // this process asked for its parent, that is init, or whatever adopts: all below is another's.
  if (!process || sys::parent_pid() != grex_lock || !has_write_end(grex_lock, pipe)) return;
  grex_lock_ = {grex_lock, std::move(*process)};
  others_ = sys::children_with_start(grex_lock);
}

void Job::include_earlier() {
  std::erase_if(others_, [](const auto& process) { return process.pid != sys::own_pid(); });
}

void Job::set_command(pid_t pid, UniqueFd process) { noted_.push_back({pid, std::move(process)}); }

void Job::forget_ended() {
  std::erase_if(noted_, [](const Noted& noted) { return has_process_ended(noted.process); });
}

bool Job::runs_grex_lock() const { return !has_process_ended(grex_lock_.process); }

bool Job::is_noted(pid_t pid) const {
  return std::any_of(noted_.begin(), noted_.end(), [pid](const Noted& noted) { return noted.pid == pid; });
}

void Job::note(const sys::NumberedProcess& process) {
  if (is_noted(process.pid) || process.pid == sys::own_pid()) return;
  if (sys::command_name_of(process.pid) == own_name_) return;
  UniqueFd opened = sys::open_numbered(process);
  if (opened.is_open()) noted_.push_back({process.pid, std::move(opened)});
}

void Job::note_descendants() {
  forget_ended();
  if (sys::own_pid_in_proc() != sys::own_pid()) return;
  const auto running = sys::running_processes();
  std::vector<pid_t> roots;
  if (runs_grex_lock()) roots.push_back(grex_lock_.pid);
  for (const Noted& noted : noted_) roots.push_back(noted.pid);
  for (const auto& process : sys::descendants_of(roots, others_, running)) note(process);
}

void Job::note_by_pipe() {
  const auto pipe = sys::status_of(pipe_);
  if (!pipe || sys::own_pid_in_proc() != sys::own_pid()) return;
  forget_ended();
  const bool must_skip = runs_grex_lock();
  for (const auto& [pid, process] : sys::running_processes()) {
    if ((must_skip && pid == grex_lock_.pid) || is_noted(pid)) continue;
    const auto descriptors = sys::descriptors_of(pid).value_or(std::vector<sys::OpenDescriptor>());
    const auto is_open = [&](const sys::OpenDescriptor& descriptor) { return is_write_end(descriptor, pipe->id); };
    if (std::any_of(descriptors.begin(), descriptors.end(), is_open)) note({pid, process.started});
  }
}

void Job::send(int signal) const {
  for (const Noted& noted : noted_) {
    (void)sys::signal_process(noted.process.get(), signal);
    if (signal == SIGTERM) (void)sys::signal_process(noted.process.get(), SIGCONT);
  }
}

bool Job::has_ended() {
  forget_ended();
  return noted_.empty();
}

std::vector<int> Job::pidfds() const {
  std::vector<int> fds;
  for (const Noted& noted : noted_) fds.push_back(noted.process.get());
  return fds;
}

}  // namespace grex::etcd
