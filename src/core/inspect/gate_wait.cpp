#include "core/inspect/gate_wait.hpp"

#include <algorithm>
#include <chrono>
#include <vector>

#include "base/stop_token.hpp"
#include "core/inspect/descriptor_locks.hpp"
#include "core/inspect/kernel_view.hpp"
#include "core/inspect/process_numbers.hpp"
#include "sys/process/proc.hpp"

namespace grex::core {
namespace {

std::vector<sys::FileId> files_of(const Target& target) {
  std::vector<sys::FileId> files;
  for (const TargetFile& file : target.files) {
    for (const sys::FileId id : existing_files(target, file)) files.push_back(id);
  }
  return files;
}

// By inode: the kernel's list may have another number for the device (btrfs, overlay).
bool is_on_one_of(const KernelLock& lock, const std::vector<sys::FileId>& files) {
  return std::any_of(files.begin(), files.end(), [&lock](sys::FileId file) { return file.ino == lock.file.ino; });
}

// Whether the process that has the gate waits for one of the files.
bool has_waiter_in(sys::FileId gate, const std::vector<sys::FileId>& files, const KernelView& view) {
  const auto& all = view.all();
  return std::any_of(all.begin(), all.end(), [&](const KernelLock& held) {
    if (!is_holder(held) || held.mode != sys::Mode::exclusive || held.pid <= 0 || held.file.ino != gate.ino) {
      return false;
    }
    return std::any_of(all.begin(), all.end(), [&](const KernelLock& wait) {
      return !is_holder(wait) && wait.pid == held.pid && wait.file.dev == held.file.dev && is_on_one_of(wait, files);
    });
  });
}

// Whether a process has one of these files locked, or one of this tier or a higher one.
bool holds(pid_t pid, const std::vector<sys::FileId>& files, Tier tier, const StopToken& should_stop) {
  const auto descriptors = sys::descriptors_of(pid, should_stop);
  if (!descriptors) return false;
  return std::any_of(descriptors->begin(), descriptors->end(), [&](const sys::OpenDescriptor& open) {
    bool is_of_interest = std::find(files.begin(), files.end(), open.file) != files.end();
    if (!is_of_interest && open.is_regular) {
      const auto path = sys::path_of(open);
      const auto found = path ? tier_of_lock_file(*path) : std::nullopt;
      is_of_interest = found && ordinal_of(*found) >= ordinal_of(tier);
    }
    const auto locks = is_of_interest ? locks_on(open) : std::nullopt;
    return locks && !locks->empty();
  });
}

}  // namespace

bool must_wait_at_gate(const Target& target, sys::FileId gate) {
  const StopToken should_stop = stop_after(std::chrono::seconds(1));
  const std::vector<sys::FileId> files = files_of(target);
  const KernelView view = KernelView::take_stable(should_stop);
  if (!has_waiter_in(gate, files, view)) return false;
  if (holds(sys::own_process, files, target.tier(), should_stop)) return false;
  const std::vector<pid_t> above = ancestors(sys::own_process);
  const auto is_above = [&above](const KernelLock& lock) {
    return is_holder(lock) && std::find(above.begin(), above.end(), lock.pid) != above.end();
  };
  const auto& all = view.all();
  const bool is_listed = std::any_of(
      all.begin(), all.end(), [&](const KernelLock& lock) { return is_above(lock) && is_on_one_of(lock, files); });
  const auto has_one = [&](pid_t pid) { return holds(pid, files, target.tier(), should_stop); };
  return !is_listed && std::none_of(above.begin(), above.end(), has_one) && !should_stop();
}

}  // namespace grex::core
