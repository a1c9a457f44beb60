#include "sys/file/file.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <memory>
#include <string_view>
#include <system_error>

#include "base/text.hpp"
#include "sys/file/owner.hpp"
#include "sys/file/safe_walk.hpp"

namespace grex::sys {
namespace {

FileStatus from_stat(const struct stat& st) {
  FileType type = FileType::other;
  if (S_ISREG(st.st_mode)) type = FileType::regular;
  if (S_ISDIR(st.st_mode)) type = FileType::directory;
  if (S_ISLNK(st.st_mode)) type = FileType::symlink;
  const auto time_of = [](const timespec& time) {
    return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
  };
  return {type,
          {st.st_dev, st.st_ino},
          static_cast<std::uint64_t>(st.st_size),
          st.st_nlink,
          time_of(st.st_mtim),
          time_of(st.st_ctim),
          st.st_uid,
          st.st_mode & static_cast<mode_t>(~S_IFMT)};
}

enum class Leads { there, elsewhere, not_known };

// Where a path leads. That can't be known if a directory on the way may not be searched, or
// if the path is too long for the kernel.
Leads where_leads(const std::string& path, FileId id) {
  const auto named = status_of(path);
  if (!named) return Leads::not_known;
  return named->id == id ? Leads::there : Leads::elsewhere;
}

// Cached attributes will do: a server may not answer.
Result<Place> place_at(int directory, const std::string& path, int flags) {
  struct statx st;
  if (::statx(directory, path.c_str(), flags | AT_STATX_DONT_SYNC, STATX_MNT_ID, &st) != 0) {
    const int err = errno;
    return Error{kind_of_lookup(err), "statx", path, err};
  }
  Place place{{}, makedev(st.stx_dev_major, st.stx_dev_minor)};
  if ((st.stx_mask & STATX_MNT_ID) != 0) place.mount = st.stx_mnt_id;
  return place;
}

bool is_missing(const Result<Place>& place) {
  return !place && (place.error().err == ENOENT || place.error().err == ENOTDIR);
}

// The name of a directory in the one above it; empty if it can't be found.
std::string name_in(int above, FileId id) {
  auto names = names_in(above);
  if (!names) return {};
  for (std::string& name : *names) {
    const auto status = status_at(above, name);
    if (status && status->id == id) return std::move(name);
  }
  return {};
}

// The kernel's name for a directory. It gives none that is longer than PATH_MAX: then, the
// last names are looked up in the directories above. Empty if one of these can't be read.
std::string kernel_name_of(int fd) {
  UniqueFd opened;
  std::string last_names;
  for (int at = fd;;) {
    const std::string path = path_of(at);
    if (!path.empty()) return last_names.empty() ? path : path_in(path, last_names);
    const auto status = status_of(at);
    UniqueFd above = open_at(at, "..", O_PATH | O_DIRECTORY);
    const auto status_above = status_of(above.get());
    const bool is_root = status && status_above && status->id == status_above->id;
    if (!status || !status_above || is_root) return {};
    const std::string name = name_in(above.get(), status->id);
    if (name.empty()) return {};
    last_names = last_names.empty() ? name : path_in(name, last_names);
    opened = std::move(above);
    at = opened.get();
  }
}

// The result of realpath(3), which is faster than reading /proc. If it fails, or the
// path leads elsewhere by now, the kernel's own name for the directory.
Result<Directory> with_paths(UniqueFd fd, const std::string& path) {
  const auto status = status_of(fd.get());
  if (!status) return at_path(status.error(), path);
  const std::unique_ptr<char, void (*)(void*)> resolved(::realpath(path.c_str(), nullptr), ::free);
  const int err = resolved != nullptr ? ENOENT : errno;
  std::string canonical = resolved != nullptr ? resolved.get() : "";
  const auto look = [&] { return canonical.empty() ? Leads::elsewhere : where_leads(canonical, status->id); };
  Leads leads = look();
  if (leads == Leads::elsewhere) {
    canonical = kernel_name_of(fd.get());
    leads = look();
  }
  if (leads == Leads::there) return Directory{std::move(fd), status->id, canonical, canonical};
  // A removed directory has no names.
  if (leads == Leads::not_known && status->names > 0) return Directory{std::move(fd), status->id, canonical, path};
  // A directory that is hidden by a mount has no name any more: by its old name, no
  // other process would find its lock file.
  return Error{kind_of_lookup(err), "realpath", path, err};
}

Result<UniqueFd> walk(const std::string& path) {
  UniqueFd fd = open_at(AT_FDCWD, path, O_PATH | O_DIRECTORY);
  if (fd.is_open()) return fd;
  const int err = errno;
  return Error{kind_of_lookup(err), "open", path, err};
}

// The first missing directory on the way to a path, which is missing itself.
std::string first_missing(std::filesystem::path path) {
  while (path.has_parent_path() && !exists(path.parent_path())) path = path.parent_path();
  return path;
}

// `directory` may have failed to open: then errno says why. `path` is for that Error.
Result<std::vector<std::string>> names_of(UniqueFd directory, const std::string& path) {
  if (!directory.is_open()) {
    const int err = errno;
    return Error{kind_of_lookup(err), "open", path, err};
  }
  const std::unique_ptr<DIR, int (*)(DIR*)> dir(::fdopendir(directory.get()), ::closedir);
  if (dir == nullptr) return Error{ErrorKind::system, "fdopendir", {}, errno};
  (void)directory.release();  // closedir(3) closes it
  std::vector<std::string> names;
  for (;;) {
    errno = 0;
    const dirent* const entry = ::readdir(dir.get());
    if (entry == nullptr) break;
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
  }
  if (const int err = errno; err != 0) return Error{kind_of_lookup(err), "readdir", {}, err};
  return names;
}

// Closes the descriptors from `first` to `last` that /proc/self/fd lists; returns false if
// that can't be read. Async-signal-safe: opendir(3) is not.
bool close_listed(unsigned first, unsigned last) {
  const int directory = ::open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory < 0) return false;
  alignas(dirent64) std::array<char, 1024> entries;
  ssize_t size = 0;
  // The kernel goes on from the number that it listed last, whatever is closed in the meantime.
  while ((size = ::getdents64(directory, entries.data(), entries.size())) > 0) {
    for (ssize_t at = 0; at < size;) {
      const auto* const entry = reinterpret_cast<const dirent64*>(&entries[static_cast<std::size_t>(at)]);
      at += entry->d_reclen;
      const auto fd = parse_number<unsigned>(entry->d_name);  // not of "." and ".."
      if (fd && first <= *fd && *fd <= last && *fd != static_cast<unsigned>(directory)) {
        ::close(static_cast<int>(*fd));
      }
    }
  }
  ::close(directory);
  return size == 0;
}

}  // namespace

