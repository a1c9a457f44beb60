#include "support/process.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <iterator>
#include <ostream>
#include <set>
#include <sstream>
#include <stdexcept>
#include <system_error>

#include "support/temp_dir.hpp"

namespace grex::test {
namespace {

using Clock = std::chrono::steady_clock;

// After this time, a test is hung, not slow.
constexpr auto hung = std::chrono::seconds(60);

struct Pipe {
  Fd read;
  Fd write;
  Pipe() {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) throw std::runtime_error("pipe2 failed");
    read.reset(ends[0]);
    write.reset(ends[1]);
  }
};

// Appends what one read(2) gives; false at the end of file.
bool read_piece(int fd, std::string& buffer) {
  std::array<char, 16384> piece;
  const ssize_t size = ::read(fd, piece.data(), piece.size());
  if (size < 0 && errno == EINTR) return true;
  if (size <= 0) return false;
  buffer.append(piece.data(), static_cast<std::size_t>(size));
  return true;
}

// The same, but throws once the test counts as hung.
bool read_more(int fd, std::string& buffer) {
  pollfd ready = {fd, POLLIN, 0};
  const int n = ::poll(&ready, 1, static_cast<int>(std::chrono::milliseconds(hung).count()));
  if (n == 0) throw std::runtime_error("hung: nothing to read; so far: " + buffer);
  return read_piece(fd, buffer);
}

std::string take_line(int fd, std::string& buffer) {
  for (;;) {
    const auto end = buffer.find('\n');
    if (end != std::string::npos) {
      std::string line = buffer.substr(0, end);
      buffer.erase(0, end + 1);
      return line;
    }
    if (!read_more(fd, buffer)) throw std::runtime_error("end of file before a line; so far: " + buffer);
  }
}

// The path of another program of the tests, in the directory of this one.
std::string beside_tests(const std::string& name) {
  return std::filesystem::read_symlink("/proc/self/exe").parent_path() / name;
}

// The fields of /proc/PID/stat from the third on: the second, the program's name in
// parentheses, may hold both spaces and parentheses (proc(5)).
std::string stat_fields(pid_t pid) {
  const Fd file(::open(("/proc/" + std::to_string(pid) + "/stat").c_str(), O_RDONLY | O_CLOEXEC));
  std::string stat;  // empty if the process has ended in the meantime
  while (file.is_open() && read_piece(file.get(), stat)) {
  }
  const auto name_end = stat.rfind(") ");
  return name_end == std::string::npos ? std::string() : stat.substr(name_end + 2);
}

struct LockLines {
  std::size_t holders = 0;
  std::size_t waiters = 0;
  bool is_whole = false;  // one read had all lines, and room for another: none can be missing
};

// The lines of /proc/locks about a file:
// 1: FLOCK  ADVISORY  WRITE 1234 08:02:131079 0 EOF
// 1: -> FLOCK  ADVISORY  READ 1240 08:02:131079 0 EOF
LockLines lock_lines_of(const struct stat& st) {
  std::array<char, 64> file{};
  std::snprintf(file.data(), file.size(), " %02x:%02x:%lu ", major(st.st_dev), minor(st.st_dev), st.st_ino);
  LockLines lines;
  std::set<std::string> seen;  // a list that changes while it is read may have a line twice
  const Fd locks(::open("/proc/locks", O_RDONLY | O_CLOEXEC));
  std::string text;
  int pieces = 0;
  while (read_piece(locks.get(), text)) ++pieces;
  constexpr std::size_t half_a_page = 2048;
  lines.is_whole = pieces <= 1 && text.size() <= half_a_page;
  std::istringstream table(text);
  for (std::string line; std::getline(table, line);) {
    if (line.find("FLOCK") == std::string::npos || line.find(file.data()) == std::string::npos) continue;
    if (!seen.insert(line.substr(line.find(':'))).second) continue;  // without its number in the list
    ++(line.find("->") == std::string::npos ? lines.holders : lines.waiters);
  }
  return lines;
}

std::string take_rest(int fd, std::string& buffer) {
  while (read_more(fd, buffer)) {
  }
  return std::exchange(buffer, {});
}

}  // namespace

