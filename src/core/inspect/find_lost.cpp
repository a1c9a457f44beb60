#include "core/inspect/find_lost.hpp"

#include <algorithm>
#include <cstddef>
#include <set>
#include <utility>

#include "base/text.hpp"
#include "core/inspect/descriptor_locks.hpp"
#include "core/inspect/each_process.hpp"
#include "core/inspect/find_holds.hpp"
#include "core/inspect/kernel_view.hpp"
#include "core/inspect/process_numbers.hpp"
#include "core/inspect/record_writer.hpp"
#include "sys/file/io.hpp"
#include "sys/process/proc_text.hpp"

namespace grex::core {
namespace {

using Extent = LostScope::Extent;

bool is_queue(const LockPlace& place) { return place.tier == Tier::semaphore && !place.slot; }

// The directory that has to be there for a lock to be one of its target.
std::string guarded_directory(const LockPlace& place) {
  return is_sibling_lock(place.tier) ? place.target.substr(0, place.target.rfind('/')) + "/." : place.target;
}

class LostSearch {
 public:
  LostSearch(const std::vector<WantedLock>& wanted, const std::vector<FileToInspect>& files,
             const std::vector<FileReport>& reports, const KernelView& view, const std::vector<Mount>& mounts,
             const LostScope& scope, const StopToken& should_stop)
      : wanted_(wanted), files_(files), reports_(reports), mounts_(mounts), scope_(scope), should_stop_(should_stop) {
    known_.reserve(reports.size());
    for (const FileReport& report : reports) {
      if (report.file) known_.push_back(report.file->id);
    }
    std::sort(known_.begin(), known_.end());
    for (const KernelLock& lock : view.all()) {
      if (!is_holder(lock) || is_known(lock.file)) continue;
      inodes_.insert(lock.file.ino);
      if (lock.pid > 0) acquirers_.insert(lock.pid);
    }
    has_all_inodes_ = view.has_all();
    has_leases_ = view.has_leases();
  }

  std::vector<FoundLost> find() {
    if (scope_.extent == Extent::all) {
      for_each_process([this](pid_t pid) { return look_at(pid); }, should_stop_);
    } else {
      for (const pid_t pid : acquirers_) {
        if (should_stop_()) break;
        look_at(pid);
      }
    }
    return std::move(found_);
  }

 private:
  [[nodiscard]] bool is_known(sys::FileId file) const { return std::binary_search(known_.begin(), known_.end(), file); }

  // Returns whether the process was still there.
  bool look_at(pid_t pid) {
    if (pid == self_) return true;
    const auto descriptors = sys::descriptors_of(pid, should_stop_);
    if (!descriptors) return presence_of(pid, Numbering::in_proc) != Presence::gone;
    const bool knows_inodes = has_all_inodes_ || scope_.extent != Extent::all;
    for (const sys::OpenDescriptor& open : *descriptors) {
      if (!open.is_regular || is_known(open.file)) continue;
      if (!knows_inodes || inodes_.contains(open.file.ino)) look_at(open);
    }
    return true;
  }

  void look_at(const sys::OpenDescriptor& open) {
    const auto name = sys::path_of(open);
    if (!name) return;
    const auto removed = sys::removed_path(*name);
    if (removed && look_at_removed(open, *name, std::string(*removed))) return;
    if (scope_.extent == Extent::all || !lock_place_of(*name)) look_at_moved(open, *name);
  }

  // Returns whether it was removed from a place that is looked for.
  bool look_at_removed(const sys::OpenDescriptor& open, const std::string& name, const std::string& path) {
    auto place = lock_place_of(path);
    if (!place || !find_target(*place, open.pid)) return false;
    const auto status = sys::status_of(open);
    if (!status || (status->names > 0 && may_be_called(name, open))) return false;
    const auto locks = locks_on(open);
    if (locks && !locks->empty()) add(open, *status, std::move(*place), path, {});
    return true;
  }

  // A record is believed only if the process that has the lock is grex-lock, and wrote it.
  void look_at_moved(const sys::OpenDescriptor& open, const std::string& name) {
    if (!names_grex_lock(sys::process_link(open.pid, "exe").value_or(""))) return;
    if (has_leases_ || may_never_answer(open, mounts_) || !shares_our_paths(open.pid)) return;
    const auto locks = locks_on(open);
    const auto is_its = [&open](const KernelLock& lock) { return lock.pid == open.pid; };
    if (!locks || std::none_of(locks->begin(), locks->end(), is_its)) return;
    const UniqueFd file = sys::open_file_of(open);
    const auto text = file.is_open() ? sys::read_stable_start(file.get(), record_limit + 1) : std::string();
    const auto record = text ? parse_record(*text) : std::nullopt;
    if (!record || record->release || record->path == name || is_writer(*record, open.pid) != Match::yes) return;
    auto place = lock_place_of(record->path);
    if (!place || !find_target(*place, open.pid)) return;
    // As long as its directory has no successor, the whole directory was moved, and the lock with it.
    if (may_never_answer(record->path, mounts_, MountsOf::this_process) ||
        !sys::directory_at(guarded_directory(*place))) {
      return;
    }
    const auto there = sys::status_of(record->path);
    const auto status = sys::status_of(open);
    const bool is_in_place = !there || (there->type != sys::FileType::absent && there->id == open.file);
    if (status && !is_in_place) add(open, *status, std::move(*place), record->path, name);
  }

