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

/// Becomes the program; where that fails, exits with 125.
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

/// Where a process gets its terminal or pipes, and what else is special.
struct Setup {
  std::map<std::string, std::optional<std::string>> environment = {};  ///< nullopt unsets
  std::string directory = {};                                          ///< to start in
  std::function<void()> before_exec = {};                              ///< called in the child, last
  bool own_group = true;  ///< a process group of its own, ended as a whole in the end
};

/// A child process whose standard streams are pipes to us. What it leaves
/// behind in its process group is killed with it, and reaped, when it is dropped.
/// Every wait here is for an event; none has a time in it but the bound after
/// which a test is given up as hung.
class Process {
 public:
  explicit Process(const Words& argv, const Setup& setup = {});
  Process(Process&& other) noexcept;
  Process& operator=(Process&&) = delete;
  ~Process();

  [[nodiscard]] pid_t pid() const { return pid_; }

  /// The next line of standard output, without the newline; throws at its end.
  std::string line();
  /// The next line of standard error.
  std::string error_line();
  /// All that is left of both, up to their end.
  std::string rest();
  std::string error_rest();

  void write(const std::string& text) const;
  void close_input() { in_.reset(); }

  void signal(int number) const;

  /// Comes back when the program runs, for so long; before that, a signal would
  /// meet the test's own code. The time passes on the processor.
  void run_for(std::chrono::nanoseconds time) const;

  /// Waits for its end; how long that took since the program ran.
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

/// The program under test, and its words.
std::string grex_lock();
Words grex_lock(std::initializer_list<std::string> words);

/// grex-lock run to its end.
Finished run_tool(std::initializer_list<std::string> words, const Setup& setup = {});

/// A bash script that calls the tool as "$LOCK" and starts in the directory.
Words bash(const std::string& script);
Setup in(const std::string& directory);

/// As a user who is not root, if we are.
Setup as_nobody();

/// Waits until a process that was left to us, as by `hold --detach`, has ended;
/// kills it first where `how` is not 0.
void reap(pid_t pid, int how = 0);

/// Comes back when the condition holds. For what the kernel shows but does not
/// announce, such as a process having gone to sleep in flock(2).
void until(const std::function<bool()>& condition);

/// How many processes wait for a lock on this file, as /proc/locks shows it.
std::size_t waiters_on(const std::string& path);

/// Whether the file is locked, by a try.
bool is_locked(const std::string& path);

/// A lock on the file as grex takes it (fd-lock: open read-write, create, flock).
Fd lock_as_grex(const std::string& path);

/// Whether sanitizers make the program under test slow.
bool is_sanitized();

/// How often to try what shows itself only by chance, and how many processes a stress
/// test starts: that many, or a fifth of them if sanitizers make each one slow.
int tries(int times);

/// A process with so many locks in the directory that stay, while the others come
/// and go all the time.
Process churning_locks(const std::string& directory, int staying, int coming);

/// A command that says "ready" and lives until its input is closed.
Words until_input_closes();

/// A command that says "ready", then each signal and each line of its input as
/// it comes, and exits with the status at the end of its input.
Words signal_reporter(int status);

/// A shell that runs a script with a file system of FUSE upon the directory, in
/// namespaces of its own, in which flock(2) fails with that error; 0: it works.
/// It exits with 77 where that may not be mounted.
Words on_fuse(const std::string& directory, int flock_error, const std::string& script);

bool process_exists(pid_t pid);

/// The processes that /proc shows.
std::vector<pid_t> all_processes();

/// When a process started, as /proc/PID/stat has it (field 22); 0 if there is none.
std::uint64_t start_time_of(pid_t pid);

/// Writes all of it; a reader that is gone is no error.
void write_all(int fd, const std::string& text);

/// As in /proc/PID/stat: 'R', 'S', 'T', 'Z'…; ' ' if there is none.
char state_of(pid_t pid);

/// For main(): whether any child is left that a test should have ended.
bool left_children();

}  // namespace grex::test
