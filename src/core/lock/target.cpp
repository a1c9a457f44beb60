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
SplitPath split_path(std::string path) {
  while (path.size() > 1 && path.ends_with('/')) path.pop_back();
  const auto slash = path.rfind('/');
  if (slash == std::string::npos) return {".", path};
  return {path.substr(0, slash == 0 ? 1 : slash), path.substr(slash + 1)};
}

Result<sys::Directory> open_or_create(const std::string& path, CreateTarget create) {
  auto directory = sys::open_directory(path);
  if (directory || create == CreateTarget::no || directory.error().err != ENOENT) return directory;
  if (auto created = sys::create_directories(path); !created) return created.error();
  return sys::open_directory(path);
}

struct Destination {
  sys::Directory parent;
  std::string leaf;
};

// A clone's destination need not exist, but the directory above it must.
Result<Destination> find_destination(const LockRequest& request) {
  auto itself = sys::open_directory(request.path);
  if (!itself && itself.error().err != ENOENT) return itself.error();
  if (!itself && sys::exists(request.path)) {
    // A dangling symlink would name another lock once its target exists.
    return Error{ErrorKind::not_found, "open", request.path, ENOENT};
  }
  auto [parent, leaf] = split_path(itself ? itself->path : request.path);
  if (leaf.empty() || leaf == "." || leaf == "..") return Error{ErrorKind::not_found, "open", request.path, ENOENT};
  auto directory = open_or_create(parent, request.create);
  if (!directory) return directory.error();
  return Destination{std::move(*directory), std::move(leaf)};
}

// The directory that keeps the lock of the clone `path` in the nested layout. The directory
// `parent` is that in which the clone lies.
Result<sys::Directory> find_meta_of(const std::string& path, const std::string& parent) {
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

Result<Target> resolve_sibling(const LockRequest& request) {
  auto destination = find_destination(request);
  if (!destination) return destination.error();
  const std::string path = path_in(destination->parent.path, destination->leaf);
  if (request.layout == Layout::flat) {
    return Target{
        request, path, std::move(destination->parent), {lock_name(request.layout, request.tier, destination->leaf, 0)}};
  }
  auto meta = find_meta_of(path, destination->parent.path);
  if (!meta) return meta.error();
  const std::string child = path.substr(path_in(meta->path, "").size());
  return Target{request, path, std::move(*meta), {lock_name(request.layout, request.tier, child, 0)}};
}

Result<Target> resolve_contained(const LockRequest& request) {
  auto directory = open_or_create(request.path, request.create);
  if (!directory) return directory.error();
  const std::string path = directory->path;
  Target target{request, path, std::move(*directory), {}};
  const unsigned count = request.tier == Tier::semaphore ? request.slots : 1;
  for (unsigned slot = 0; slot < count; ++slot) {
    target.names.push_back(lock_name(request.layout, request.tier, {}, slot));
  }
  return target;
}

}  // namespace

std::string Target::lock_path(std::size_t index) const { return path_in(directory.path, names.at(index)); }

std::vector<std::string> Target::lock_paths() const {
  std::vector<std::string> paths;
  paths.reserve(names.size());
  for (const std::string& name : names) paths.push_back(path_in(directory.path, name));
  return paths;
}

std::string Target::shown_path() const { return names.empty() ? path : lock_path(0); }

Result<Target> resolve(const LockRequest& request) {
  return is_sibling_lock(request.tier) ? resolve_sibling(request) : resolve_contained(request);
}

Result<std::vector<Target>> resolve_each(LockRequest request, const Layouts& layouts) {
  std::vector<Target> targets;
  for (const Layout layout : layouts) {
    request.layout = layout;
    auto target = resolve(request);
    if (!target) return target.error();
    targets.push_back(std::move(*target));
  }
  return targets;
}

void sort_and_dedupe(std::vector<Target>& targets) {
  std::stable_sort(targets.begin(), targets.end(), [](const Target& a, const Target& b) {
    return std::tuple(ordinal_of(a.tier()), std::string_view(a.path), a.request.layout) <
           std::tuple(ordinal_of(b.tier()), std::string_view(b.path), b.request.layout);
  });
  const auto is_same = [](const Target& a, const Target& b) {
    return a.tier() == b.tier() && a.path == b.path && a.names == b.names;
  };
  targets.erase(std::unique(targets.begin(), targets.end(), is_same), targets.end());
}

Result<void> re_resolve(std::vector<Target>& targets, std::size_t& at) {
  std::vector<Target> renewed;
  for (at = 0; at < targets.size(); ++at) {
    auto target = resolve(targets[at].request);
    if (!target) return target.error();
    renewed.push_back(std::move(*target));
  }
  sort_and_dedupe(renewed);
  targets = std::move(renewed);
  return {};
}

std::string slot_path(const Target& target, unsigned slot) {
  return path_in(target.directory.path, lock_name(target.request.layout, Tier::semaphore, {}, slot));
}

std::string queue_path(const Target& target, unsigned slots) {
  return path_in(target.directory.path, queue_name(target.request.layout, slots));
}

Result<Slots> existing_slots(const Target& target) {
  const auto names =
      sys::names_beside_lock_file(target.directory.fd.get(), lock_name(target.request.layout, Tier::semaphore, {}, 0));
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

std::vector<std::string> files_to_inspect(const Target& target) {
  std::vector<std::string> paths = target.lock_paths();
  if (target.tier() != Tier::semaphore || paths.empty()) return paths;
  if (const auto slots = existing_slots(target)) {
    paths.clear();
    for (const unsigned slot : slots->numbers) paths.push_back(slot_path(target, slot));
  }
  return paths;
}

std::vector<ExistingFile> existing_files(const Target& target) {
  std::vector<ExistingFile> files;
  for (std::string& path : files_to_inspect(target)) {
    const auto status = sys::status_of_lock_file(path);
    if (status && status->type == sys::FileType::regular) files.push_back({std::move(path), status->id});
  }
  return files;
}

std::vector<sys::FileId> ids_of(const std::vector<ExistingFile>& files) {
  std::vector<sys::FileId> ids(files.size());
  std::transform(files.begin(), files.end(), ids.begin(), [](const ExistingFile& file) { return file.id; });
  return ids;
}

}  // namespace grex::core
