#include "sys/process/proc.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <string_view>

#include "base/text.hpp"
#include "sys/file/io.hpp"
#include "sys/process/proc_text.hpp"

namespace grex::sys {
namespace {

constexpr std::size_t small_file = 64UL * 1024;
constexpr std::size_t big_table = 256UL * 1024 * 1024;

std::string process_path(pid_t pid, const std::string& name) {
  return "/proc/" + (pid == own_process ? "self" : std::to_string(pid)) + "/" + name;
}

std::optional<std::string> text_of(const std::string& path, std::size_t limit) {
  auto text = read_file(path, limit);
  if (!text) return std::nullopt;
  return std::move(*text);
}

std::optional<std::string> target_of(const std::string& link) {
  std::array<char, PATH_MAX> buffer;
  const ssize_t n = ::readlink(link.c_str(), buffer.data(), buffer.size());
  if (n < 0) return std::nullopt;
  return std::string(buffer.data(), static_cast<std::size_t>(n));
}

// The file to which a link of /proc leads. Asks no server for it.
std::optional<FileId> file_at(const std::string& link) {
  struct statx st;
  if (::statx(AT_FDCWD, link.c_str(), AT_STATX_DONT_SYNC, STATX_INO, &st) != 0) return std::nullopt;
  return FileId{makedev(st.stx_dev_major, st.stx_dev_minor), st.stx_ino};
}

// Since Linux 6.2, the size of /proc/PID/fd is the number of descriptors (fs/proc/fd.c,
// proc_readfd_count); before, it is always 0, even for this process. Reading the size is
// faster than listing them, and most processes of a machine may be kernel threads, which
// have none. If a process's main thread has ended, the size is 0 and the list is empty.
bool has_no_descriptor(const std::string& directory) {
  const auto size_of = [](const std::string& path) {
    struct stat st;
    return ::stat(path.c_str(), &st) == 0 ? st.st_size : -1;
  };
  static const bool has_sizes = size_of("/proc/self/fd") > 0;
  return has_sizes && size_of(directory) == 0;
}

// A descriptor by its name in /proc/PID/fd; nullopt if it is none, or was closed.
std::optional<OpenDescriptor> descriptor_at(int directory, const char* name, pid_t pid) {
  const auto number = parse_number<int>(name);
  if (!number) return std::nullopt;
  // Cached attributes will do: the descriptor may lead to a server that does not answer.
  struct statx st;
  if (::statx(directory, name, AT_STATX_DONT_SYNC, STATX_INO | STATX_TYPE, &st) != 0) {
    return errno == ENOENT ? std::nullopt : std::optional(OpenDescriptor{pid, *number, {}, false});
  }
  const FileId id = {makedev(st.stx_dev_major, st.stx_dev_minor), st.stx_ino};
  return OpenDescriptor{pid, *number, id, S_ISREG(st.stx_mode)};
}

}  // namespace

LockTableText lock_table_text(const StopToken& should_stop) {
  LockTableText table;
  const UniqueFd fd(::open("/proc/locks", O_RDONLY | O_CLOEXEC));
  if (!fd.is_open()) return table;
  constexpr std::size_t half_a_page = 2048;
  std::array<char, 4096> piece;  // the kernel returns no more at a time (fs/seq_file.c)
  int pieces = 0;
  ssize_t size = 0;
  while ((size = ::read(fd.get(), piece.data(), piece.size())) > 0) {
    table.text.append(piece.data(), static_cast<std::size_t>(size));
    table.is_cut = ++pieces > 1 && should_stop();
    if (table.is_cut) return table;
  }
  table.single_read = size == 0 && pieces <= 1 && table.text.size() <= half_a_page;
  return table;
}

std::string mount_table_text(pid_t pid) { return text_of(process_path(pid, "mountinfo"), big_table).value_or(""); }

std::optional<std::string> process_file(pid_t pid, const std::string& name) {
  return text_of(process_path(pid, name), small_file);
}

std::optional<std::string> process_environment(pid_t pid) { return text_of(process_path(pid, "environ"), big_table); }

std::string passwd_text() {
  constexpr std::size_t longest_passwd = 16UL * 1024 * 1024;
  return text_of("/etc/passwd", longest_passwd).value_or("");
}

std::string user_name(uid_t uid) { return parse_user_name(passwd_text(), uid).value_or("uid " + std::to_string(uid)); }

std::optional<std::string> process_link(pid_t pid, const std::string& name) {
  return target_of(process_path(pid, name));
}

std::string in_root_of(pid_t pid, const std::string& path) { return process_path(pid, "root") + path; }

std::string boot_id() {
  std::string id = text_of("/proc/sys/kernel/random/boot_id", small_file).value_or("");
  while (!id.empty() && id.back() == '\n') id.pop_back();
  return id;
}

std::optional<std::vector<pid_t>> processes() {
  const auto names = names_in("/proc");
  if (!names) return std::nullopt;
  std::vector<pid_t> pids;
  for (const std::string& name : *names) {
    if (const auto pid = parse_number<int>(name)) pids.push_back(*pid);
  }
  std::sort(pids.begin(), pids.end());
  return pids;
}

std::string command_name_of(pid_t pid) {
  return std::string(parse_command_name(process_file(pid, "stat").value_or("")));
}

std::optional<std::size_t> thread_count(pid_t pid) {
  const auto names = names_in(process_path(pid, "task"));
  return names ? std::optional(names->size()) : std::nullopt;
}

std::optional<std::vector<pid_t>> children_of(pid_t pid) {
  const auto threads = names_in(process_path(pid, "task"));
  if (!threads) return std::nullopt;
  std::vector<pid_t> children;
  for (const std::string& thread : *threads) {
    const auto listed = process_file(pid, "task/" + thread + "/children");
    if (!listed) return std::nullopt;
    const auto of_thread = parse_children(*listed);
    children.insert(children.end(), of_thread.begin(), of_thread.end());
  }
  return children;
}

std::optional<pid_t> session_of(pid_t pid) {
  const pid_t session = ::getsid(pid);
  return session < 0 ? std::nullopt : std::optional(session);
}

Existence existence_of(pid_t pid) {
  return ::kill(pid, 0) == 0 || errno == EPERM ? Existence::exists : Existence::gone;
}

std::optional<uid_t> owner_of(pid_t pid) {
  struct stat st;
  if (::stat(("/proc/" + std::to_string(pid)).c_str(), &st) != 0) return std::nullopt;
  return st.st_uid;
}

std::optional<FileId> program_of(pid_t pid) { return file_at(process_path(pid, "exe")); }

std::optional<FileId> root_of(pid_t pid) { return file_at(process_path(pid, "root")); }

std::optional<std::vector<OpenDescriptor>> descriptors_of(pid_t pid, const StopToken& should_stop) {
  const std::string path = process_path(pid, "fd");
  if (has_no_descriptor(path)) return std::vector<OpenDescriptor>();
  const UniqueFd directory = open_at(AT_FDCWD, path, O_RDONLY | O_DIRECTORY);
  std::vector<OpenDescriptor> found;
  // Small: a process that may not be inspected can have hundreds, and no more are listed then.
  alignas(dirent64) std::array<char, 1024> entries;
  ssize_t size = 0;
  while ((size = ::getdents64(directory.get(), entries.data(), entries.size())) > 0) {
    for (ssize_t at = 0; at < size;) {
      const auto* const entry = reinterpret_cast<const dirent64*>(&entries[static_cast<std::size_t>(at)]);
      at += entry->d_reclen;
      constexpr std::size_t ask_every = 256;
      if (found.size() % ask_every == ask_every - 1 && should_stop()) return std::nullopt;
      const auto descriptor = descriptor_at(directory.get(), entry->d_name, pid);
      if (!descriptor) continue;
      const bool is_hidden = descriptor->file == FileId{};
      if (is_hidden && found.empty() && !descriptor_info(*descriptor)) return std::nullopt;  // as are all others
      found.push_back(*descriptor);
    }
  }
  return size == 0 ? std::optional(std::move(found)) : std::nullopt;
}

std::optional<std::string> path_of(const OpenDescriptor& descriptor) {
  auto path = process_link(descriptor.pid, "fd/" + std::to_string(descriptor.number));
  const bool is_too_long = !path && errno == ENAMETOOLONG;
  return is_too_long ? std::nullopt : std::optional(std::move(path).value_or(""));
}

std::optional<FileStatus> status_of(const OpenDescriptor& descriptor) {
  struct statx st;
  const std::string link = process_path(descriptor.pid, "fd/" + std::to_string(descriptor.number));
  if (::statx(AT_FDCWD, link.c_str(), AT_STATX_DONT_SYNC, STATX_BASIC_STATS, &st) != 0) return std::nullopt;
  FileStatus status{S_ISREG(st.stx_mode) ? FileType::regular : FileType::other,
                    {makedev(st.stx_dev_major, st.stx_dev_minor), st.stx_ino}};
  status.size = st.stx_size;
  status.names = st.stx_nlink;
  status.modified = std::chrono::seconds(st.stx_mtime.tv_sec) + std::chrono::nanoseconds(st.stx_mtime.tv_nsec);
  status.changed = std::chrono::seconds(st.stx_ctime.tv_sec) + std::chrono::nanoseconds(st.stx_ctime.tv_nsec);
  status.owner = st.stx_uid;
  constexpr mode_t mode_bits = 07777;
  status.permissions = st.stx_mode & mode_bits;
  return status.id == descriptor.file ? std::optional(status) : std::nullopt;
}

UniqueFd open_file_of(const OpenDescriptor& descriptor) {
  const std::string link = process_path(descriptor.pid, "fd/" + std::to_string(descriptor.number));
  UniqueFd fd = open_at(AT_FDCWD, link, O_RDONLY | O_NONBLOCK | O_NOCTTY);
  const auto status = fd.is_open() ? status_of(fd.get()) : FileStatus{};
  const bool is_it = status && status->type == FileType::regular && status->id == descriptor.file;
  return is_it ? std::move(fd) : UniqueFd();
}

std::optional<std::string> descriptor_info(const OpenDescriptor& descriptor) {
  return process_file(descriptor.pid, "fdinfo/" + std::to_string(descriptor.number));
}

pid_t own_pid() { return ::getpid(); }

std::optional<pid_t> own_pid_in_proc() {
  const auto name = target_of("/proc/self");
  return name ? parse_number<pid_t>(*name) : std::nullopt;
}

uid_t own_uid() { return ::getuid(); }

uid_t effective_uid() { return ::geteuid(); }

bool is_privileged_program() { return ::getauxval(AT_SECURE) != 0; }

pid_t parent_pid() { return ::getppid(); }

bool is_open_in_parent(int fd) {
  const pid_t parent = parent_pid();  // 0 in an outer PID namespace
  return parent > 0 && process_link(parent, "fd/" + std::to_string(fd));
}

char** environment() { return environ; }

std::string host_name() {
  std::array<char, HOST_NAME_MAX + 1> name{};
  if (::gethostname(name.data(), name.size() - 1) != 0) return {};
  return name.data();
}

std::int64_t nanoseconds_per_tick() {
  constexpr std::int64_t second = 1'000'000'000;
  return second / ::sysconf(_SC_CLK_TCK);
}

unsigned cpu_count() {
  cpu_set_t set;
  if (::sched_getaffinity(0, sizeof set, &set) != 0) return 1;
  return static_cast<unsigned>(std::max(1, CPU_COUNT(&set)));
}

// include/linux/proc_ns.h, PROC_USER_INIT_INO
bool is_root_of_machine() {
  return effective_uid() == 0 && process_link(own_process, "ns/user") == "user:[4026531837]";
}

bool in_initial_pid_namespace() { return process_link(own_process, "ns/pid") == "pid:[4026531836]"; }

}  // namespace grex::sys
