#include "core/lock/target.hpp"

#include <algorithm>
#include <cerrno>
#include <string_view>
#include <tuple>

#include "base/text.hpp"
#include "core/lock/search_upwards.hpp"
#include "sys/lock/flock.hpp"

namespace grex::core {
namespace {

struct SplitPath {
  std::string parent;
  std::string leaf;
};

// "a/b/" -> "a", "b"; "b" -> ".", "b"; "/b" -> "/", "b"
SplitPath split_path(std::string_view named) {
  const std::string path(without_trailing_slashes(named));
  const auto slash = path.rfind('/');
  if (slash == std::string::npos) return {".", path};
  return {path.substr(0, slash == 0 ? 1 : slash), path.substr(slash + 1)};
}

// Whether a path, or a directory above it, has the name of a lock file or a gate: then nothing is
// created there, and PATH is a mistake.
bool leads_to_lock_file(std::string path) {
  while (!path.empty()) {
    path.resize(without_trailing_slashes(path).size());
    if (tier_of_lock_file(lock_of_gate(path))) return true;
    const auto slash = path.rfind('/');
    path.resize(slash == std::string::npos ? 0 : slash);
  }
  return false;
}

Result<sys::Directory> open_or_create(const std::string& path, CreateTarget create) {
  auto directory = sys::open_directory(path);
  if (directory || create == CreateTarget::no || directory.error().err != ENOENT) return directory;
  if (leads_to_lock_file(path)) return directory;
  if (auto created = sys::create_directories(path); !created) return created.error();
  return sys::open_directory(path);
}

struct Destination {
  sys::Directory parent;
  std::string leaf;
};

Result<Destination> open_destination(const std::string& parent, std::string leaf, const LockRequest& request) {
  auto directory = open_or_create(parent, request.create);
  if (!directory) return directory.error();
  return Destination{std::move(*directory), std::move(leaf)};
}

bool is_name(std::string_view leaf) { return !leaf.empty() && leaf != "." && leaf != ".."; }

Result<Destination> destination_at(const sys::Directory& itself, const LockRequest& request) {
  auto [parent, leaf] = split_path(itself.path);
  if (!is_name(leaf)) return Error{ErrorKind::not_found, no_destination, request.path, ENOENT};
  if (itself.access_path != itself.path) parent = path_in(itself.access_path, "..");
  return open_destination(parent, std::move(leaf), request);
}

// A clone's destination need not exist, but the directory above it must.
Result<Destination> find_destination(const LockRequest& request) {
  const auto itself = sys::open_directory(request.path);
  if (itself) return destination_at(*itself, request);
  if (itself.error().err != ENOENT) return itself.error();
  // A dangling symlink would name another lock once its target exists.
  if (sys::exists(request.path)) return Error{ErrorKind::not_found, "open", request.path, ENOENT};
  if (leads_to_lock_file(request.path)) return itself.error();
  auto [parent, leaf] = split_path(request.path);
  if (!is_name(leaf)) return Error{ErrorKind::not_found, "open", request.path, ENOENT};
  return open_destination(parent, std::move(leaf), request);
}

// The directory that keeps the lock of the clone `path` in the nested layout. The directory
// `parent` is that in which the clone lies.
Result<sys::Directory> find_meta_of(const std::string& path, const sys::Directory& parent) {
  SearchResult search = find_meta_directory(parent);
  if (search.stop) {
    const bool is_unsafe = search.stop->reason == SearchStop::Reason::unsafe;
    return Error{ErrorKind::not_found, find_meta, search.stop->directory, is_unsafe ? EPERM : EACCES};
  }
  // It is not above `path` if it was moved in the meantime.
  const bool is_found = !search.found.empty() && path.starts_with(path_in(search.found.front().path, ""));
  if (!is_found) return Error{ErrorKind::not_found, find_meta, path, ENOENT};
  return std::move(search.found.front());
}

std::shared_ptr<const sys::Directory> shared(sys::Directory directory) {
  return std::make_shared<const sys::Directory>(std::move(directory));
}

Result<TargetFile> nested_sibling(const std::string& path, const sys::Directory& parent, Tier tier) {
  auto meta = find_meta_of(path, parent);
  if (!meta) return meta.error();
  const std::string child = path.substr(path_in(meta->path, "").size());
  return TargetFile{Layout::nested, shared(std::move(*meta)), {lock_name(Layout::nested, tier, child, 0)}};
}

// A clone without a meta directory has no file in the nested layout, so no grex locks one.
Result<Target> resolve_sibling(Result<Destination> destination, const LockRequest& request) {
  if (!destination) return destination.error();
  const auto parent = shared(std::move(destination->parent));
  Target target{request, path_in(parent->path, destination->leaf), {}};
  for (const Layout layout : request.layouts) {
    if (layout == Layout::flat) {
      target.files.push_back({layout, parent, {lock_name(layout, request.tier, destination->leaf, 0)}});
      continue;
    }
    auto file = nested_sibling(target.path, *parent, request.tier);
    if (file) {
      target.files.push_back(std::move(*file));
    } else if (target.files.empty() || file.error().op != find_meta) {
      return file.error();
    } else if (file.error().err != ENOENT) {
      target.stop = file.error();
    }
  }
  return target;
}

Result<Target> resolve_contained(const LockRequest& request) {
  auto opened = open_or_create(request.path, request.create);
  if (!opened) return opened.error();
  return resolve_in(shared(std::move(*opened)), request);
}

// Drops the files that an ancestor has, and takes over what to do if the others are busy.
void keep_choices(const Target& before, Target& renewed) {
  renewed.inherited = before.inherited;
  renewed.is_cluster_inherited = before.is_cluster_inherited;
  std::erase_if(renewed.files, [&before](const TargetFile& file) {
    return std::find(before.inherited.begin(), before.inherited.end(), file.layout) != before.inherited.end();
  });
  for (TargetFile& file : renewed.files) {
    const auto is_it = [&file](const TargetFile& other) { return other.layout == file.layout; };
    const auto same = std::find_if(before.files.begin(), before.files.end(), is_it);
    if (same != before.files.end()) file.if_busy = same->if_busy;
  }
}

}  // namespace

std::vector<sys::LockFileName> TargetFile::full_names() const {
  std::vector<sys::LockFileName> full;
  full.reserve(names.size());
  for (const std::string& name : names) full.emplace_back(directory, name);
  return full;
}

std::vector<std::string> TargetFile::paths() const {
  std::vector<std::string> paths;
  paths.reserve(names.size());
  for (const std::string& name : names) paths.push_back(path_in(directory->path, name));
  return paths;
}

std::vector<sys::LockFileName> Target::names_from(const TargetFile& file) const {
  std::vector<sys::LockFileName> names;
  for (const TargetFile* next = &file; next != files.data() + files.size(); ++next) {
    for (sys::LockFileName& own : next->full_names()) names.push_back(std::move(own));
  }
  return names;
}

std::string Target::shown_path() const {
  const bool has_file = !files.empty() && !files.front().names.empty();
  return has_file ? files.front().path(0) : path.empty() ? request.cluster_name : path;
}

bool Target::lacks_layout() const {
  if (path.empty()) return false;
  return has_file_per_layout(tier()) && files.size() + inherited.size() < request.layouts.size();
}

Result<Target> resolve(const LockRequest& request) {
  if (request.path.empty() && !request.cluster_name.empty()) return Target{request, {}, {}};
  return is_sibling_lock(request.tier) ? resolve_sibling(find_destination(request), request)
                                       : resolve_contained(request);
}

Result<Target> resolve_in(const std::shared_ptr<const sys::Directory>& directory, const LockRequest& request) {
  if (is_sibling_lock(request.tier)) return resolve_sibling(destination_at(*directory, request), request);
  Target target{request, directory->path, {}};
  for (const Layout layout : request.layouts) {
    TargetFile file{layout, directory, {}};
    const unsigned count = request.tier == Tier::semaphore ? request.slots : 1;
    for (unsigned slot = 0; slot < count; ++slot) file.names.push_back(lock_name(layout, request.tier, {}, slot));
    target.files.push_back(std::move(file));
    if (!has_file_per_layout(request.tier)) break;
  }
  return target;
}

void sort_and_dedupe(std::vector<Target>& targets) {
  const auto identity_of = [](const Target& target) {
    return std::tuple(ordinal_of(target.tier()), std::string_view(target.path),
                      std::string_view(target.path.empty() ? target.request.cluster_name : target.path));
  };
  std::stable_sort(targets.begin(), targets.end(), [&identity_of](const Target& a, const Target& b) {
    return std::tuple(identity_of(a), a.mode()) < std::tuple(identity_of(b), b.mode());
  });
  const auto is_same = [&identity_of](const Target& a, const Target& b) { return identity_of(a) == identity_of(b); };
  targets.erase(std::unique(targets.begin(), targets.end(), is_same), targets.end());
}

Result<void> re_resolve(std::vector<Target>& targets, std::size_t& at) {
  std::vector<Target> renewed;
  for (at = 0; at < targets.size(); ++at) {
    auto target = resolve(targets[at].request);
    if (!target) return target.error();
    keep_choices(targets[at], *target);
    if (target->wants_any()) renewed.push_back(std::move(*target));
  }
  targets = std::move(renewed);
  return {};
}

sys::LockFileName slot_file(const TargetFile& file, unsigned slot) {
  return {file.directory, lock_name(file.layout, Tier::semaphore, {}, slot)};
}

sys::LockFileName queue_file(const TargetFile& file, unsigned slots) { return {file.directory, queue_name(slots)}; }

std::optional<sys::LockFileName> gate_file(const Target& target) {
  if (target.tier() == Tier::semaphore || target.files.empty() || !target.inherited.empty()) return std::nullopt;
  const TargetFile& last = target.files.back();
  return sys::LockFileName(last.directory, gate_name(last.names.front()));
}

Result<Slots> existing_slots(const TargetFile& file) {
  const auto names = sys::names_beside_lock_file(slot_file(file, 0));
  Slots slots;
  if (!names && names.error().err == ENOENT) return slots;
  if (!names) return names.error();
  for (const std::string& name : *names) {
    if (const auto slot = slot_number(name)) slots.numbers.push_back(*slot);
    if (const auto queue = queue_number(name)) slots.queues.push_back(*queue);
  }
  std::sort(slots.numbers.begin(), slots.numbers.end());
  std::sort(slots.queues.begin(), slots.queues.end());
  return slots;
}

std::vector<sys::LockFileName> files_to_inspect(const Target& target, const TargetFile& file) {
  std::vector<sys::LockFileName> files = file.full_names();
  if (target.tier() != Tier::semaphore || files.empty()) return files;
  if (const auto slots = existing_slots(file)) {
    files.clear();
    for (const unsigned slot : slots->numbers) files.push_back(slot_file(file, slot));
  }
  return files;
}

std::vector<sys::FileId> existing_files(const Target& target, const TargetFile& file) {
  std::vector<sys::FileId> files;
  for (const sys::LockFileName& name : files_to_inspect(target, file)) {
    const auto status = sys::status_of_lock_file(name);
    if (status && status->type == sys::FileType::regular) files.push_back(status->id);
  }
  return files;
}

}  // namespace grex::core
