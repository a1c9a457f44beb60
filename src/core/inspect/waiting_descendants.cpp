#include "core/inspect/waiting_descendants.hpp"

#include <algorithm>
#include <utility>

#include "core/inspect/descriptor_locks.hpp"
#include "core/inspect/process_numbers.hpp"
#include "sys/process/proc.hpp"
#include "sys/process/proc_text.hpp"

namespace grex::core {
namespace {

bool has_timer(pid_t pid) { return !sys::process_file(pid, "timers").value_or("").empty(); }

ParentFacts read_facts(pid_t pid) {
  ParentFacts facts;
  facts.name = sys::command_name_of(pid);
  facts.threads = sys::thread_count(pid).value_or(0);
  facts.wait_channel = sys::process_file(pid, "wchan").value_or("");
  facts.children = children_but_keepers(pid);
  facts.has_timer = has_timer(pid);
  return facts;
}

// The file for which the kernel lists this wait. It has shown the same number for another
// one, if the process has it open and not ours.
const LockedFile* awaited_file(const KernelLock& wait, const std::vector<LockedFile>& files,
                               const StopToken& should_stop) {
  for (const LockedFile& locked : files) {
    const bool conflicts = wait.mode == sys::Mode::exclusive || locked.mode == sys::Mode::exclusive;
    if (wait.file != locked.listed || !conflicts) continue;
    const auto descriptors = sys::descriptors_of(wait.pid, should_stop);
    const auto is_it = [&locked](const sys::OpenDescriptor& open) { return open.file == locked.file; };
    const bool has_it =
        descriptors ? std::any_of(descriptors->begin(), descriptors->end(), is_it) : locked.file == locked.listed;
    if (has_it) return &locked;
  }
  return nullptr;
}

// Whether the wait ends by itself: flock(1) and grex-lock have a timer for that. Another
// thread of another program may have one for something else.
bool ends_by_itself(pid_t pid) {
  return has_timer(pid) && (sys::thread_count(pid).value_or(0) <= 1 || sys::command_name_of(pid) == "grex-lock");
}

// From the process to the root; empty if it is neither the root nor below it.
std::vector<pid_t> path_to_root(pid_t pid, pid_t root) {
  std::vector<pid_t> path = {pid};
  const std::vector<pid_t> above = ancestors(pid);
  path.insert(path.end(), above.begin(), above.end());
  const auto at = std::find(path.begin(), path.end(), root);
  if (at == path.end()) return {};
  path.erase(at + 1, path.end());
  return path;
}

bool root_waits_for(const std::vector<pid_t>& path) {
  for (std::size_t i = 1; i < path.size(); ++i) {
    if (!waits_for_child(read_facts(path[i]), path[i - 1])) return false;
  }
  return true;
}

}  // namespace

std::vector<LockedFile> locked_files(const std::vector<HeldLock>& locks) {
  std::vector<LockedFile> files;
  const auto add = [&files](const HeldFile& held, sys::Mode mode) {
    const auto shown = locks_on({sys::own_process, held.file.fd.get(), held.file.id});
    if (shown && !shown->empty()) files.push_back({held.path, held.file.id, shown->front().file, mode});
  };
  for (const HeldLock& lock : locks) {
    for (const HeldFile& held : lock.files()) add(held, lock.mode());
    for (const RestoredFile& restored : lock.restored()) add(restored.file, lock.mode());
  }
  return files;
}

std::vector<WaitingDescendant> find_waiting_descendants(const std::vector<LockedFile>& files, pid_t root,
                                                        const StopToken& should_stop) {
  std::vector<WaitingDescendant> found;
  for (const KernelLock& wait : parse_lock_table(sys::lock_table_text(should_stop).text)) {
    const auto is_awaited = [&wait](const LockedFile& locked) { return locked.listed == wait.file; };
    if (is_holder(wait) || wait.pid <= 0 || std::none_of(files.begin(), files.end(), is_awaited)) continue;
    if (should_stop() || sys::own_pid_in_proc() != sys::own_pid()) return {};
    const auto is_it = [&wait](const WaitingDescendant& other) { return other.pid == wait.pid; };
    if (std::any_of(found.begin(), found.end(), is_it)) continue;
    const std::vector<pid_t> path = path_to_root(wait.pid, root);
    const LockedFile* const awaited = path.empty() ? nullptr : awaited_file(wait, files, should_stop);
    if (awaited == nullptr || ends_by_itself(wait.pid)) continue;
    const bool is_waited_for = root_waits_for(path);
    if (!is_waited_for && sys::session_of(wait.pid) != sys::session_of(root)) continue;
    const auto started = sys::parse_start_time(sys::process_file(wait.pid, "stat").value_or(""));
    found.push_back({wait.pid, started, awaited->path, is_waited_for});
  }
  return found;
}

std::vector<pid_t> waiting_for(pid_t pid) {
  std::vector<pid_t> found = {pid};
  for (const pid_t parent : ancestors(pid)) {
    if (!waits_for_child(read_facts(parent), found.back())) break;
    found.push_back(parent);
  }
  return found;
}

bool waits_for_child(const ParentFacts& parent, pid_t child) {
  if (parent.children != std::vector<pid_t>{child}) return false;
  if (parent.name == "grex-lock") return true;
  const bool sleeps =
      parent.wait_channel.starts_with("do_wait") || parent.wait_channel.find("sigsuspend") != std::string::npos;
  // timeout(1) has a timer; on a kernel that doesn't show it, the name is all there is.
  return sleeps && parent.threads == 1 && !parent.has_timer && parent.name != "timeout";
}

}  // namespace grex::core
