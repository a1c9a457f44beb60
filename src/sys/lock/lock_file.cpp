#include "sys/lock/lock_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>

#include "base/text.hpp"
#include "sys/file/owner.hpp"

namespace grex::sys {
namespace {

constexpr int safe_flags = O_NOFOLLOW | O_NONBLOCK | O_NOCTTY;  // safe for any type of file
constexpr int step_flags = O_PATH | O_DIRECTORY | O_NOFOLLOW;
constexpr mode_t lock_file_mode = 0666;

bool creates(OpenFor purpose) { return purpose == OpenFor::recording || purpose == OpenFor::locking; }

bool only_reads(OpenFor purpose) { return purpose == OpenFor::reading || purpose == OpenFor::locking; }

int access_for(OpenFor purpose) { return only_reads(purpose) ? O_RDONLY : O_RDWR; }

bool is_refusal(int err) { return err == EACCES || err == EPERM || err == EROFS; }

std::string_view parents_of(std::string_view name) {
  const auto slash = name.rfind('/');
  return slash == std::string_view::npos ? std::string_view() : name.substr(0, slash);
}

std::string last_name_of(std::string_view name) { return std::string(name.substr(name.rfind('/') + 1)); }

ErrorKind kind_of_open(int err) {
  switch (err) {
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
    case EMLINK:
    case ENAMETOOLONG:
      return ErrorKind::create;
    default:
      return ErrorKind::io;
  }
}

// The Error if what is on the way to a lock file can't be looked up.
ErrorKind kind_of_step(int err) {
  return err == ELOOP || err == ENOTDIR ? ErrorKind::unsafe_file : kind_of_lookup(err);
}

// The Error if the last name of `path` can't be opened in the directory that it is in. If
// that directory may not be searched, not even lstat(2) sees the name, and the Error is
// about the directory.
Error open_error(int directory, const std::string& path, int err) {
  const auto status = status_at(directory, last_name_of(path));
  const bool is_hidden = err == EACCES && !status && status.error().err == EACCES;
  if (is_hidden) return {kind_of_open(err), "open", std::string(parents_of(path)), err};
  // open(2) doesn't distinguish a symlink from a file. What has been replaced since was a symlink.
  const bool is_file = status && (status->type == FileType::regular || status->type == FileType::other);
  const bool is_symlink = err == ENOTDIR && !is_file;
  return {kind_of_open(is_symlink ? ELOOP : err), "open", path, is_symlink ? ELOOP : err};
}

// The Error if something could not be created.
Error creation_error(const Creation& made, const std::string& path) {
  const bool is_owners = made.as_owner && (made.err == EACCES || made.err == EPERM || made.err == EDQUOT);
  const ErrorKind kind = is_refusal(made.err) ? ErrorKind::create : kind_of_open(made.err);
  return {kind, is_owners ? create_as_owner : "open", path, made.err};
}

bool may_read(int directory, const std::string& name) {
  return ::faccessat(directory, name.c_str(), R_OK, AT_EACCESS | AT_SYMLINK_NOFOLLOW) == 0;
}

// Opens `parents` below `directory`, and creates them if the file will be created. It
// follows no symlink: a user who can write there must not lead us elsewhere. Not open if
// there are no parents. The path of an Error is relative to `directory`.
Result<UniqueFd> open_parent(int directory, std::string_view parents, OpenFor purpose) {
  UniqueFd parent;
  const char* const begin = parents.data();
  while (!parents.empty()) {
    const int above = parent.is_open() ? parent.get() : directory;
    const std::string_view name = take_until(parents, '/');
    const std::string path(begin, name.data() + name.size());
    UniqueFd below = open_at(above, std::string(name), step_flags);
    if (!below.is_open() && errno == ENOENT && creates(purpose)) {
      const Creation made = create_directory_in(above, std::string(name));
      if (made.result != 0) return creation_error(made, path);
      below = open_at(above, std::string(name), step_flags);
    }
    if (!below.is_open()) return open_error(above, path, errno);
    parent = std::move(below);
  }
  return parent;
}

// Where the walk to a lock file starts, and the names that follow; views of its name.
struct Start {
  UniqueFd opened;  // the root directory, if the name is an absolute path
  int directory = -1;
  std::string_view path;  // of that directory
  std::string_view names;
};

// /proc/PID/root is a link that only the kernel makes.
Result<Start> start_of(const LockFileName& name) {
  if (name.directory) return Start{{}, name.directory->fd.get(), name.directory->path, name.name};
  const std::string_view path = name.name;
  std::string_view rest = path;
  constexpr std::string_view proc = "/proc/";
  std::string_view root = "/";
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
  UniqueFd opened = open_at(AT_FDCWD, std::string(root), O_PATH | O_DIRECTORY);
  if (!opened.is_open()) {
    const int err = errno;
    return Error{kind_of_step(err), "open", std::string(root), err};
  }
  const int directory = opened.get();
  return Start{std::move(opened), directory, root, rest};
}

// Completes the path of an Error, which is relative to where the walk started.
Error below(const Start& start, const Error& error) {
  return at_path(error, error.path.empty() ? std::string(start.path) : path_in(start.path, error.path));
}

// The open directory that a lock file is in.
struct Parent {
  Start start;
  UniqueFd fd;  // not open if the walk starts there

