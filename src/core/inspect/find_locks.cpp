#include "core/inspect/find_locks.hpp"

#include <algorithm>
#include <cerrno>
#include <map>
#include <numeric>
#include <set>
#include <tuple>

#include "base/text.hpp"
#include "core/inspect/descriptor_locks.hpp"
#include "core/inspect/kernel_view.hpp"
#include "core/lock/target.hpp"
#include "sys/file/walk.hpp"
#include "sys/process/proc.hpp"

namespace grex::core {
namespace {

// Finds the slots that exist; if they can't be listed, the first `slots` ones.
void find_slots(FoundLock& lock, const TargetFile& file, unsigned slots) {
  const auto existing = existing_slots(file);
  if (!existing) lock.why_incomplete = at_path(existing.error(), slot_path(file, 0));
  std::vector<unsigned> numbers(existing ? existing->numbers : std::vector<unsigned>(slots));
  if (!existing) std::iota(numbers.begin(), numbers.end(), 0U);
  for (const unsigned slot : numbers) lock.files.push_back({slot_path(file, slot), file.layout, slot});
  for (const unsigned queue : existing ? existing->queues : std::vector<unsigned>()) {
    lock.files.push_back({queue_path(file, queue), file.layout});
  }
}

FoundLock lock_at(const Target& target, unsigned slots) {
  FoundLock lock{target.tier(), target.path, target.shown_path(), {}};
  for (const TargetFile& file : target.files) {
    if (target.tier() == Tier::semaphore) {
      find_slots(lock, file, slots);
    } else {
      lock.files.push_back({file.path(0), file.layout});
    }
  }
  return lock;
}

// "/" has no backend lock, and in the nested layout, neither has a path without a meta
// directory above it.
Result<std::vector<Target>> find_targets(const std::string& path, const Layouts& layouts) {
  std::vector<Target> targets;
  for (const Tier tier : all_tiers) {
    // One slot is enough to find the directory; the others are listed from there.
    auto target = resolve({.tier = tier, .path = path, .layouts = layouts});
    if (target) {
      targets.push_back(std::move(*target));
    } else if (target.error().err != ENOENT && target.error().op != find_meta) {
      return target.error();
    }
  }
  return targets;
}

bool has_file(const Target& target) {
  return std::any_of(target.files.begin(), target.files.end(),
                     [&target](const TargetFile& file) { return !existing_files(target, file).empty(); });
}

struct PlacedFile {
  LockPlace place;
  std::string path;
};

auto lock_of(const PlacedFile& file) {
  return std::tuple(std::string_view(file.place.target), ordinal_of(file.place.tier), file.place.is_old);
}

// Queue files come after the slots.
bool comes_before(const PlacedFile& a, const PlacedFile& b) {
  const auto whole = [](const PlacedFile& file) {
    return std::tuple(lock_of(file), file.place.layout, !file.place.slot, file.place.slot.value_or(0),
                      std::string_view(file.path));
  };
  return whole(a) < whole(b);
}

// Combines the files of each lock.
std::vector<FoundLock> grouped(std::vector<PlacedFile> files) {
  std::sort(files.begin(), files.end(), comes_before);
  std::vector<FoundLock> locks;
  const PlacedFile* last = nullptr;
  for (const PlacedFile& file : files) {
    if (last == nullptr || lock_of(*last) != lock_of(file)) {
      locks.push_back({file.place.tier, file.place.target, file.path, {}});
      locks.back().is_old = file.place.is_old;
    }
    locks.back().files.push_back({file.path, file.place.layout, file.place.slot});
    last = &file;
  }
  return locks;
}

std::string in_root_of(pid_t pid, const std::string& path) { return "/proc/" + std::to_string(pid) + "/root" + path; }

// The path by which an open file is reached from here; empty if it has none, for example
// because it was removed, or if it is not a lock file of grex.
std::string reachable_name(const sys::OpenDescriptor& open) {
  const std::string name = sys::path_of(open);
  if (!lock_place_of(name)) return {};
  for (const std::string& path : {name, in_root_of(open.pid, name)}) {
    const auto status = sys::status_of(path);
    if (status && status->type == sys::FileType::regular && status->id == open.file) return path;
  }
  return {};
}

// Counts files that are locked now, and were before, but that no process was seen to have
// open.
std::size_t count_unnamed(const KernelView& before, const KernelView& now, const std::set<sys::FileId>& seen) {
  std::set<sys::FileId> unseen;
  for (const KernelLock& lock : now.all()) {
    if (!seen.contains(lock.file) && !before.on(lock.file).empty()) unseen.insert(lock.file);
  }
  return unseen.size();
}

// Adds the number by which the kernel lists a file. If stat(2) shows another one, the
// descriptor itself shows it.
void add_number(const sys::OpenDescriptor& open, const std::set<std::uint64_t>& locked_inodes,
                std::set<sys::FileId>& seen) {
  seen.insert(open.file);
  if (!locked_inodes.contains(open.file.ino)) return;
  for (const KernelLock& lock : locks_on(open).value_or(std::vector<KernelLock>())) seen.insert(lock.file);
}

// Whether two mounts, by their places, are of one file system.
bool are_of_one_file_system(const sys::Place& a, const sys::Place& b, const std::vector<Mount>& mounts) {
  const Mount* const first = find_mount(a.mount, mounts);
  const Mount* const second = find_mount(b.mount, mounts);
  return first != nullptr && second != nullptr && first->device == second->device;
}

}  // namespace

Result<std::vector<FoundLock>> locks_of(const std::string& path, const Layouts& layouts, unsigned slots) {
  const auto itself = sys::open_directory(path);
  const bool is_missing = !itself && itself.error().err == ENOENT;
  if (!itself && !is_missing) return itself.error();
  const auto targets = find_targets(path, layouts);
  if (!targets) return targets.error();
  std::vector<FoundLock> locks;
  for (const Target& target : *targets) {
    if (!is_missing || has_file(target)) locks.push_back(lock_at(target, slots));
  }
  if (locks.empty()) return itself.error();  // it is missing: every directory, even "/", has locks
  return locks;
}

Result<std::vector<FoundLock>> locks_below(const std::string& directory, const SearchObserver& observer) {
  const auto top = sys::open_directory(directory);
  if (!top) return top.error();
  std::vector<PlacedFile> files;
  std::size_t directories = 0;
  std::optional<std::vector<Mount>> mounts;
  const sys::TreeVisitor visitor = {
      .enters = [](std::string_view name) { return name != ".git"; },
      .enters_mount =
          [&](const std::string& mounted, const sys::Place& place, const sys::Place& above) {
            if (!mounts) mounts = visible_mounts();
            if (are_of_one_file_system(place, above, *mounts)) return true;
            observer.on_other_file_system(mounted);
            return false;
          },
      .on_directory = [&](const std::string&) { return observer.on_progress(++directories, files.size()); },
      .on_file =
          [&](const std::string& parent, std::string_view name) {
            if (!may_be_lock_file(name)) return;
            std::string path = path_in(parent, name);
            if (auto place = lock_place_of(path)) files.push_back({std::move(*place), std::move(path)});
          },
      .on_unreadable = observer.on_unreadable,
  };
  if (auto walked = sys::walk_tree(top->path, visitor); !walked) return walked.error();
  return grouped(std::move(files));
}

LocksInUse locks_in_use(const StopToken& should_stop) {
  const KernelView before = KernelView::take_stable(should_stop);
  std::set<std::uint64_t> locked_inodes;
  for (const KernelLock& lock : before.all()) locked_inodes.insert(lock.file.ino);
  std::map<sys::FileId, std::string> names;  // one name per file, even if it has several
  std::set<sys::FileId> seen;
  bool saw_every_process = true;
  for (const pid_t pid : sys::processes().value_or(std::vector<pid_t>())) {
    if (should_stop()) break;
    const auto descriptors = sys::descriptors_of(pid, should_stop);
    if (!descriptors) {
      saw_every_process = false;
      continue;
    }
    for (const sys::OpenDescriptor& open : *descriptors) {
      if (open.file == sys::FileId{}) saw_every_process = false;
      add_number(open, locked_inodes, seen);
      if (!open.is_regular || names.contains(open.file)) continue;
      if (std::string name = reachable_name(open); !name.empty()) names.emplace(open.file, std::move(name));
    }
  }
  std::vector<PlacedFile> files;
  files.reserve(names.size());
  for (const auto& [id, name] : names) files.push_back({*lock_place_of(name), name});
  const KernelView now = KernelView::take_stable(should_stop);
  const bool is_inconsistent = before.is_inconsistent() || now.is_inconsistent();
  return {grouped(std::move(files)), count_unnamed(before, now, seen), is_inconsistent && !saw_every_process,
          !now.sees_every_process()};
}

}  // namespace grex::core
