#include "core/target.hpp"

#include <algorithm>
#include <cerrno>

namespace grex::core {
namespace {

std::string join(const std::string& directory, const std::string& name) {
  return directory.ends_with('/') ? directory + name : directory + "/" + name;
}

struct Split {
  std::string parent;
  std::string leaf;
};

// "a/b/" -> "a", "b"; "b" -> ".", "b"; "/b" -> "/", "b"
Split split(std::string path) {
  while (path.size() > 1 && path.ends_with('/')) path.pop_back();
  const auto slash = path.rfind('/');
  if (slash == std::string::npos) return {".", path};
  return {path.substr(0, slash == 0 ? 1 : slash), path.substr(slash + 1)};
}

Result<sys::Directory> open_or_make(const std::string& path, CreateTarget create) {
  auto directory = sys::open_directory(path);
  if (directory || create == CreateTarget::no || directory.error().err != ENOENT) return directory;
  if (auto made = sys::make_directories(path); !made) return made.error();
  return sys::open_directory(path);
}

bool is_there(const std::string& path) {
  const auto status = sys::status_of(path);
  return status && status->type != sys::FileType::absent;
}

// The target need not exist, but what it would lie in has to.
Result<Target> resolve_beside(const LockRequest& request) {
  auto itself = sys::open_directory(request.path);
  if (!itself && itself.error().err != ENOENT) return itself.error();
  if (!itself && is_there(request.path)) {
    // A link to what is not there yet would name another lock once it is there.
    return Error{ErrorKind::not_found, "open", request.path, ENOENT};
  }
  const auto [parent, leaf] = split(itself ? itself->path : request.path);
  if (leaf.empty() || leaf == "." || leaf == "..") return Error{ErrorKind::not_found, "open", request.path, ENOENT};
  auto directory = open_or_make(parent, request.create);
  if (!directory) return directory.error();
  Target target{request.tier, join(directory->path, leaf), std::move(*directory), {}};
  target.names.push_back(lock_name(request.tier, leaf, 0));
  return target;
}

Result<Target> resolve_inside(const LockRequest& request) {
  auto directory = open_or_make(request.path, request.create);
  if (!directory) return directory.error();
  Target target{request.tier, directory->path, std::move(*directory), {}};
  const unsigned count = request.tier == Tier::semaphore ? request.slots : 1;
  for (unsigned slot = 0; slot < count; ++slot) target.names.push_back(lock_name(request.tier, {}, slot));
  return target;
}

bool is_mark_of_grex(const std::string& directory, const std::string& name) {
  const bool is_lock = name == lock_name(Tier::workspace_sync, {}, 0) || name == lock_name(Tier::per_pack, {}, 0) ||
                       slot_number(name).has_value();
  if (!is_lock && name != ".grex") return false;
  const auto status = sys::status_of(join(directory, name));
  return status && status->type == (is_lock ? sys::FileType::regular : sys::FileType::directory);
}

}  // namespace

std::string Target::lock_path(std::size_t index) const { return join(directory.path, names.at(index)); }

std::vector<std::string> Target::lock_paths() const {
  std::vector<std::string> paths;
  paths.reserve(names.size());
  for (const std::string& name : names) paths.push_back(join(directory.path, name));
  return paths;
}

std::string Target::shown_path() const { return names.empty() ? path : lock_path(0); }

Result<Target> resolve(const LockRequest& request) {
  return lies_beside_target(request.tier) == Beside::yes ? resolve_beside(request) : resolve_inside(request);
}

std::optional<std::string> enclosing_path() {
  for (std::string directory = sys::working_directory(); !directory.empty(); directory = split(directory).parent) {
    const auto names = sys::names_in(directory);
    const auto is_mark = [&directory](const std::string& name) { return is_mark_of_grex(directory, name); };
    if (names && std::any_of(names->begin(), names->end(), is_mark)) return directory;
    if (directory == "/") break;
  }
  return std::nullopt;
}

std::vector<sys::FileId> existing_files(const Target& target) {
  std::vector<sys::FileId> files;
  for (const std::string& path : target.lock_paths()) {
    const auto status = sys::status_of(path);
    if (status && status->type == sys::FileType::regular) files.push_back(status->id);
  }
  return files;
}

}  // namespace grex::core