  [[nodiscard]] int directory() const { return fd.is_open() ? fd.get() : start.directory; }
};

Result<Parent> open_parent_of(const LockFileName& name, OpenFor purpose) {
  auto start = start_of(name);
  if (!start) return start.error();
  auto fd = open_parent(start->directory, parents_of(start->names), purpose);
  if (fd) return Parent{std::move(*start), std::move(*fd)};
  Error error = below(*start, fd.error());
  if (!creates(purpose)) error.kind = kind_of_step(error.err);
  return error;
}

struct Opened {
  UniqueFd fd;
  bool read_only = false;
  bool is_new = false;  // it has been created
  bool is_leased = false;
  int err = 0;  // errno, if it is not open
};

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
  if (!opened.fd.is_open()) opened.err = errno;
  return opened;
}

// Opens the last name of `path` in the directory that it is in.
Result<Opened> open_any(int directory, const std::string& path, OpenFor purpose) {
  const std::string name = last_name_of(path);
  Opened opened = open_existing(directory, name, purpose);
  if (opened.fd.is_open()) return opened;
  if (opened.err != ENOENT || !creates(purpose)) return open_error(directory, path, opened.err);
  const int flags = access_for(purpose) | O_CREAT | safe_flags;
  const Creation made = create_in(directory, [&] { return open_at(directory, name, flags, lock_file_mode).release(); });
  if (made.result >= 0) return Opened{UniqueFd(made.result), only_reads(purpose), true};
  // Another process may have created one that is leased, that only root may open, or that
  // fs.protected_regular (proc(5)) keeps from being opened with O_CREAT.
  if (is_refusal(made.err) || made.err == EWOULDBLOCK) opened = open_existing(directory, name, purpose);
  if (opened.fd.is_open()) return opened;
  return opened.err == ENOENT ? creation_error(made, path) : open_error(directory, path, opened.err);
}

Result<LockFile> checked(Opened opened, const std::string& path) {
  const auto status = status_of(opened.fd.get());
  if (!status) return at_path(status.error(), path);
  if (status->type != FileType::regular) return Error{ErrorKind::unsafe_file, "open", path, 0};
  LockFile file{std::move(opened.fd), status->id, opened.read_only, opened.read_only || status->names > 1};
  file.changed = status->changed;
  file.has_content = status->size > 0;
  file.is_new = opened.is_new;
  file.is_leased = opened.is_leased;
  return file;
}

// Whether a second name that came or went after this look at the file would change the time
// of its last change. That may be the time of a change just before the look, unless that was a
// write, which is also a modification.
bool would_show_change(const FileStatus& status) {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return status.changed == status.modified || status.changed + time_until_changes_show < now;
}

}  // namespace

std::string LockFileName::path() const { return directory ? path_in(directory->path, name) : name; }

Result<LockFile> open_lock_file(int directory, const std::string& name, OpenFor purpose) {
  auto parent = open_parent(directory, parents_of(name), purpose);
  if (!parent) {
    Error error = parent.error();
    if (!creates(purpose) && error.err == ENOTDIR) error.kind = ErrorKind::unsafe_file;
    return error;
  }
  auto opened = open_any(parent->is_open() ? parent->get() : directory, name, purpose);
  return opened ? checked(std::move(*opened), name) : opened.error();
}

Result<LockFile> open_lock_file(const LockFileName& name, OpenFor purpose) {
  const auto start = start_of(name);
  if (!start) return start.error();
  auto file = open_lock_file(start->directory, std::string(start->names), purpose);
  if (!file) return below(*start, file.error());
  return file;
}

Result<std::optional<LockFile>> create_locked(const LockFileName& name, OpenFor purpose,
                                              const std::function<bool(int fd)>& lock) {
  const auto parent = open_parent_of(name, purpose);
  if (!parent) return parent.error();
  const int directory = parent->directory();
  UniqueFd fd;
  const Creation made = create_in(directory, [&] {
    // A file that is open for writing is reported to file watchers when it is closed.
    UniqueFd writable = open_at(directory, ".", O_TMPFILE | O_RDWR | O_NOCTTY, lock_file_mode);
    if (!writable.is_open()) return -1;
    fd = only_reads(purpose) ? open_at(AT_FDCWD, path_by_number(writable.get()), O_RDONLY | O_NOCTTY)
                             : std::move(writable);
    if (!fd.is_open() || !lock(fd.get())) return -1;
    return ::linkat(AT_FDCWD, path_by_number(fd.get()).c_str(), directory, last_name_of(parent->start.names).c_str(),
                    AT_SYMLINK_FOLLOW);
  });
  if (made.result != 0) return std::optional<LockFile>();
  (void)::futimens(fd.get(), nullptr);  // otherwise, the name that it got counts as a change: see would_show_change
  auto file = checked({std::move(fd), only_reads(purpose), true}, name.path());
  if (!file) return file.error();
  return std::optional(std::move(*file));
}

