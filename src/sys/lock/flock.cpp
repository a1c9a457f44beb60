#include "sys/lock/flock.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <thread>

#include "base/deadline.hpp"
#include "base/text.hpp"
#include "sys/file/owner.hpp"

namespace grex::sys {
namespace {

constexpr int safe_flags = O_NOFOLLOW | O_NONBLOCK | O_NOCTTY;  // safe for any type of file
constexpr mode_t lock_file_mode = 0666;

bool creates(OpenFor purpose) { return purpose == OpenFor::recording || purpose == OpenFor::locking; }

bool only_reads(OpenFor purpose) { return purpose == OpenFor::reading || purpose == OpenFor::locking; }

int access_for(OpenFor purpose) { return only_reads(purpose) ? O_RDONLY : O_RDWR; }

bool is_refusal(int err) { return err == EACCES || err == EPERM || err == EROFS; }

struct Opened {
  UniqueFd fd;
  bool read_only = false;
  bool as_owner = false;  // it, or a directory for it, could not be created with the rights of an owner
  int create_error = 0;   // errno, if it could not be created
  int open_error = 0;     // errno, if it is not open
  bool is_new = false;    // it has been created
  bool is_leased = false;
};

// Opens `parents` below `directory`, and creates them if the file will be created. It
// follows no symlink: a user who can write there must not lead us elsewhere.
Opened open_parent(int directory, std::string_view parents, OpenFor purpose) {
  Opened parent;
  while (!parents.empty()) {
    const int above = parent.fd.is_open() ? parent.fd.get() : directory;
    const std::string name(take_until(parents, '/'));
    UniqueFd below = open_at(above, name, O_PATH | O_NOFOLLOW);  // opens a symlink itself
    if (!below.is_open() && errno == ENOENT && creates(purpose)) {
      const Creation made = create_directory_in(above, name);
      if (made.result != 0) return {{}, false, made.as_owner, made.err, made.err};
      below = open_at(above, name, O_PATH | O_NOFOLLOW);
    }
    struct stat st;
    if (!below.is_open() || ::fstat(below.get(), &st) != 0) return {{}, false, false, errno, errno};
    if (!S_ISDIR(st.st_mode)) {
      const int err = S_ISLNK(st.st_mode) ? ELOOP : ENOTDIR;
      return {{}, false, false, err, err};
    }
    parent.fd = std::move(below);
  }
  return parent;
}

std::string_view parents_of(std::string_view name) {
  const auto slash = name.rfind('/');
  return slash == std::string_view::npos ? std::string_view() : name.substr(0, slash);
}

std::string last_name_of(std::string_view name) { return std::string(name.substr(name.rfind('/') + 1)); }

// Where the walk to an absolute path starts, and the names that follow. /proc/PID/root is
// a link that only the kernel makes.
struct Start {
  UniqueFd directory;
  std::string names;
};

Start start_of(std::string_view path) {
  std::string_view rest = path;
  constexpr std::string_view proc = "/proc/";
  std::string root = "/";
  if (rest.starts_with(proc)) {
    rest.remove_prefix(proc.size());
    const std::string_view pid = take_until(rest, '/');
    if (parse_number<pid_t>(pid) && take_until(rest, '/') == "root") {
      root = path.substr(0, path.size() - rest.size());
    } else {
      rest = path;
    }
  }
  rest.remove_prefix(std::min(rest.find_first_not_of('/'), rest.size()));
  return {open_at(AT_FDCWD, root, O_PATH | O_DIRECTORY), std::string(rest)};
}

// The Error if what is on the way to a lock file can't be opened.
Error lookup_error(int err) {
  const bool is_no_directory = err == ELOOP || err == ENOTDIR;
  return {is_no_directory ? ErrorKind::unsafe_file : kind_of_lookup(err), "open", {}, err};
}

Opened open_existing(int directory, const std::string& name, OpenFor purpose) {
  Opened opened;
  opened.read_only = only_reads(purpose);
  opened.fd = open_at(directory, name, access_for(purpose) | safe_flags);
  if (!opened.fd.is_open() && !opened.read_only && is_refusal(errno)) {
    opened.fd = open_at(directory, name, O_RDONLY | safe_flags);
    opened.read_only = true;
  }
  if (!opened.fd.is_open() && errno == EWOULDBLOCK) {
    opened.is_leased = true;
    opened.fd = open_at(directory, name, O_PATH | O_NOFOLLOW);
  }
  if (!opened.fd.is_open()) opened.open_error = errno;
  return opened;
}

Opened open_any(int directory, const std::string& name, OpenFor purpose) {
  Opened opened = open_existing(directory, name, purpose);
  if (opened.open_error != ENOENT || !creates(purpose)) return opened;
  const int flags = access_for(purpose) | O_CREAT | safe_flags;
  const Creation made = create_in(directory, [&] { return open_at(directory, name, flags, lock_file_mode).release(); });
  if (made.result >= 0) return {UniqueFd(made.result), only_reads(purpose), false, 0, 0, true};
  opened.open_error = made.err;
  // Another process may have created one that is leased, that only root may open, or that
  // fs.protected_regular (proc(5)) keeps from being opened with O_CREAT.
  if (is_refusal(made.err) || made.err == EWOULDBLOCK) opened = open_existing(directory, name, purpose);
  opened.as_owner = !opened.fd.is_open() && made.as_owner;
  opened.create_error = made.err;
  return opened;
}

ErrorKind kind_of_open(const Opened& opened) {
  switch (opened.open_error) {
    case ELOOP:   // a symlink, because of O_NOFOLLOW
    case EISDIR:  // a directory
    case ENXIO:   // a socket
    case ENODEV:
      return ErrorKind::unsafe_file;
    case EMFILE:
    case ENFILE:
    case ENOMEM:
      return ErrorKind::system;
    case EACCES:
    case EPERM:
      return ErrorKind::permission;
    case ENOENT:
    case ENOTDIR:
    case ENOSPC:
    case EDQUOT:
    case EROFS:
    case ENAMETOOLONG:
      return ErrorKind::create;
    default:
      return ErrorKind::io;
  }
}

// The Error of a file or a directory that is not open. If it doesn't exist and could not be
// created, the error of creating it.
Error error_of(const Opened& opened) {
  const bool missing = opened.open_error == ENOENT && opened.create_error != 0;
  const int err = missing ? opened.create_error : opened.open_error;
  const ErrorKind kind = missing || (opened.as_owner && is_refusal(err)) ? ErrorKind::create : kind_of_open(opened);
  return {kind, opened.as_owner ? create_as_owner : "open", {}, err};
}

Result<LockFile> checked(Opened opened) {
  if (!opened.fd.is_open()) return error_of(opened);
  const auto status = status_of(opened.fd.get());
  if (!status) return status.error();
  if (status->type != FileType::regular) return Error{ErrorKind::unsafe_file, "open", {}, 0};
  LockFile file{std::move(opened.fd), status->id, opened.read_only, opened.read_only || status->names > 1};
  file.changed = status->changed;
  file.has_content = status->size > 0;
  file.is_new = opened.is_new;
  file.is_leased = opened.is_leased;
  return file;
}

}  // namespace

std::string_view name_of(Mode mode) { return mode == Mode::exclusive ? "exclusive" : "shared"; }

std::optional<Mode> mode_named(std::string_view name) {
  if (name == "exclusive") return Mode::exclusive;
  if (name == "shared") return Mode::shared;
  return std::nullopt;
}

Result<LockFile> open_lock_file(int directory, const std::string& name, OpenFor purpose) {
  const std::string_view parents = parents_of(name);
  Opened opened;
  if (parents.empty()) {
    opened = open_any(directory, name, purpose);
  } else if (Opened parent = open_parent(directory, parents, purpose); parent.fd.is_open()) {
    opened = open_any(parent.fd.get(), last_name_of(name), purpose);
  } else if (!creates(purpose) && parent.open_error == ENOTDIR) {
    return lookup_error(ENOTDIR);
  } else {
    opened = std::move(parent);
  }
  return checked(std::move(opened));
}

Result<LockFile> open_lock_file(const std::string& path, OpenFor purpose) {
  const Start start = start_of(path);
  if (!start.directory.is_open()) return lookup_error(errno);
  return open_lock_file(start.directory.get(), start.names, purpose);
}

Result<LockFile> open_leased(const LockFile& leased) {
  // The file that `fd` names is a regular one, so only its lease can block.
  std::array<char, 32> path;
  std::snprintf(path.data(), path.size(), "/proc/self/fd/%d", leased.fd.get());
  Opened opened;
  opened.read_only = leased.read_only;
  opened.fd.reset(::open(path.data(), (opened.read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NOCTTY));
  if (!opened.fd.is_open()) opened.open_error = errno;
  if (opened.open_error == ENOENT) return Error{ErrorKind::system, "open /proc/self/fd", {}, ENOENT};
  return checked(std::move(opened));
}

Result<FileStatus> status_of_lock_file(const std::string& path) {
  const Start start = start_of(path);
  if (!start.directory.is_open()) return at_path(lookup_error(errno), path);
  const std::string_view parents = parents_of(start.names);
  const Opened parent = open_parent(start.directory.get(), parents, OpenFor::reading);
  if (!parents.empty() && !parent.fd.is_open()) {
    const int err = parent.open_error;
    return err == ENOENT ? Result(FileStatus{}) : at_path(lookup_error(err), path);
  }
  const int above = parents.empty() ? start.directory.get() : parent.fd.get();
  auto status = status_at(above, last_name_of(start.names));
  if (!status) return at_path(status.error(), path);
  if (status->type == FileType::symlink) return at_path(lookup_error(ELOOP), path);
  const bool is_safe = status->type == FileType::regular || status->type == FileType::absent;
  return is_safe ? status : Error{ErrorKind::unsafe_file, "open", path, 0};
}

std::optional<FileStatus> status_if_only_name(const LockFile& file, const std::string& path) {
  const auto opened = status_of(file.fd.get());
  const auto named = status_of(path);
  const bool is_only_name = opened && named && named->id == opened->id && opened->names == 1 && named->names == 1 &&
                            named->changed == opened->changed;
  return is_only_name ? std::optional(*opened) : std::nullopt;
}

Result<LockDirectory> open_lock_directory(int directory, const std::string& name) {
  const std::string_view parents = parents_of(name);
  Opened parent;
  if (!parents.empty()) {
    parent = open_parent(directory, parents, OpenFor::locking);
    if (!parent.fd.is_open()) return error_of(parent);
  }
  const auto status = status_of(parents.empty() ? directory : parent.fd.get());
  if (!status) return status.error();
  return LockDirectory{std::move(parent.fd), status->id};
}

Result<std::vector<std::string>> names_beside_lock_file(int directory, const std::string& name) {
  const std::string_view parents = parents_of(name);
  const Opened parent = open_parent(directory, parents, OpenFor::reading);
  if (!parents.empty() && !parent.fd.is_open()) return lookup_error(parent.open_error);
  return names_in(parents.empty() ? directory : parent.fd.get());
}

Error flock_error(int err) {
  switch (err) {
    case EBADF:
    case EACCES:
    case EPERM:
      return {ErrorKind::permission, "flock", {}, err};
    case ENOLCK:  // the server's lock service cannot be reached (NFS)
    case ENOMEM:
    case ENOSYS:  // the file system has no locks (Lustre without -o flock; a FUSE daemon)
    case EOPNOTSUPP:
      return {ErrorKind::system, "flock", {}, err};
    default:
      return {ErrorKind::io, "flock", {}, err};
  }
}

Result<Acquire> try_lock(int fd, Mode mode) {
  const int operation = (mode == Mode::exclusive ? LOCK_EX : LOCK_SH) | LOCK_NB;
  while (::flock(fd, operation) != 0) {
    const int err = errno;
    if (err == EWOULDBLOCK) return Acquire::busy;
    if (err != EINTR) return flock_error(err);
  }
  return Acquire::held;
}

Result<Acquire> try_lock_for(int fd, Mode mode, std::chrono::milliseconds time) {
  const Deadline end = Deadline::clock::now() + time;
  for (;;) {
    auto outcome = try_lock(fd, mode);
    if (!outcome || *outcome == Acquire::held || Deadline::clock::now() >= end) return outcome;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

Result<void> unlock(int fd) {
  while (::flock(fd, LOCK_UN) != 0) {
    const int err = errno;
    if (err != EINTR) return flock_error(err);
  }
  return {};
}

}  // namespace grex::sys
