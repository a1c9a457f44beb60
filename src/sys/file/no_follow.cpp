#include "sys/file/no_follow.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "base/text.hpp"
#include "sys/file/file.hpp"

namespace grex::sys {
namespace {

constexpr mode_t file_mode = 0666;

Error open_error(int err) { return {err == ELOOP ? ErrorKind::unsafe_file : kind_of_lookup(err), "open", {}, err}; }

Error other_owner() { return {ErrorKind::permission, check_owner, {}, EPERM}; }

// What was opened, if it has this type.
Result<FileStatus> status_of_type(int fd, FileType type) {
  auto status = status_of(fd);
  if (!status || status->type == type) return status;
  if (status->type == FileType::symlink) return Error{ErrorKind::unsafe_file, "open", {}, ELOOP};
  return Error{ErrorKind::unsafe_file, "open", {}, type == FileType::directory ? ENOTDIR : 0};
}

bool is_ours(uid_t user, Owner owner) { return owner == Owner::anyone || user == ::geteuid(); }

}  // namespace

Result<UniqueFd> open_directory_no_follow(int directory, std::string_view path, Owner owner) {
  UniqueFd opened;
  if (path.starts_with('/')) {
    opened = open_at(AT_FDCWD, "/", O_PATH | O_DIRECTORY);
    if (!opened.is_open()) return open_error(errno);
  }
  uid_t last = 0;  // of the first directory, any will do
  while (!path.empty()) {
    const std::string name(take_until(path, '/'));
    if (name.empty()) continue;
    if (last != 0 && !is_ours(last, owner)) return other_owner();
    const int above = opened.is_open() ? opened.get() : directory;
    UniqueFd next = open_at(above, name, O_PATH | O_NOFOLLOW);  // opens a symlink itself
    if (!next.is_open()) return open_error(errno);
    const auto status = status_of_type(next.get(), FileType::directory);
    if (!status) return status.error();
    last = status->owner;
    opened = std::move(next);
  }
  if (!is_ours(last, owner)) return other_owner();
  return opened;
}

Result<UniqueFd> open_file_no_follow(int directory, const std::string& name, int flags, Owner owner) {
  UniqueFd file = open_at(directory, name, flags | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, file_mode);
  if (!file.is_open()) return open_error(errno);
  const auto status = status_of_type(file.get(), FileType::regular);
  if (!status) return status.error();
  if (!is_ours(status->owner, owner)) return other_owner();
  return file;
}

}  // namespace grex::sys
