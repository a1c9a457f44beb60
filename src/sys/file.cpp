#include "sys/file.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <memory>
#include <system_error>

namespace grex::sys {
namespace {

FileStatus from_stat(const struct stat& st) {
  FileType type = FileType::other;
  if (S_ISREG(st.st_mode)) type = FileType::regular;
  if (S_ISDIR(st.st_mode)) type = FileType::directory;
  const auto modified = std::chrono::seconds(st.st_mtim.tv_sec) + std::chrono::nanoseconds(st.st_mtim.tv_nsec);
  return {type, {st.st_dev, st.st_ino}, static_cast<std::uint64_t>(st.st_size), st.st_nlink, modified};
}

std::string link_to(int fd) { return "/proc/self/fd/" + std::to_string(fd); }

bool leads_to(const std::string& name, int fd) {
  const auto named = status_of(name);
  const auto opened = status_of(fd);
  return named && opened && named->id == opened->id;
}

// What is known already will do: a server may not answer.
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

// What is written into a file that was truncated goes to the disk with the next close,
// of whichever opening, lest a crash leave the file empty (fs/ext4/file.c,
// ext4_release_file; fs/xfs/xfs_file.c, xfs_file_release; fs/btrfs/file.c,
// btrfs_release_file). What will be worth nothing after a crash may stay in memory:
// for it, a close comes before it is written.
void spare_the_disk(int truncated) { (void)open_at(AT_FDCWD, link_to(truncated), O_RDONLY | O_NONBLOCK | O_NOCTTY); }

bool is_missing(const Result<Place>& place) {
  return !place && (place.error().err == ENOENT || place.error().err == ENOTDIR);
}

// What realpath(3) makes of the path, which is quicker than to ask /proc; where
// that fails, or the path leads elsewhere by now, the kernel's own name.
Result<std::string> canonical_path(int fd, const std::string& path) {
  const std::unique_ptr<char, void (*)(void*)> resolved(::realpath(path.c_str(), nullptr), ::free);
  const bool is_resolved = resolved != nullptr;
  const int err = is_resolved ? ENOENT : errno;
  if (is_resolved && leads_to(resolved.get(), fd)) return std::string(resolved.get());
  std::string linked = path_of(fd);
  if (!linked.empty() && leads_to(linked, fd)) return linked;
  // A directory that something else is mounted upon has no name any more: by
  // the one it had, nobody else would find its lock file.
  return Error{is_resolved ? ErrorKind::not_found : kind_of_lookup(err), "realpath", path, err};
}

// Keeps a signal that our own write may raise from killing us while this lives:
// the write fails instead. One that was pending before, for whoever sent it,
// stays so.
class HeldBack {
 public:
  explicit HeldBack(int signal) {
    sigemptyset(&only_it_);
    sigaddset(&only_it_, signal);
    sigset_t pending;
    ::sigpending(&pending);
    was_pending_ = sigismember(&pending, signal) == 1;
    ::sigprocmask(SIG_BLOCK, &only_it_, &old_);
  }
  ~HeldBack() {
    constexpr timespec now = {0, 0};
    if (!was_pending_) ::sigtimedwait(&only_it_, nullptr, &now);
    ::sigprocmask(SIG_SETMASK, &old_, nullptr);
  }
  HeldBack(const HeldBack&) = delete;
  HeldBack& operator=(const HeldBack&) = delete;

 private:
  sigset_t only_it_{};
  sigset_t old_{};
  bool was_pending_ = false;
};

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

Result<FileStatus> status_of(const std::string& path) {
  struct stat st;
  if (::lstat(path.c_str(), &st) == 0) return from_stat(st);
  const int err = errno;
  if (err == ENOENT || err == ENOTDIR) return FileStatus{};
  return Error{kind_of_lookup(err), "stat", path, err};
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
  if (flags < 0) return Access::closed;
  return (flags & O_ACCMODE) == O_RDONLY || (flags & O_PATH) != 0 ? Access::reading : Access::writing;
}

std::string path_of(int fd) {
  std::array<char, PATH_MAX> buffer;
  const ssize_t n = ::readlink(link_to(fd).c_str(), buffer.data(), buffer.size());
  if (n <= 0 || static_cast<std::size_t>(n) == buffer.size()) return {};
  return {buffer.data(), static_cast<std::size_t>(n)};
}

Result<UniqueFd> duplicate(int fd) {
  UniqueFd copy(::fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1));
  if (!copy.is_open()) return Error{ErrorKind::system, "fcntl", {}, errno};
  return copy;
}

void reserve_standard_streams() {
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (::fcntl(fd, F_GETFD) >= 0) continue;
    // open() gives the lowest number, which is this one, now. What is read from
    // it, or written to it, fails with EBADF.
    (void)::open("/dev/null", (fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) | O_CLOEXEC);
  }
}