void exec_or_exit(const Words& argv) {
  std::vector<char*> words;
  for (const std::string& word : argv) words.push_back(const_cast<char*>(word.c_str()));
  words.push_back(nullptr);
  ::execvp(words[0], words.data());
  ::_exit(125);
}

namespace {

[[noreturn]] void become(const Words& argv, const Setup& setup) {
  for (const auto& [name, value] : setup.environment) {
    if (value) {
      ::setenv(name.c_str(), value->c_str(), 1);
    } else {
      ::unsetenv(name.c_str());
    }
  }
  if (!setup.directory.empty() && ::chdir(setup.directory.c_str()) != 0) ::_exit(125);
  ::signal(SIGPIPE, SIG_DFL);
  if (setup.before_exec) setup.before_exec();
  exec_or_exit(argv);
}

}  // namespace

std::ostream& operator<<(std::ostream& out, const Ended& ended) {
  return out << (ended.by_signal ? "killed by signal " : "exit status ") << ended.status;
}

Process::Process(const Words& argv, const Setup& setup) : group_(setup.own_group) {
  Pipe in;
  Pipe out;
  Pipe err;
  pid_ = ::fork();
  if (pid_ < 0) throw std::runtime_error("fork failed");
  if (pid_ == 0) {
    if (setup.own_group) ::setpgid(0, 0);
    ::dup2(in.read.get(), 0);
    ::dup2(out.write.get(), 1);
    ::dup2(err.write.get(), 2);
    become(argv, setup);
  }
  if (setup.own_group) ::setpgid(pid_, pid_);
  in_ = std::move(in.write);
  out_ = std::move(out.read);
  err_ = std::move(err.read);
}

Process::Process(Process&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)),
      group_(other.group_),
      ended_(other.ended_),
      in_(std::move(other.in_)),
      out_(std::move(other.out_)),
      err_(std::move(other.err_)),
      out_buffer_(std::move(other.out_buffer_)),
      err_buffer_(std::move(other.err_buffer_)) {}

