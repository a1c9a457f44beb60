#include "sys/file/upward_walk.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <utility>

#include "base/text.hpp"

namespace grex::sys {
namespace {

bool is_same(int a, int b) {
  const auto first = status_of(a);
  const auto second = status_of(b);
  return first && second && first->id == second->id;
}

// The root directory is its own parent. A directory that is also mounted below itself has
// a parent of the same identity, too, but in another mount.
bool is_root(int directory, int parent) {
  if (!is_same(directory, parent)) return false;
  const auto place = place_of(directory);
  const auto place_above = place_of(parent);
  return !place || !place_above || place->mount == place_above->mount;
}

}  // namespace

Result<Ownership> ownership_of(int fd) {
  struct stat st;
  if (::fstat(fd, &st) != 0) {
    const int err = errno;
    return Error{kind_of_lookup(err), "fstat", {}, err};
  }
  return Ownership{st.st_uid, (st.st_mode & S_IWOTH) != 0};
}

Result<UniqueFd> open_subdirectory(int directory, const std::string& name) {
  UniqueFd fd = open_at(directory, name, O_PATH | O_DIRECTORY | O_NOFOLLOW);
  if (fd.is_open()) return fd;
  const int err = errno;
  return Error{kind_of_lookup(err), "open", name, err};
}

Result<UpwardWalk> UpwardWalk::from(const std::string& path) {
  UniqueFd fd = open_at(AT_FDCWD, path, O_PATH | O_DIRECTORY);
  if (fd.is_open()) return UpwardWalk(std::move(fd), path);
  const int err = errno;
  return Error{kind_of_lookup(err), "open", path, err};
}

Result<UpwardWalk> UpwardWalk::from(const Directory& directory) {
  auto fd = duplicate(directory.fd.get());
  if (!fd) return fd.error();
  return UpwardWalk(std::move(*fd), directory.access_path);
}

Result<bool> UpwardWalk::step() {
  auto parent = open_subdirectory(fd_.get(), "..");
  if (!parent) return at_path(parent.error(), shown_path());
  if (is_root(fd_.get(), parent->get())) return false;
  fd_ = std::move(*parent);
  path_ = path_in(path_, "..");
  return true;
}

Result<Directory> UpwardWalk::directory() const {
  auto named = open_directory(path_);
  if (named && is_same(named->fd.get(), fd_.get())) return named;
  // The path is too long, or was moved.
  const std::string path = path_of(fd_.get());
  named = open_directory(path);
  if (named && !is_same(named->fd.get(), fd_.get())) return Error{ErrorKind::not_found, "open", path, ENOENT};
  return named;
}

std::string UpwardWalk::shown_path() const {
  const auto named = directory();
  return named ? named->path : path_;
}

}  // namespace grex::sys