ErrorKind kind_of_lookup(int err) {
  switch (err) {
    case ENOENT:
    case ENOTDIR:
    case ENAMETOOLONG:
    case ELOOP:
      return ErrorKind::not_found;
    case EACCES:
    case EPERM:
      return ErrorKind::permission;
    case EMFILE:
    case ENFILE:
    case ENOMEM:
      return ErrorKind::system;
    default:
      return ErrorKind::io;
  }
}

UniqueFd open_at(int directory, const std::string& name, int flags, mode_t mode) {
  int fd = -1;
  do {
    fd = ::openat(directory, name.c_str(), flags | O_CLOEXEC, mode);
  } while (fd < 0 && errno == EINTR);
  return UniqueFd(fd);
}

std::optional<FileId> directory_at(const std::string& path) {
  const auto status = status_of(path);
  return status && status->type == FileType::directory ? std::optional(status->id) : std::nullopt;
}

std::string path_by_number(int fd) { return "/proc/self/fd/" + std::to_string(fd); }

Result<FileStatus> status_of(const std::string& path) { return status_at(AT_FDCWD, path); }

Result<FileStatus> status_at(int directory, const std::string& name) {
  struct stat st;
  if (::fstatat(directory, name.c_str(), &st, AT_SYMLINK_NOFOLLOW) == 0) return from_stat(st);
  const int err = errno;
  if (err == ENOENT || err == ENOTDIR) return FileStatus{};
  return Error{kind_of_lookup(err), "stat", name, err};
}

bool exists(const std::string& path) {
  const auto status = status_of(path);
  return status && status->type != FileType::absent;
}

Result<FileStatus> status_of(int fd) {
  struct stat st;
  if (::fstat(fd, &st) != 0) {
    const int err = errno;
    return Error{kind_of_lookup(err), "fstat", {}, err};
  }
  return from_stat(st);
}

Result<Place> place_of(int fd) { return place_at(fd, "", AT_EMPTY_PATH); }