Process::~Process() {
  if (pid_ < 0) return;
  if (group_) ::kill(-pid_, SIGKILL);
  if (!ended_) {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  // Orphans of the group are our children now, because main() made us a subreaper.
  while (group_ && ::waitpid(-pid_, nullptr, 0) > 0) {
  }
}

std::string Process::line() { return take_line(out_.get(), out_buffer_); }
std::string Process::error_line() { return take_line(err_.get(), err_buffer_); }
std::string Process::rest() { return take_rest(out_.get(), out_buffer_); }
std::string Process::error_rest() { return take_rest(err_.get(), err_buffer_); }

void Process::write(const std::string& text) const { write_all(in_.get(), text); }

void Process::signal(int number) const { ::kill(pid_, number); }

void Process::run_for(std::chrono::nanoseconds time) const {
  const auto program_of = [](const std::string& process) {
    std::error_code ignored;
    return std::filesystem::read_symlink("/proc/" + process + "/exe", ignored);
  };
  const auto own = program_of("self");
  until([&] { return program_of(std::to_string(pid_)) != own; });
  const auto moment = Clock::now() + time;
  while (Clock::now() < moment) {
  }
}

std::chrono::nanoseconds Process::time_to_end() {
  run_for(std::chrono::nanoseconds::zero());
  const auto start = Clock::now();
  wait();
  return Clock::now() - start;
}

Ended Process::wait() {
  if (ended_) return *ended_;
  // Between two checks, SIGCHLD wakes us; the bound lets us notice a hang.
  sigset_t child;
  sigset_t old;
  sigemptyset(&child);
  sigaddset(&child, SIGCHLD);
  ::sigprocmask(SIG_BLOCK, &child, &old);
  const auto give_up = Clock::now() + hung;
  int status = 0;
  pid_t waited = 0;
  while ((waited = ::waitpid(pid_, &status, WNOHANG)) != pid_) {
    if (waited < 0 || Clock::now() > give_up) {
      ::sigprocmask(SIG_SETMASK, &old, nullptr);
      throw std::runtime_error("hung: the process does not end");
    }
    const timespec bound = {1, 0};
    ::sigtimedwait(&child, nullptr, &bound);
  }
  ::sigprocmask(SIG_SETMASK, &old, nullptr);
  ended_ = WIFSIGNALED(status) ? killed_by(WTERMSIG(status)) : exited(WEXITSTATUS(status));
  return *ended_;
}

Finished finish(const Words& argv, const Setup& setup) {
  Process process(argv, setup);
  process.close_input();
  // Both outputs are small, so that neither pipe fills up.
  Finished finished;
  finished.out = process.rest();
  finished.err = process.error_rest();
  finished.ended = process.wait();
  return finished;
}

std::string grex_lock() {
  const char* const program = ::getenv("GREX_LOCK_BINARY");
  return program != nullptr ? program : beside_tests("../grex-lock");
}

Words grex_lock(std::initializer_list<std::string> words) {
  Words argv = {grex_lock()};
  argv.insert(argv.end(), words.begin(), words.end());
  return argv;
}

Finished run_tool(std::initializer_list<std::string> words, const Setup& setup) {
  return finish(grex_lock(words), setup);
}

Words bash(const std::string& script) { return {"bash", "-c", script}; }

Setup in(const std::string& directory) { return {.environment = {{"LOCK", grex_lock()}}, .directory = directory}; }

Setup as_nobody() {
  return {.before_exec = [] {
    if (::geteuid() == 0 && (::setgid(65534) != 0 || ::setuid(65534) != 0)) ::_exit(2);
  }};
}

namespace {
bool skipped = false;
}  // namespace

void skip(const std::string& why) {
  std::printf("skipped: %s\n", why.c_str());
  skipped = true;
}

bool is_skipped() { return skipped; }

bool can_become_others() {
  if (::geteuid() == 0) return true;
  skip("only root can become other users");
  return false;
}

Setup as_user(unsigned id) {
  return {.before_exec = [id] {
    if (::setgid(id) != 0 || ::setuid(id) != 0) ::_exit(2);
  }};
}

void reap(pid_t pid, int signal) {
  if (signal != 0) ::kill(pid, signal);
  // It becomes our child only when its parent has ended.
  until([pid] { return ::waitpid(pid, nullptr, WNOHANG) == pid || !process_exists(pid); });
}

void until(const std::function<bool()>& condition) {
  const auto give_up = Clock::now() + hung;
  while (!condition()) {
    if (Clock::now() > give_up) throw std::runtime_error("hung: the condition does not come true");
    ::sched_yield();
  }
}

std::size_t waiters_on(const std::string& path) {
  struct stat st;
  if (::stat(path.c_str(), &st) != 0) return 0;
  for (;;) {
    const LockLines lines = lock_lines_of(st);
    // The kernel lists waiters with their holder. If a long list has neither, it may
    // have changed while it was read.
    if (lines.holders > 0 || lines.is_whole || !is_locked(path)) return lines.waiters;
  }
}

bool is_waited_for(const std::string& pack) { return waiters_on(pack + "/.grex-lock") == 1; }

Setup with_stack(const std::string& text) { return {.environment = {{"GREX_LOCK_STACK", text}}}; }

bool is_locked(const std::string& path) {
  const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  return fd.is_open() && ::flock(fd.get(), LOCK_EX | LOCK_NB) != 0;
}

bool has_released_record(const std::string& path) {
  const std::string content = content_of(path);
  return content.starts_with("{\"pid\":") && content.find(",\"released\":\"") != std::string::npos;
}

FlatLayout::FlatLayout() { ::setenv("GREX_LOCK_LAYOUT", "flat", 1); }

FlatLayout::~FlatLayout() { ::unsetenv("GREX_LOCK_LAYOUT"); }

Fd lock_as_grex(const std::string& path) {
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  Fd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666));
  if (!fd.is_open() || ::flock(fd.get(), LOCK_EX) != 0) throw std::runtime_error("cannot lock " + path);
  return fd;
}