  void add(const sys::OpenDescriptor& open, const sys::FileStatus& status, LockPlace place, const std::string& was_at,
           const std::string& moved_to) {
    const std::string path =
        is_sibling_lock(place.tier)
            ? was_at
            : path_in(place.target, lock_name(place.layout, place.tier, {}, place.slot.value_or(0)));
    if (!found_at_.emplace(open.file, path).second) return;
    FileToInspect file{place.is_old ? was_at : path, status};
    file.lost = LostFile{open, acquirers_at(path), moved_to};
    found_.push_back({std::move(place), std::move(file)});
  }

  // The processes that took the lock of the file in this place.
  [[nodiscard]] std::set<pid_t> acquirers_at(const std::string& path) const {
    std::set<pid_t> acquirers;
    for (std::size_t i = 0; i < files_.size(); ++i) {
      if (files_[i].name.path() != path) continue;
      for (const LockProcess& holder : reports_[i].holders) {
        if (holder.role == Role::acquirer && holder.pid) acquirers.insert(*holder.pid);
      }
    }
    return acquirers;
  }

  // Whether one of the locks that are looked for has this place. The kernel names that as we
  // see it, or as the other process does: then its target gets our name for it.
  bool find_target(LockPlace& place, pid_t pid) {
    if (is_queue(place)) return false;
    if (shares_our_paths(pid)) {
      if (is_in_scope(place)) return true;
      return !may_never_answer(place.target, mounts_, MountsOf::this_process) && find_same(place, place.target);
    }
    if (may_never_answer(place.target, mounts_of(pid), MountsOf::another)) return false;
    const std::string there = sys::in_root_of(pid, place.target);
    if (find_same(place, there)) return true;
    place.target = there;
    return scope_.of_machine;
  }

  [[nodiscard]] bool is_in_scope(const LockPlace& place) const {
    const auto is_above = [&place](const std::string& directory) {
      return place.target == directory || place.target.starts_with(path_in(directory, ""));
    };
    return scope_.of_machine || std::any_of(scope_.below.begin(), scope_.below.end(), is_above) ||
           std::any_of(wanted_.begin(), wanted_.end(), [&place](const WantedLock& lock) {
             return lock.target == place.target && is_kind_of(lock, place);
           });
  }

  static bool is_kind_of(const WantedLock& lock, const LockPlace& place) {
    if (lock.tier != place.tier || lock.is_old != place.is_old) return false;
    const bool is_any = !has_file_per_layout(lock.tier);
    return is_any || std::find(lock.layouts.begin(), lock.layouts.end(), place.layout) != lock.layouts.end();
  }

  // By another path, the target may be the same directory.
  bool find_same(LockPlace& place, const std::string& path) const {
    const auto directory = sys::directory_at(path);
    if (!directory) return false;
    for (const WantedLock& lock : wanted_) {
      if (!is_kind_of(lock, place) || sys::directory_at(lock.target) != directory) continue;
      place.target = lock.target;
      return true;
    }
    return false;
  }

  // Whether the kernel's names for what a process has open are also its own.
  bool shares_our_paths(pid_t pid) const {
    const auto mounts = sys::process_link(pid, "ns/mnt");
    const auto root = sys::root_of(pid);
    return mounts && mounts == sys::process_link(sys::own_process, "ns/mnt") && root &&
           root == sys::root_of(sys::own_process);
  }

  // Whether a file that seems to be removed has this very name.
  bool may_be_called(const std::string& name, const sys::OpenDescriptor& open) const {
    const bool is_ours = shares_our_paths(open.pid);
    const bool may_block = is_ours ? may_never_answer(name, mounts_, MountsOf::this_process)
                                   : may_never_answer(name, mounts_of(open.pid), MountsOf::another);
    if (may_block) return true;
    const auto there = sys::status_of(is_ours ? name : sys::in_root_of(open.pid, name));
    return !there || (there->type != sys::FileType::absent && there->id == open.file);
  }

  const std::vector<WantedLock>& wanted_;
  const std::vector<FileToInspect>& files_;
  const std::vector<FileReport>& reports_;
  const std::vector<Mount>& mounts_;
  const LostScope& scope_;
  const StopToken& should_stop_;
  const std::optional<pid_t> self_ = sys::own_pid_in_proc();
  std::vector<sys::FileId> known_;  // sorted: a set of thousands takes longer to build
  std::set<std::uint64_t> inodes_;  // of locked files that are not known
  std::set<pid_t> acquirers_;       // that the kernel lists for these
  bool has_all_inodes_ = false;
  bool has_leases_ = false;
  std::set<std::pair<sys::FileId, std::string>> found_at_;
  std::vector<FoundLost> found_;
};

}  // namespace

std::vector<FoundLost> find_lost(const std::vector<WantedLock>& wanted, const std::vector<FileToInspect>& files,
                                 const std::vector<FileReport>& reports, const KernelView& view,
                                 const std::vector<Mount>& mounts, const LostScope& scope,
                                 const StopToken& should_stop) {
  const bool is_needless = scope.extent == Extent::acquirers && view.all().empty();
  if (scope.extent == Extent::none || is_needless) return {};
  return LostSearch(wanted, files, reports, view, mounts, scope, should_stop).find();
}

}  // namespace grex::core