void close_on_exec(int fd) { ::fcntl(fd, F_SETFD, FD_CLOEXEC); }

Result<Directory> open_directory(const std::string& path) {
  UniqueFd fd = open_at(AT_FDCWD, path, O_PATH | O_DIRECTORY);
  if (!fd.is_open()) {
    const int err = errno;
    return Error{kind_of_lookup(err), "open", path, err};
  }
  auto canonical = canonical_path(fd.get(), path);
  if (!canonical) return canonical.error();
  return Directory{std::move(fd), std::move(*canonical)};
}

Result<void> make_directories(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (!error) return {};
  const int err = error.value();
  const bool blocked = err == ENOTDIR || err == EEXIST;
  const ErrorKind refused = err == ENOMEM ? ErrorKind::system : ErrorKind::create;
  return Error{blocked ? ErrorKind::not_found : refused, "mkdir", path, err};
}

std::string working_directory() {
  std::array<char, PATH_MAX> buffer;
  const char* cwd = ::getcwd(buffer.data(), buffer.size());
  return cwd != nullptr && cwd[0] == '/' ? std::string(cwd) : std::string();
}

Result<std::vector<std::string>> names_in(const std::string& directory) {
  std::vector<std::string> names;
  const std::unique_ptr<DIR, int (*)(DIR*)> dir(::opendir(directory.c_str()), ::closedir);
  if (dir == nullptr) {
    const int err = errno;
    return Error{kind_of_lookup(err), "opendir", directory, err};
  }
  while (const dirent* entry = ::readdir(dir.get())) {
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
  }
  return names;
}

Result<std::string> read_file(const std::string& path, std::size_t limit) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY));
  if (!fd.is_open()) return Error{ErrorKind::io, "open", path, errno};
  auto text = read_start(fd.get(), limit);
  if (!text) return at_path(text.error(), path);
  return text;
}

Result<std::string> read_start(int fd, std::size_t limit) {
  std::array<char, 4096> piece;  // more than a page of a file in /proc is never read at once
  std::string text;
  while (text.size() < limit) {
    const std::size_t want = std::min(limit - text.size(), piece.size());
    const ssize_t n = ::pread(fd, piece.data(), want, static_cast<off_t>(text.size()));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return Error{ErrorKind::io, "read", {}, errno};
    if (n == 0) break;
    text.append(piece.data(), static_cast<std::size_t>(n));
  }
  return text;
}

Result<void> write_all(int fd, std::string_view bytes, int unless) {
  const HeldBack reader_gone(SIGPIPE);
  const HeldBack limit_reached(SIGXFSZ);
  // As much as a pipe or a terminal that is writable takes without blocking
  // (PIPE_BUF, drivers/tty/n_tty.c: WAKEUP_CHARS).
  constexpr std::size_t piece = 256;
  if (unless >= 0 && access_of(fd) != Access::writing) return Error{ErrorKind::io, "write", {}, EBADF};
  bool must_wait = unless >= 0;
  while (!bytes.empty()) {
    if (must_wait) {
      std::array<pollfd, 2> news = {{{fd, POLLOUT, 0}, {unless, POLLIN, 0}}};
      ::poll(news.data(), news.size(), -1);
      if (news[0].revents == 0 && news[1].revents != 0) return Error{ErrorKind::io, "write", {}, ECANCELED};
    }
    const ssize_t n = ::write(fd, bytes.data(), unless >= 0 ? std::min(piece, bytes.size()) : bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) {  // somebody else made it so, for everyone who has it open
      must_wait = true;
      continue;
    }
    if (n < 0) return Error{ErrorKind::io, "write", {}, errno};
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  return {};
}

bool has_room(int fd) {
  pollfd writable = {fd, POLLOUT, 0};
  return ::poll(&writable, 1, 0) == 1;  // an error, too, will be told at once
}

Result<void> replace_content(int fd, std::string_view bytes) {
  const HeldBack limit_reached(SIGXFSZ);
  // An empty file is left alone: a journal is waited for even then (ext4_setattr).
  const auto status = status_of(fd);
  const bool is_empty = status && status->size == 0;
  if (!is_empty && ::ftruncate(fd, 0) != 0) return Error{ErrorKind::io, "ftruncate", {}, errno};
  if (!is_empty && !bytes.empty()) spare_the_disk(fd);
  off_t offset = 0;
  while (!bytes.empty()) {
    const ssize_t n = ::pwrite(fd, bytes.data(), bytes.size(), offset);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      const int err = errno;
      // An empty record is "none"; half a record would be read as stale.
      if (::ftruncate(fd, 0) != 0) return Error{ErrorKind::io, "ftruncate", {}, errno};
      return Error{ErrorKind::io, "write", {}, err};
    }
    offset += n;
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  return {};
}

}  // namespace grex::sys