Process churning_locks(const std::string& directory, int staying, int changing) {
  Process churn(
      {"python3", "-c",
       "import fcntl, os, sys\n"
       "def opened(name, count):\n"
       "    return [os.open(f'{sys.argv[1]}/{name}-{i}', os.O_RDWR | os.O_CREAT) for i in range(int(count))]\n"
       "for f in opened('staying', sys.argv[2]): fcntl.flock(f, fcntl.LOCK_EX)\n"
       "files = opened('coming', sys.argv[3])\n"
       "print('ready', flush=True)\n"
       "while True:\n"
       "    for f in files: fcntl.flock(f, fcntl.LOCK_EX)\n"
       "    for f in files: fcntl.flock(f, fcntl.LOCK_UN)\n",
       directory, std::to_string(staying), std::to_string(changing)});
  churn.line();
  return churn;
}

FullPipe::FullPipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) throw std::runtime_error("no pipe");
  reader_.reset(ends[0]);
  full_.reset(ends[1]);
  const std::string page(4095, 'x');
  while (::write(full_.get(), page.data(), page.size()) > 0) {
  }
  while (::write(full_.get(), "\n", 1) > 0) {
  }
}

Setup FullPipe::as(int number) const {
  return {.before_exec = [this, number] {
    ::dup2(full_.get(), number);
    ::fcntl(number, F_SETFL, O_WRONLY);
  }};
}

std::string FullPipe::line() {
  for (;;) {
    const auto end = unread_.find('\n');
    if (end != std::string::npos) {
      std::string line = unread_.substr(0, end);
      unread_.erase(0, end + 1);
      if (line.empty() || line.starts_with('x')) continue;
      return line;
    }
    pollfd news = {reader_.get(), POLLIN, 0};
    if (::poll(&news, 1, 60'000) != 1) throw std::runtime_error("nothing is written to the pipe");
    char text[4096];
    const ssize_t size = ::read(reader_.get(), text, sizeof text);
    if (size > 0) unread_.append(text, static_cast<std::size_t>(size));
  }
}

Words until_input_closes() { return {"sh", "-c", "echo ready; read line; exit 0"}; }

Words signal_reporter(int status) { return {beside_tests("signal_reporter"), std::to_string(status)}; }

Words on_fuse(const std::string& directory, int flock_error, const std::string& script) {
  return {"unshare",
          "--user",
          "--map-root-user",
          "--mount",
          beside_tests("fuse_mount"),
          directory,
          std::to_string(flock_error),
          "sh",
          "-c",
          script};
}

bool is_sanitized() { return ::getenv("GREX_LOCK_SANITIZED") != nullptr; }

int tries(int times) { return is_sanitized() ? times / 5 : times; }

std::vector<pid_t> all_processes() {
  std::vector<pid_t> processes;
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    const std::string name = entry.path().filename();
    if (name.find_first_not_of("0123456789") == std::string::npos) processes.push_back(std::stoi(name));
  }
  return processes;
}

std::uint64_t start_time_of(pid_t pid) {
  std::istringstream fields(stat_fields(pid));
  std::string field;
  constexpr int from_state_to_start_time = 20;
  for (int i = 0; i < from_state_to_start_time; ++i) fields >> field;
  return fields ? std::stoull(field) : 0;
}

void write_all(int fd, const std::string& text) {
  std::size_t done = 0;
  while (done < text.size()) {
    const ssize_t n = ::write(fd, text.data() + done, text.size() - done);
    if (n < 0 && errno != EINTR) return;
    if (n > 0) done += static_cast<std::size_t>(n);
  }
}

bool process_exists(pid_t pid) { return ::kill(pid, 0) == 0 || errno == EPERM; }

char state_of(pid_t pid) {
  const std::string fields = stat_fields(pid);
  return fields.empty() ? ' ' : fields.front();
}

std::vector<pid_t> children_of(pid_t pid) {
  const std::string number = std::to_string(pid);
  std::istringstream listed(content_of("/proc/" + number + "/task/" + number + "/children"));
  return {std::istream_iterator<pid_t>(listed), {}};
}

bool left_children() {
  siginfo_t child{};
  return ::waitid(P_ALL, 0, &child, WEXITED | WNOHANG | WNOWAIT) == 0;
}

}  // namespace grex::test
