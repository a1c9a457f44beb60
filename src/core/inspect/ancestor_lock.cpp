#include "core/inspect/ancestor_lock.hpp"

#include <algorithm>
#include <set>

#include "core/inspect/descriptor_locks.hpp"
#include "core/inspect/kernel_view.hpp"
#include "core/inspect/process_numbers.hpp"
#include "sys/process/proc.hpp"
#include "sys/process/proc_text.hpp"
#include "sys/process/process_memory.hpp"

namespace grex::core {
namespace {

using By = AncestorLock::By;

// What is searched for.
struct Wanted {
  const std::vector<sys::FileId>& files;
  sys::Mode mode;

  [[nodiscard]] bool is_among(sys::FileId file) const {
    return std::find(files.begin(), files.end(), file) != files.end();
  }
  [[nodiscard]] bool conflicts_with(sys::Mode other) const {
    return mode == sys::Mode::exclusive || other == sys::Mode::exclusive;
  }
};

// The lock of a wanted file that a process has on one of its descriptors, as one that it has
// inherited.
std::optional<AncestorLock> find_lock_of(pid_t pid, const Wanted& wanted, const StopToken& should_stop) {
  const auto descriptors = sys::descriptors_of(pid, should_stop);
  if (!descriptors) return std::nullopt;
  for (const sys::OpenDescriptor& open : *descriptors) {
    if (!wanted.is_among(open.file)) continue;
    const auto locks = locks_on(open);
    if (!locks || locks->empty() || !wanted.conflicts_with(locks->front().mode)) continue;
    AncestorLock lock;
    lock.file = open.file;
    lock.path = sys::path_of(open).value_or("");
    lock.mode = locks->front().mode;
    lock.holder = locks->front().pid;
    lock.descriptor = open.number;
    return lock;
  }
  return std::nullopt;
}

std::optional<AncestorLock> find_above(const Wanted& wanted, const std::vector<pid_t>& above,
                                       const StopToken& should_stop) {
  std::optional<AncestorLock> probable;
  for (const pid_t pid : above) {
    if (should_stop()) break;
    if (!is_ours_or_roots(pid)) continue;
    auto lock = find_lock_of(pid, wanted, should_stop);
    if (!lock) continue;
    lock->holder = pid;
    lock->by = is_waiting_tool(pid) ? By::waiting_tool : By::ancestor;
    if (is_certain(*lock)) return lock;
    if (!probable) probable = std::move(lock);
  }
  return probable;
}

// The processes that the kernel lists as holders of files with these inode numbers. The list
// may have another device.
std::set<pid_t> listed_holders(const Wanted& wanted, const StopToken& should_stop) {
  const KernelView view = KernelView::take_stable(should_stop);
  std::set<pid_t> pids;
  for (const KernelLock& lock : view.all()) {
    const auto has_inode = [&lock](sys::FileId file) { return file.ino == lock.file.ino; };
    const bool is_wanted = std::any_of(wanted.files.begin(), wanted.files.end(), has_inode);
    if (is_wanted && is_holder(lock) && lock.pid > 0) pids.insert(lock.pid);
  }
  return pids;
}

std::optional<AncestorLock> find_hold(const Wanted& wanted, std::vector<pid_t> family, const WatchedPid& watched_pid,
                                      const StopToken& should_stop) {
  const auto self = sys::own_pid_in_proc();
  if (!self || *self != sys::own_pid()) return std::nullopt;  // numbers mean something else in /proc
  family.push_back(*self);
  for (const pid_t pid : listed_holders(wanted, should_stop)) {
    if (should_stop()) break;
    auto lock = find_lock_of(pid, wanted, should_stop);
    const auto watched = lock ? watched_by(pid, watched_pid) : std::nullopt;
    if (!watched || std::find(family.begin(), family.end(), *watched) == family.end()) continue;
    lock->by = By::hold;
    lock->holder = pid;
    lock->ancestor = *watched;
    return lock;
  }
  return std::nullopt;
}

}  // namespace

bool is_waiting_tool(pid_t pid) {
  const std::string name = sys::command_name_of(pid);
  const auto program = sys::program_of(pid);
  return name == "flock" || name == "grex-lock" || (program && program == sys::program_of(sys::own_process));
}

std::optional<AncestorLock> find_ancestor_lock(const std::vector<sys::FileId>& files, sys::Mode mode,
                                               const WatchedPid& watched_pid, const StopToken& should_stop) {
  const Wanted wanted = {files, mode};
  if (files.empty()) return std::nullopt;
  if (auto inherited = find_lock_of(sys::own_process, wanted, should_stop)) return inherited;
  const std::vector<pid_t> above = ancestors(sys::own_process);
  if (auto lock = find_above(wanted, above, should_stop)) return lock;
  return find_hold(wanted, above, watched_pid, should_stop);
}

}  // namespace grex::core
