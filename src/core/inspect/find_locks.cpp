#include "core/inspect/find_locks.hpp"

#include <algorithm>
#include <cerrno>
#include <map>
#include <memory>
#include <numeric>
#include <set>
#include <tuple>

#include "base/text.hpp"
#include "core/inspect/descriptor_locks.hpp"
#include "core/inspect/each_process.hpp"
#include "core/inspect/file_system.hpp"
#include "core/inspect/kernel_view.hpp"
#include "core/inspect/process_numbers.hpp"
#include "core/lock/target.hpp"
#include "sys/file/walk.hpp"
#include "sys/process/proc.hpp"

namespace grex::core {
namespace {

// Finds the slots that exist; if they can't be listed, the first `slots` ones.
void find_slots(FoundLock& lock, const TargetFile& file, unsigned slots) {
  const auto existing = existing_slots(file);
  if (!existing) lock.why_incomplete = existing.error();
  std::vector<unsigned> numbers(existing ? existing->numbers : std::vector<unsigned>(slots));
  if (!existing) std::iota(numbers.begin(), numbers.end(), 0U);
  for (const unsigned slot : numbers) lock.files.push_back({{slot_file(file, slot)}, file.layout, slot});
  for (const unsigned queue : existing ? existing->queues : std::vector<unsigned>()) {
    lock.files.push_back({{queue_file(file, queue)}, file.layout});
  }
}

FoundLock lock_at(const Target& target, unsigned slots) {
  FoundLock lock{target.tier(), target.path, target.shown_path(), {}};
  for (const TargetFile& file : target.files) {
    if (target.tier() == Tier::semaphore) {
      find_slots(lock, file, slots);
    } else {
      lock.files.push_back({{file.name_at(0)}, file.layout});
    }
  }
  return lock;
}

// The locks of a path, which is `directory` if it exists. "/" has no backend lock, and in the
// nested layout, neither has a path without a meta directory above it.
Result<std::vector<Target>> find_targets(const std::string& path,
                                         const std::shared_ptr<const sys::Directory>& directory,
                                         const Layouts& layouts) {
  std::vector<Target> targets;
  for (const Tier tier : all_tiers) {
    // One slot is enough to find the directory; the others are listed from there.
    const LockRequest request = {.tier = tier, .path = path, .layouts = layouts};
    if (!directory && !is_sibling_lock(tier)) continue;
    auto target = directory ? resolve_in(directory, request) : resolve(request);
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
  FileToInspect file;
};

auto lock_of(const PlacedFile& file) {
  return std::tuple(std::string_view(file.place.target), ordinal_of(file.place.tier), file.place.is_old);
}

// Queue files come after the slots.
bool comes_before(const PlacedFile* a, const PlacedFile* b) {
  const auto whole = [](const PlacedFile& file) {
    return std::tuple(lock_of(file), file.place.layout, !file.place.slot, file.place.slot.value_or(0),
                      std::string_view(file.path));
  };
  return whole(*a) < whole(*b);
}

// Combines the files of each lock.
std::vector<FoundLock> grouped(std::vector<PlacedFile> files) {
  std::vector<PlacedFile*> order;
  order.reserve(files.size());
  for (PlacedFile& file : files) order.push_back(&file);
  std::sort(order.begin(), order.end(), comes_before);
  std::vector<FoundLock> locks;
  locks.reserve(files.size());
  const PlacedFile* last = nullptr;
  for (PlacedFile* const file : order) {
    if (last == nullptr || lock_of(*last) != lock_of(*file)) {
      locks.push_back({file->place.tier, file->place.target, file->path, {}});
      locks.back().is_old = file->place.is_old;
    }
    locks.back().files.push_back({std::move(file->file), file->place.layout, file->place.slot});
    last = file;
  }
  return locks;
}

// The path by which an open file is reached from here.
struct Name {
  std::string path;          // empty if it has none, for example because it was removed
  bool is_believed = false;  // it was not looked up
};

bool leads_to(const std::string& path, sys::FileId file) {
  const auto status = sys::status_of_lock_file(path);
  return status && status->type == sys::FileType::regular && status->id == file;
}

// `name` is the kernel's for the open file. Looks up nothing where that may take forever.
Name reachable_name(const sys::OpenDescriptor& open, const std::string& name, const std::vector<Mount>& mounts) {
  if (may_never_answer(name, mounts, MountsOf::this_process)) {
    if (leads_through(name, open.file.dev, mounts)) return {name, true};
  } else if (leads_to(name, open.file)) {
    return {name};
  }
  // In another mount namespace, another file has this name.
  const std::string there = sys::in_root_of(open.pid, name);
  if (may_never_answer(name, mounts_of(open.pid), MountsOf::another)) {
    const bool is_ours = sys::process_link(open.pid, "ns/mnt") == sys::process_link(sys::own_process, "ns/mnt");
    return is_ours ? Name{} : Name{there, true};
  }
  return leads_to(there, open.file) ? Name{there} : Name{};
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

// What the processes of this machine have open.
class OpenFiles {
 public:
  explicit OpenFiles(const KernelView& view) {
    for (const KernelLock& lock : view.all()) locked_inodes_.insert(lock.file.ino);
  }

  // Adds those of a process; false if it is gone.
  bool add_all(pid_t pid, const StopToken& should_stop) {
    const auto descriptors = sys::descriptors_of(pid, should_stop);
    const bool is_gone = !descriptors && presence_of(pid, Numbering::in_proc) == Presence::gone;
    bool was_read = descriptors || is_gone;
    for (const sys::OpenDescriptor& open : descriptors.value_or(std::vector<sys::OpenDescriptor>())) {
      was_read = add(open);
      if (!was_read) break;
    }
    has_all_ = has_all_ && was_read;
    return !is_gone;
  }

  [[nodiscard]] const std::set<sys::FileId>& seen() const { return seen_; }
  [[nodiscard]] bool has_all() const { return has_all_; }  // no process could not be inspected

  // Locked files to which no name leads.
  [[nodiscard]] std::size_t count_unreachable() const {
    return static_cast<std::size_t>(
        std::count_if(nameless_.begin(), nameless_.end(), [this](sys::FileId file) { return !names_.contains(file); }));
  }

  [[nodiscard]] std::vector<PlacedFile> lock_files() const {
    std::vector<PlacedFile> files;
    files.reserve(names_.size());
    for (const auto& [id, name] : names_) {
      FileToInspect file{name.path};
      file.may_never_answer = name.is_believed;
      if (name.is_believed) file.status = sys::FileStatus{sys::FileType::regular, id};
      files.push_back({*lock_place_of(name.path), name.path, std::move(file)});
    }
    return files;
  }

 private:
  // Returns whether it may be inspected.
  bool add(sys::OpenDescriptor open) {
    // If stat(2) fails or shows another number than the kernel's list, the descriptor itself
    // shows that.
    const bool is_hidden = open.file == sys::FileId{};
    bool is_locked = false;
    if (is_hidden || locked_inodes_.contains(open.file.ino)) {
      const auto locks = locks_on(open);
      if (is_hidden && !locks) return false;
      is_locked = locks && !locks->empty();
      for (const KernelLock& lock : locks.value_or(std::vector<KernelLock>())) seen_.insert(lock.file);
      if (is_hidden && !locks->empty()) open = {open.pid, open.number, locks->front().file, true};
    }
    seen_.insert(open.file);
    if (open.is_regular && !names_.contains(open.file)) add_name(open, is_locked);
    return true;
  }

  void add_name(const sys::OpenDescriptor& open, bool is_locked) {
    const auto name = sys::path_of(open);
    if (name && !lock_place_of(*name)) return;
    Name reached = name ? reachable_name(open, *name, mounts_) : Name{};
    if (!reached.path.empty()) {
      names_.emplace(open.file, std::move(reached));
    } else if (is_locked && sys::path_of(open) == name) {  // else it was removed or closed in the meantime
      nameless_.insert(open.file);
    }
  }

  std::vector<Mount> mounts_ = visible_mounts();
  std::set<std::uint64_t> locked_inodes_;
  std::map<sys::FileId, Name> names_;  // one name per file, even if it has several
  std::set<sys::FileId> nameless_;     // locked files that were not reached by some process's name
  std::set<sys::FileId> seen_;
  bool has_all_ = true;
};

// Whether two mounts, by their places, are of one file system.
bool are_of_one_file_system(const sys::Place& a, const sys::Place& b, const std::vector<Mount>& mounts) {
  const Mount* const first = find_mount(a.mount, mounts);
  const Mount* const second = find_mount(b.mount, mounts);
  return first != nullptr && second != nullptr && first->device == second->device;
}

}  // namespace

Result<std::vector<FoundLock>> locks_of(const std::string& path, const Layouts& layouts, unsigned slots) {
  auto itself = sys::open_directory(path);
  const bool is_missing = !itself && itself.error().err == ENOENT;
  if (!itself && !is_missing) return itself.error();
  const auto directory = itself ? std::make_shared<const sys::Directory>(std::move(*itself)) : nullptr;
  const auto targets = find_targets(path, directory, layouts);
  if (!targets) return targets.error();
  std::vector<FoundLock> locks;
  for (const Target& target : *targets) {
    if (!is_missing || has_file(target)) locks.push_back(lock_at(target, slots));
  }
  if (locks.empty()) return itself.error();  // it is missing: every directory, even "/", has locks
  return locks;
}

Result<std::vector<FoundLock>> locks_below(const std::string& directory, const SearchObserver& observer) {
  auto opened = sys::open_directory(directory);
  if (!opened) return opened.error();
  const auto top = std::make_shared<const sys::Directory>(std::move(*opened));
  const std::size_t name_start = path_in(top->path, "").size();
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
          [&](int fd, const std::string& parent, std::string_view name) {
            if (!may_be_lock_file(name)) return;
            std::string path = path_in(parent, name);
            auto place = lock_place_of(path);
            if (!place) return;
            sys::LockFileName below_top(top, path.substr(name_start));
            // From here on, only the files that are in use, or have a record, are looked up again.
            const auto status = sys::status_at(fd, std::string(name));
            const auto known = status ? std::optional(*status) : std::nullopt;
            files.push_back({std::move(*place), std::move(path), {std::move(below_top), known}});
          },
      .on_unreadable = observer.on_unreadable,
  };
  if (auto walked = sys::walk_tree(*top, visitor); !walked) return walked.error();
  return grouped(std::move(files));
}

LocksInUse locks_in_use(const StopToken& should_stop) {
  const KernelView before = KernelView::take_stable(should_stop);
  OpenFiles open_files(before);
  const bool is_complete =
      for_each_process([&](pid_t pid) { return open_files.add_all(pid, should_stop); }, should_stop);
  const bool may_lack_some = !is_complete || !open_files.has_all() || may_hide_processes();
  const KernelView now = KernelView::take_stable(should_stop);
  const bool is_inconsistent = before.is_inconsistent() || now.is_inconsistent();
  return {grouped(open_files.lock_files()), count_unnamed(before, now, open_files.seen()),
          open_files.count_unreachable(),   may_lack_some,
          is_inconsistent && may_lack_some, !now.sees_every_process()};
}

}  // namespace grex::core
