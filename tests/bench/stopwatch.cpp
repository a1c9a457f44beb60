// Starts commands and measures them. It is small, because starting a process costs
// more if its parent is big, and because the peak memory of a process includes
// that of its parent. On the command line, a "," precedes each command, and
// VAR=VALUE settings may follow it, as with env(1). Each command must exit with 0;
// its output is discarded.
//
//   stopwatch each ROUNDS , CMD... , CMD...   runs every command once a round, in
//       random order; prints, for each run, the command's number, the nanoseconds,
//       those of processor time, peak memory in KiB, minor faults
//   stopwatch crowd TOTAL AT_ONCE , CMD...    runs CMD TOTAL times, AT_ONCE at a
//       time; prints the nanoseconds of the whole
//   stopwatch handover ROUNDS FILE , CMD... , CMD...   holds a lock on FILE until
//       CMD waits for it; prints the command's number, and the nanoseconds from
//       the unlock to the time that CMD writes, by the program `clock`
//   stopwatch wait SECONDS , CMD...           gives CMD a terminal, and sends it
//       SIGTERM after SECONDS; prints its processor time in nanoseconds, and the
//       number of bytes that it wrote to the terminal

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

namespace {

using Nanoseconds = long long;

// Also terminates what it has started, if it leads a process group.
[[noreturn]] void fail(const char* what, const char* which) {
  (void)fprintf(stderr, "stopwatch: %s: %s\n", what, which);
  if (::getpgrp() == ::getpid()) {
    ::signal(SIGTERM, SIG_IGN);
    ::kill(0, SIGTERM);
    while (::wait(nullptr) > 0) {
    }
  }
  ::exit(1);
}

Nanoseconds now() {
  timespec time{};
  ::clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1'000'000'000LL + time.tv_nsec;
}

void pause_for(long nanoseconds) {
  const timespec time = {0, nanoseconds};
  ::nanosleep(&time, nullptr);
}

struct Command {
  std::vector<char*> environment;
  std::vector<char*> words;
};

// Splits the words at each ",".
std::vector<Command> parse_commands(char** first, char** last) {
  std::vector<Command> commands;
  for (; first != last; ++first) {
    if (strcmp(*first, ",") == 0) {
      commands.emplace_back();
      for (char** variable = environ; *variable != nullptr; ++variable) {
        commands.back().environment.push_back(*variable);
      }
      continue;
    }
    if (commands.empty()) fail("no ',' before", *first);
    Command& command = commands.back();
    const bool is_setting = command.words.empty() && strchr(*first, '=') != nullptr;
    (is_setting ? command.environment : command.words).push_back(*first);
  }
  if (commands.empty()) fail("no command", "");
  for (Command& command : commands) {
    if (command.words.empty()) fail("no command", "after ','");
    command.environment.push_back(nullptr);
    command.words.push_back(nullptr);
  }
  return commands;
}

struct Streams {
  int out = -1;                    ///< -1: /dev/null
  const char* terminal = nullptr;  ///< for standard error; becomes the controlling terminal
};

pid_t start(const Command& command, const Streams& streams) {
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  if (streams.out < 0) {
    ::posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  } else {
    ::posix_spawn_file_actions_adddup2(&actions, streams.out, STDOUT_FILENO);
  }
  posix_spawnattr_t attributes;
  ::posix_spawnattr_init(&attributes);
  if (streams.terminal != nullptr) {
    ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID);
    ::posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, streams.terminal, O_RDWR, 0);
  }
  pid_t pid = -1;
  const int err =
      ::posix_spawnp(&pid, command.words[0], &actions, &attributes, command.words.data(), command.environment.data());
  if (err != 0) fail(command.words[0], ::strerror(err));
  ::posix_spawnattr_destroy(&attributes);
  ::posix_spawn_file_actions_destroy(&actions);
  return pid;
}

struct End {
  int status = 0;
  rusage usage{};
};

End wait_for(pid_t pid) {
  End end;
  if (::wait4(pid, &end.status, 0, &end.usage) < 0) fail("wait4", ::strerror(errno));
  return end;
}

void require_success(const End& end, const Command& command) {
  if (WIFEXITED(end.status) && WEXITSTATUS(end.status) == 0) return;
  std::string line;
  for (const char* word : command.words) line += word != nullptr ? std::string(word) + " " : "";
  fail(("wait status " + std::to_string(end.status)).c_str(), line.c_str());
}

Nanoseconds processor_time(const rusage& usage) {
  const long seconds = usage.ru_utime.tv_sec + usage.ru_stime.tv_sec;
  return seconds * 1'000'000'000LL + (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1000LL;
}

// A random order, in which no command always follows the same one.
std::vector<std::size_t> shuffled(std::size_t count) {
  std::vector<std::size_t> order(count);
  for (std::size_t i = 0; i < count; ++i) order[i] = i;
  for (std::size_t i = count; i > 1; --i) std::swap(order[i - 1], order[static_cast<std::size_t>(::random()) % i]);
  return order;
}

void each(int rounds, const std::vector<Command>& commands) {
  for (int round = 0; round < rounds; ++round) {
    for (const std::size_t i : shuffled(commands.size())) {
      const Nanoseconds before = now();
      const End end = wait_for(start(commands[i], {}));
      const Nanoseconds after = now();
      require_success(end, commands[i]);
      (void)printf("%zu %lld %lld %ld %ld\n", i, after - before, processor_time(end.usage), end.usage.ru_maxrss,
                   end.usage.ru_minflt);
    }
  }
}