Result<Place> place_of(int directory, const std::string& name) {
  return place_at(directory, name, AT_SYMLINK_NOFOLLOW);
}

Result<Place> place_of(const std::string& path) {
  auto place = place_at(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW);
  for (std::filesystem::path nearest = path; is_missing(place) && nearest.has_relative_path();) {
    nearest = nearest.parent_path();
    place = place_at(AT_FDCWD, nearest, 0);
  }
  return place;
}

Access access_of(int fd) {
  const int flags = ::fcntl(fd, F_GETFL);
  if (flags < 0 || (flags & O_PATH) != 0) return Access::closed;
  return (flags & O_ACCMODE) == O_RDONLY ? Access::reading : Access::writing;
}

bool appends(int fd) {
  const int flags = ::fcntl(fd, F_GETFL);
  return flags >= 0 && (flags & O_APPEND) != 0;
}

std::string path_of(int fd) {
  std::array<char, PATH_MAX> buffer;
  const std::string link = path_by_number(fd);
  const ssize_t n = ::readlink(link.c_str(), buffer.data(), buffer.size());
  if (n <= 0 || static_cast<std::size_t>(n) == buffer.size()) return {};
  return {buffer.data(), static_cast<std::size_t>(n)};
}

Result<UniqueFd> duplicate(int fd) {
  UniqueFd copy(::fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1));
  if (!copy.is_open()) return Error{ErrorKind::system, "fcntl", {}, errno};
  return copy;
}

Result<UniqueFd> open_unusable() {
  UniqueFd fd = open_at(AT_FDCWD, "/", O_PATH);
  if (!fd.is_open()) return Error{ErrorKind::system, "open", "/", errno};
  return fd;
}

Result<void> reserve_standard_streams() {
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (::fcntl(fd, F_GETFD) >= 0) continue;
    // open(2) returns the lowest free number, which is this one now.
    auto placeholder = open_unusable();
    if (!placeholder) return placeholder.error();
    (void)placeholder->release();  // for the life of the process
  }
  return {};
}

void close_descriptors(unsigned first, unsigned last) {
  if (first > last || ::close_range(first, last, 0) == 0) return;
  // Before Linux 5.9, or if it is forbidden.
  if (close_listed(first, last)) return;
  const long limit = ::sysconf(_SC_OPEN_MAX);
  last = std::min(last, static_cast<unsigned>(limit > 0 ? limit : 1024));
  for (unsigned fd = first; fd <= last; ++fd) ::close(static_cast<int>(fd));
}

void close_on_exec(int fd) { ::fcntl(fd, F_SETFD, FD_CLOEXEC); }

Result<Directory> open_directory(const std::string& path) {
  auto fd = is_root() ? walk_safely(path, IfMissing::fail) : walk(path);
  if (!fd) return fd.error();
  return with_paths(std::move(*fd), path);
}

bool is_elsewhere(const Directory& directory) { return where_leads(directory.path, directory.id) == Leads::elsewhere; }

Result<void> create_directories(const std::string& path) {
  if (is_root()) {
    const auto created = walk_safely(path, IfMissing::create);
    return created ? Result<void>() : created.error();
  }
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (!error) return {};
  const int err = error.value();
  const bool blocked = err == ENOTDIR || err == EEXIST;
  const ErrorKind refused = err == ENOMEM ? ErrorKind::system : ErrorKind::create;
  return Error{blocked ? ErrorKind::not_found : refused, "mkdir", first_missing(path), err};
}

std::string working_directory() {
  std::array<char, PATH_MAX> buffer;
  const char* cwd = ::getcwd(buffer.data(), buffer.size());
  return cwd != nullptr && cwd[0] == '/' ? std::string(cwd) : std::string();
}

std::string access_path_of(const std::string& path) {
  const std::string cwd = working_directory();
  if (cwd.empty() || status_of(path)) return path;
  const std::string here = path_in(cwd, "");
  return path_in(path, "").starts_with(here) ? "./" + path.substr(std::min(here.size(), path.size())) : path;
}

Result<std::vector<std::string>> names_in(const std::string& directory) {
  return names_of(open_at(AT_FDCWD, directory, O_RDONLY | O_DIRECTORY), directory);
}

Result<std::vector<std::string>> names_in(int directory) {
  return names_of(open_at(directory, ".", O_RDONLY | O_DIRECTORY), {});
}

}  // namespace grex::sys