Result<LockFile> open_leased(const LockFile& leased) {
  // The file that `fd` names is a regular one, so only its lease can block.
  std::array<char, 32> path;
  (void)std::snprintf(path.data(), path.size(), "/proc/self/fd/%d", leased.fd.get());
  Opened opened;
  opened.read_only = leased.read_only;
  opened.fd.reset(::open(path.data(), (opened.read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NOCTTY));
  if (opened.fd.is_open()) return checked(std::move(opened), {});
  const int err = errno;
  if (err == ENOENT) return Error{ErrorKind::system, "open /proc/self/fd", {}, ENOENT};
  return Error{kind_of_open(err), "open", {}, err};
}

Result<FileStatus> status_of_lock_file(const LockFileName& name) {
  const auto parent = open_parent_of(name, OpenFor::reading);
  if (!parent) return parent.error().err == ENOENT ? Result(FileStatus{}) : parent.error();
  const std::string_view names = parent->start.names;
  auto status = status_at(parent->directory(), last_name_of(names));
  if (!status) {
    // Only the directory can refuse that.
    const bool is_refused = status.error().kind == ErrorKind::permission;
    return below(parent->start, at_path(status.error(), std::string(is_refused ? parents_of(names) : names)));
  }
  return checked_status(*status, name);
}

Result<FileStatus> checked_status(const FileStatus& status, const LockFileName& name) {
  if (status.type == FileType::regular || status.type == FileType::absent) return status;
  return Error{ErrorKind::unsafe_file, "open", name.path(), status.type == FileType::symlink ? ELOOP : 0};
}

Result<FileStatus> look_up(const LockFileName& name) {
  if (!name.directory) return status_of(name.name);
  auto status = status_at(name.directory->fd.get(), name.name);
  if (!status && status.error().err == ENAMETOOLONG) return status_of_lock_file(name);  // opens one after the other
  return status ? status : at_path(status.error(), name.path());
}

Result<Directory> open_directory_of(const LockFileName& name) {
  auto parent = open_parent_of(name, OpenFor::reading);
  if (!parent) return parent.error();
  const Start& start = parent->start;
  auto fd = parent->fd.is_open() ? Result(std::move(parent->fd)) : duplicate(start.directory);
  if (!fd) return fd.error();
  const auto status = status_of(fd->get());
  if (!status) return at_path(status.error(), std::string(start.path));
  const auto below_start = [&start](std::string_view path) {
    const std::string_view parents = parents_of(start.names);
    return parents.empty() ? std::string(path) : path_in(path, parents);
  };
  const std::string_view access_path = name.directory ? name.directory->access_path : start.path;
  return Directory{std::move(*fd), status->id, below_start(start.path), below_start(access_path)};
}

void finish_changes_of(const LockFileName& name) {
  const auto parent = open_parent_of(name, OpenFor::reading);
  if (!parent) return;
  const std::string last(last_name_of(parent->start.names));
  const int directory = parent->directory();
  (void)::renameat2(directory, last.c_str(), directory, last.c_str(), RENAME_NOREPLACE);
}

Names count_names(const FileStatus& before, const Result<FileStatus>& now) {
  if (before.names > 1 || (now && now->names > 1)) return Names::several;
  const bool is_same = now && now->id == before.id && before.names == 1 && now->names == 1;
  return is_same && now->changed == before.changed && would_show_change(before) ? Names::one : Names::unknown;
}

std::optional<FileStatus> status_if_only_name(const LockFile& file, const LockFileName& name) {
  const auto opened = status_of(file.fd.get());
  finish_changes_of(name);
  const auto named = look_up(name);
  const bool is_only_name = opened && count_names(*opened, named) == Names::one;
  return is_only_name ? std::optional(*opened) : std::nullopt;
}

bool may_have_lock_file(const LockFileName& name) {
  const auto start = start_of(name);
  if (!start) return false;
  std::string_view names = start->names;
  UniqueFd opened;
  int directory = start->directory;
  for (;;) {
    const std::string next(take_until(names, '/'));
    const auto status = status_at(directory, next);
    if (!status) return false;
    if (status->type == FileType::absent) return may_create_in(directory);
    if (names.empty()) return status->type == FileType::regular && may_read(directory, next);
    opened = open_at(directory, next, O_PATH | O_DIRECTORY | O_NOFOLLOW);
    directory = opened.get();
    if (directory < 0) return false;
  }
}

Result<LockDirectory> open_lock_directory(const LockFileName& name) {
  auto parent = open_parent_of(name, OpenFor::locking);
  if (!parent) return parent.error();
  const auto status = status_of(parent->directory());
  if (!status) return at_path(status.error(), std::string(parent->start.path));
  return LockDirectory{std::move(parent->fd), status->id};
}

Result<std::vector<std::string>> names_beside_lock_file(const LockFileName& name) {
  const auto parent = open_parent_of(name, OpenFor::reading);
  if (!parent) return parent.error();
  auto names = names_in(parent->directory());
  if (!names) return below(parent->start, at_path(names.error(), std::string(parents_of(parent->start.names))));
  return names;
}

}  // namespace grex::sys