void crowd(int total, int at_once, const Command& command) {
  const Nanoseconds before = now();
  for (int started = 0, ended = 0; ended < total;) {
    if (started < total && started - ended < at_once) {
      start(command, {});
      ++started;
    } else {
      require_success(wait_for(-1), command);
      ++ended;
    }
  }
  (void)printf("%lld\n", now() - before);
}

// Whether /proc/locks shows that a process waits for a lock.
bool waits(pid_t pid) {
  FILE* const file = ::fopen("/proc/locks", "re");
  if (file == nullptr) fail("/proc/locks", ::strerror(errno));
  const std::string process = " " + std::to_string(pid) + " ";
  bool found = false;
  char line[256];
  while (!found && ::fgets(line, sizeof line, file) != nullptr) {
    found = ::strstr(line, "-> FLOCK") != nullptr && ::strstr(line, process.c_str()) != nullptr;
  }
  ::fclose(file);
  return found;
}

// Locks a file in a process of its own. A lock of this one would be that of an ancestor of the
// commands, which they report as a deadlock.
class Keeper {
 public:
  explicit Keeper(const char* file) {
    int requests[2];
    int replies[2];
    if (::pipe2(requests, O_CLOEXEC) != 0 || ::pipe2(replies, O_CLOEXEC) != 0) fail("pipe", ::strerror(errno));
    const pid_t pid = ::fork();
    if (pid < 0) fail("fork", ::strerror(errno));
    if (pid == 0) {
      ::close(requests[1]);
      serve(file, requests[0], replies[1]);
    }
    ::close(requests[0]);
    ::close(replies[1]);
    requests_ = requests[1];
    replies_ = replies[0];
  }

  void lock() { (void)ask(LOCK_EX); }
  // Returns the time just before.
  Nanoseconds unlock() { return ask(LOCK_UN); }

 private:
  // Ends with the other process, or when that has closed its end.
  [[noreturn]] static void serve(const char* file, int requests, int replies) {
    const int lock = ::open(file, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    int operation = 0;
    while (::read(requests, &operation, sizeof operation) == sizeof operation) {
      const Nanoseconds before = now();
      if (::flock(lock, operation) != 0 || ::write(replies, &before, sizeof before) != sizeof before) break;
    }
    ::_exit(0);
  }
  [[nodiscard]] Nanoseconds ask(int operation) const {
    Nanoseconds before = 0;
    const bool is_done = ::write(requests_, &operation, sizeof operation) == sizeof operation &&
                         ::read(replies_, &before, sizeof before) == sizeof before;
    if (!is_done) fail("lock", "its process has ended");
    return before;
  }

  int requests_;
  int replies_;
};

void handover(int rounds, const char* file, const std::vector<Command>& commands) {
  int words[2];
  if (::pipe2(words, O_CLOEXEC) != 0) fail("pipe", ::strerror(errno));
  Keeper keeper(file);
  for (int round = 0; round < rounds; ++round) {
    for (const std::size_t i : shuffled(commands.size())) {
      keeper.lock();
      const pid_t pid = start(commands[i], {words[1], nullptr});
      while (!waits(pid)) pause_for(1'000'000);
      pause_for(5'000'000);  // by then, it does nothing but wait
      const Nanoseconds before = keeper.unlock();
      Nanoseconds begun = 0;
      if (::read(words[0], &begun, sizeof begun) != sizeof begun) fail("read", ::strerror(errno));
      require_success(wait_for(pid), commands[i]);
      (void)printf("%zu %lld\n", i, begun - before);
    }
  }
}

void wait_on_terminal(int seconds, const Command& command) {
  const int terminal = ::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
  const winsize size = {24, 100, 0, 0};
  if (terminal < 0 || ::grantpt(terminal) != 0 || ::unlockpt(terminal) != 0) fail("pty", ::strerror(errno));
  ::ioctl(terminal, TIOCSWINSZ, &size);
  const pid_t pid = start(command, {-1, ::ptsname(terminal)});
  const Nanoseconds end = now() + seconds * 1'000'000'000LL;
  long written = 0;
  for (Nanoseconds left = end - now(); left > 0; left = end - now()) {
    pollfd news = {terminal, POLLIN, 0};
    char buffer[4096];
    if (::poll(&news, 1, static_cast<int>(left / 1'000'000) + 1) > 0) {
      written += std::max<ssize_t>(0, ::read(terminal, buffer, sizeof buffer));
    }
  }
  ::kill(pid, SIGTERM);
  const End ended = wait_for(pid);
  const bool by_signal = WIFSIGNALED(ended.status) || WEXITSTATUS(ended.status) == 128 + SIGTERM;
  if (!by_signal) fail("it did not wait", command.words[0]);
  (void)printf("%lld %ld\n", processor_time(ended.usage), written);
}

}  // namespace

int main(int argc, char** argv) {
  ::setvbuf(stdout, nullptr, _IOFBF, 1 << 16);
  const std::string mode = argc > 1 ? argv[1] : "";
  const int parameters = mode == "crowd" || mode == "handover" ? 2 : 1;
  if (argc < 3 + parameters) fail("usage", "see stopwatch.cpp");
  const auto commands = parse_commands(argv + 2 + parameters, argv + argc);
  const int count = ::atoi(argv[2]);
  if (mode == "each") {
    each(count, commands);
  } else if (mode == "crowd") {
    crowd(count, ::atoi(argv[3]), commands.front());
  } else if (mode == "handover") {
    handover(count, argv[3], commands);
  } else if (mode == "wait") {
    wait_on_terminal(count, commands.front());
  } else {
    fail("unknown mode", mode.c_str());
  }
}
