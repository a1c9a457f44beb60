#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "support/fd.hpp"

namespace grex::test {

using Words = std::vector<std::string>;

/// Executes the program in this process; exits with 125 if that fails.
[[noreturn]] void exec_or_exit(const Words& argv);

/// How a process ended.
struct Ended {
  bool by_signal = false;
  int status = 0;  ///< exit status, or the signal
  bool operator==(const Ended&) const = default;
};
inline Ended exited(int status) { return {false, status}; }
inline Ended killed_by(int signal) { return {true, signal}; }
std::ostream& operator<<(std::ostream& out, const Ended& ended);

/// Settings for a process that a test starts.
struct Setup {
  std::map<std::string, std::optional<std::string>> environment = {};  ///< nullopt unsets
  std::string directory = {};                                          ///< to start in
  std::function<void()> before_exec = {};                              ///< called in the child, last
  bool own_group = true;  ///< in its own process group, which is killed with it
};

/// For a process to which GREX_LOCK_STACK passes on this text.
Setup with_stack(const std::string& text);

/// A child process whose standard streams are pipes to us. The destructor kills and reaps
/// it, and all that it left in its process group. Every wait here is for an event; the only
/// time limit is the bound after which a test counts as hung.
class Process {
 public:
  explicit Process(const Words& argv, const Setup& setup = {});
  Process(Process&& other) noexcept;
  Process& operator=(Process&&) = delete;
  ~Process();

  [[nodiscard]] pid_t pid() const { return pid_; }

  /// The next line of standard output, without the newline; throws at end of file.
  std::string line();
  /// The next line of standard error.
  std::string error_line();
  /// The rest of each stream, up to end of file.
  std::string rest();
  std::string error_rest();

  void write(const std::string& text) const;
  void close_input() { in_.reset(); }

  void signal(int number) const;

  /// Waits until exec has succeeded, because a signal before that would hit the test's own
  /// code, and then for this time, without sleeping.
  void run_for(std::chrono::nanoseconds time) const;

  /// Waits for its end; returns how long that took after exec succeeded.
  std::chrono::nanoseconds time_to_end();
  Ended wait();

 private:
  pid_t pid_ = -1;
  bool group_ = true;
  std::optional<Ended> ended_;
  Fd in_;
  Fd out_;
  Fd err_;
  std::string out_buffer_;
  std::string err_buffer_;
};

/// A command that was run to its end.
struct Finished {
  Ended ended;
  std::string out;
  std::string err;
};
Finished finish(const Words& argv, const Setup& setup = {});

/// The path of the program under test, and a command line with these words.
std::string grex_lock();
Words grex_lock(std::initializer_list<std::string> words);

/// grex-lock run to its end.
Finished run_tool(std::initializer_list<std::string> words, const Setup& setup = {});

/// A bash script that calls the tool as "$LOCK" and starts in the directory.
Words bash(const std::string& script);
Setup in(const std::string& directory);

/// Runs the program as the user nobody if we are root.
Setup as_nobody();

/// As any user, for root.
Setup as_user(unsigned id);

/// For a test that can't be run here, and must then return: prints why, and makes main()
/// exit with skipped_status unless something has failed.
void skip(const std::string& why);
bool is_skipped();
constexpr int skipped_status = 77;

/// Whether we can become other users, as root; skips the test if not.
bool can_become_others();

/// Waits until an orphan that is our child now, as after `hold --detach`, has ended. Sends
/// it the signal first, unless that is 0.
void reap(pid_t pid, int signal = 0);

/// Waits until the condition holds. For what the kernel shows but does not announce, such
/// as a process that sleeps in flock(2).
void until(const std::function<bool()>& condition);

/// How many processes wait for a lock on this file, from /proc/locks.
std::size_t waiters_on(const std::string& path);

/// Whether one process waits for the flat lock of a pack.
bool is_waited_for(const std::string& pack);

/// Whether the file is locked; tries to lock it.
bool is_locked(const std::string& path);

/// Whether the lock file's record says that its holder has released it.
bool has_released_record(const std::string& path);

/// While this lives, grex-lock uses layout flat unless told otherwise: for tests of what
/// happens to one lock file.
class FlatLayout {
 public:
  FlatLayout();
  ~FlatLayout();
  FlatLayout(const FlatLayout&) = delete;
  FlatLayout& operator=(const FlatLayout&) = delete;
};

/// A lock on the file as grex takes it (fd-lock: open read-write, create, flock), with the
/// directories above it.
Fd lock_as_grex(const std::string& path);

/// Whether sanitizers make the program under test slow.
bool is_sanitized();

/// How often to try what happens only by chance, or how many processes a stress test
/// starts: `times`, or a fifth of that if sanitizers make each one slow.
int tries(int times);

/// A process that holds `staying` locks in the directory, and keeps taking and releasing
/// `changing` others.
Process churning_locks(const std::string& directory, int staying, int changing);

/// A full pipe, with a reader that does not read.
class FullPipe {
 public:
  FullPipe();
  /// For a process with the pipe as this descriptor.
  [[nodiscard]] Setup as(int number) const;
  /// The next line that was written by a process, after what fills the pipe.
  std::string line();
  [[nodiscard]] int reader() const { return reader_.get(); }

 private:
  Fd reader_;
  Fd full_;
  std::string unread_;
};

/// A command that prints "ready" and runs until its input is closed.
Words until_input_closes();

/// A command that prints "ready", then each signal and each line of its input as it
/// comes, and exits with the status at the end of its input.
Words signal_reporter(int status);

/// A shell that runs a script in its own namespaces, with a FUSE file system mounted on
/// the directory. flock(2) fails there with the error, or works if that is 0. The shell
/// exits with 77 if FUSE can't be mounted.
Words on_fuse(const std::string& directory, int flock_error, const std::string& script);

bool process_exists(pid_t pid);

/// The processes that /proc shows.
std::vector<pid_t> all_processes();

/// The start time of a process, field 22 of /proc/PID/stat; 0 if there is no such process.
std::uint64_t start_time_of(pid_t pid);

/// Writes the whole text; ignores errors, such as a reader that is gone.
void write_all(int fd, const std::string& text);

/// The state of a process as in /proc/PID/stat: 'R', 'S', 'T', 'Z'…; ' ' if there is no
/// such process.
char state_of(pid_t pid);

/// The children of its main thread, also those that are not reaped.
std::vector<pid_t> children_of(pid_t pid);

/// For main(): whether any child is left that a test should have ended.
bool left_children();

}  // namespace grex::test
