#include "sys/file/log_file.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <ctime>

#include "sys/file/file.hpp"
#include "sys/file/no_follow.hpp"
#include "sys/file/owner.hpp"
#include "sys/file/safe_walk.hpp"
#include "sys/signal/blocked_signals.hpp"

namespace grex::sys {
namespace {

// The directory of the file; not open for users other than root, whose path the kernel may
// follow.
Result<UniqueFd> directory_of(const std::string& path) {
  if (!is_root()) return UniqueFd();
  return walk_where_only_root_writes(path.substr(0, path.rfind('/') + 1));
}

Result<UniqueFd> open_log(const std::string& path) {
  const auto directory = directory_of(path);
  if (!directory) return directory.error();
  const bool is_relative = directory->is_open();
  const std::string name = is_relative ? path.substr(path.rfind('/') + 1) : path;
  auto file = open_file_no_follow(is_relative ? directory->get() : AT_FDCWD, name, O_RDWR | O_APPEND | O_CREAT,
                                  Owner::effective_user);
  if (!file) return file;
  const auto status = status_of(file->get());
  if (!status) return status.error();
  if (status->names != 1) return Error{ErrorKind::unsafe_file, "open", {}, EMLINK};
  return file;
}

// Whether the disk was full when the last line was written. The size of a file grows while
// another process writes, which has just changed it then.
bool ends_within_line(int fd) {
  struct stat status {};
  constexpr time_t time_to_write = 1;
  if (::fstat(fd, &status) != 0 || status.st_size == 0) return false;
  if (status.st_mtim.tv_sec + time_to_write >= ::time(nullptr)) return false;
  char last = '\n';
  return ::pread(fd, &last, 1, status.st_size - 1) == 1 && last != '\n';
}

}  // namespace

Result<void> append_to_log(const std::string& path, std::string_view line) {
  const auto log = open_log(path);
  if (!log) return log.error().path.empty() ? at_path(log.error(), path) : log.error();
  const std::string text = (ends_within_line(log->get()) ? "\n" : "") + std::string(line);
  const SignalSuppressor limit_reached(SIGXFSZ);
  ssize_t n = 0;
  do n = ::write(log->get(), text.data(), text.size());
  while (n < 0 && errno == EINTR);
  if (n == static_cast<ssize_t>(text.size())) return {};
  return Error{ErrorKind::io, "write", path, n < 0 ? errno : ENOSPC};
}

}  // namespace grex::sys
