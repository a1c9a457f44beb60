// The command that the chaos test runs under its locks. It counts overlaps without
// asking grex-lock or flock(2). For each of its locks it makes a file that names the
// process that is in, and removes the file when it is done: a claim.
//
// usage: claimant EVENTS JOB STATUS MICROSECONDS HOLDER CLAIM...
//
// EVENTS is the descriptor for lines about what happens. MICROSECONDS is how long to
// stay in, half of it on the processor. HOLDER is the process that has the locks, 0
// for this one. A CLAIM is DIRECTORY:N, if N processes may be in at a time, or
// DIRECTORY:shared, if any number may be in as long as all are shared.
//
// A claim can outlive its process, since SIGKILL leaves no time to remove it. So it
// names its process, by number and start time, and counts only while that process
// lives. The kernel frees a lock while the holder exits, a moment before the holder is
// a zombie. But an exiting process has PF_EXITING in its flags before any of its
// descriptors is closed (do_exit in kernel/exit.c: exit_signals, exit_files). So a
// process that lives and is not exiting has all its locks: neither it nor a process
// that inherited them can have closed them. Such a claim beside ours is an overlap.
//
// Claims are read and made under a lock of another kind, that of fcntl(2), which the
// kernel frees, too. So if N claims are found alive one after the other, all of them
// were alive when the first was read, and ours makes N + 1.

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

namespace {

constexpr int bad_usage = 64;
constexpr int holder_gone = 3;    // the process to claim for is gone
constexpr int overlap_found = 4;  // or another failure of the claims

struct Identity {
  int pid = 0;
  unsigned long long start_time = 0;
  bool operator==(const Identity&) const = default;
};

struct Job {
  int events = -1;
  std::string name;
  Identity holder;
};

struct Claim {
  std::string directory;
  int slots = 0;  // 0: shared
  std::string file = {};
};

std::string content_of(const std::string& path) {
  std::array<char, 1024> text;
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return {};
  const ssize_t size = ::read(fd, text.data(), text.size());
  ::close(fd);
  return {text.data(), size > 0 ? static_cast<std::size_t>(size) : 0};
}

struct Life {
  unsigned long long start_time = 0;
  bool has_locks = false;
};

Life life_of(int pid) {
  constexpr unsigned pf_exiting = 4;  // include/linux/sched.h
  const std::string stat = content_of("/proc/" + std::to_string(pid) + "/stat");
  const auto name_end = stat.rfind(')');
  if (name_end == std::string::npos) return {};
  char state = 0;
  unsigned flags = 0;
  Life life;
  // proc(5): state is field 3, flags 9, starttime 22.
  const int read = std::sscanf(stat.c_str() + name_end + 1,
                               " %c %*d %*d %*d %*d %*d %u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu",
                               &state, &flags, &life.start_time);
  life.has_locks = read == 3 && state != 'Z' && state != 'X' && (flags & pf_exiting) == 0;
  return life;
}

bool has_locks(const Identity& process) {
  const Life life = life_of(process.pid);
  return life.has_locks && life.start_time == process.start_time;
}

// One write of less than PIPE_BUF, so that lines of several processes do not mix.
void report(const Job& job, const char* what, const std::string& more = {}) {
  const std::string line = std::string(what) + " " + job.name + " " + more + "\n";
  if (::write(job.events, line.data(), line.size()) < 0) std::perror("claimant: events");
}

// Other jobs will use the stack of this one, also when it is no longer true.
void report_stack(const Job& job) {
  constexpr std::size_t fits_in_a_line = 3500;  // of PIPE_BUF bytes, as report() needs it
  const char* const stack = std::getenv("GREX_LOCK_STACK");
  if (stack != nullptr && std::string_view(stack).size() < fits_in_a_line) report(job, "stack", stack);
}

[[noreturn]] void fail(const Job& job, const std::string& why) {
  report(job, "wrong", why);
  std::_Exit(overlap_found);
}

// The job whose claim this file is, if the claim counts. A file that does not count is removed.
std::string live_claim(const std::string& path) {
  const std::string text = content_of(path);
  Identity owner;
  std::array<char, 64> name{};
  if (std::sscanf(text.c_str(), "%d %llu %63s", &owner.pid, &owner.start_time, name.data()) == 3 && has_locks(owner)) {
    return name.data();
  }
  ::unlink(path.c_str());  // a dead claim stays dead, and no other process can make one now
  return {};
}

std::vector<std::string> sharers_in(const std::string& directory) {
  std::vector<std::string> files;
  DIR* const dir = ::opendir(directory.c_str());
  while (const dirent* entry = dir != nullptr ? ::readdir(dir) : nullptr) {
    const std::string name = entry->d_name;
    if (name.starts_with("shared.")) files.push_back(directory + "/" + name);
  }
  if (dir != nullptr) ::closedir(dir);
  return files;
}

// While it lives, no other process reads or changes the claims of a directory.
class ClaimsLock {
 public:
  ClaimsLock(const Job& job, const std::string& directory)
      : fd_(::open((directory + "/alone").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600)) {
    struct flock whole {};
    whole.l_type = F_WRLCK;
    whole.l_whence = SEEK_SET;
    int failed = 0;
    while ((failed = ::fcntl(fd_, F_SETLKW, &whole)) != 0 && errno == EINTR) {
    }
    if (failed != 0) fail(job, "cannot lock the claims of " + directory);
  }
  ~ClaimsLock() { ::close(fd_); }
  ClaimsLock(const ClaimsLock&) = delete;
  ClaimsLock& operator=(const ClaimsLock&) = delete;

 private:
  int fd_;
};

std::string text_of_claim(const Job& job) {
  return std::to_string(job.holder.pid) + " " + std::to_string(job.holder.start_time) + " " + job.name + "\n";
}

bool make_file(const Job& job, const std::string& path) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) return false;
  const std::string text = text_of_claim(job);
  // A process that is killed between open and write leaves an empty claim, which does not count.
  const bool written = ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  ::close(fd);
  return written;
}

void make_claim(const Job& job, Claim& claim) {
  const ClaimsLock lock(job, claim.directory);
  std::string others;
  const auto note_if_live = [&others](const std::string& path) {
    const std::string owner = live_claim(path);
    if (!owner.empty()) others += " " + owner;
    return !owner.empty();
  };
  bool full = true;
  for (int i = 0; i < std::max(claim.slots, 1); ++i) {
    const std::string path = claim.directory + "/" + std::to_string(i);
    if (note_if_live(path)) continue;
    full = false;
    claim.file = path;
  }
  if (claim.slots == 0) claim.file = claim.directory + "/shared." + job.name;
  if (claim.slots == 1) {
    for (const std::string& path : sharers_in(claim.directory)) full = note_if_live(path) || full;
  }
  if (full) {
    // A holder that was killed in the meantime has lost its locks to them.
    if (!has_locks(job.holder)) std::_Exit(holder_gone);
    fail(job, "is in " + claim.directory + " together with" + others);
  }
  if (!make_file(job, claim.file)) fail(job, "cannot make " + claim.file);
}

void remove_claim(const Job& job, const Claim& claim) {
  const ClaimsLock lock(job, claim.directory);
  if (content_of(claim.file) == text_of_claim(job)) {
    ::unlink(claim.file.c_str());
  } else if (has_locks(job.holder)) {
    fail(job, "lost " + claim.file);
  }
}

// Spends the time half asleep and half on the processor.
void stay_in(std::chrono::microseconds time) {
  using std::chrono::steady_clock;
  ::usleep(static_cast<useconds_t>(time.count() / 2));
  const auto until = steady_clock::now() + time / 2;
  while (steady_clock::now() < until) {
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 6) return bad_usage;
  Job job{std::atoi(argv[1]), argv[2], {std::atoi(argv[5]), 0}};
  if (job.holder.pid == 0) job.holder.pid = ::getpid();
  const Life life = life_of(job.holder.pid);
  if (!life.has_locks) return holder_gone;
  job.holder.start_time = life.start_time;

  std::vector<Claim> claims;
  for (int i = 6; i < argc; ++i) {
    const std::string text = argv[i];
    const auto colon = text.rfind(':');
    claims.push_back({text.substr(0, colon), std::atoi(text.c_str() + colon + 1)});
  }
  report_stack(job);
  for (Claim& claim : claims) make_claim(job, claim);
  report(job, "in", std::to_string(::getpid()) + " " + std::to_string(::getppid()));
  stay_in(std::chrono::microseconds(std::atoi(argv[4])));
  for (const Claim& claim : claims) remove_claim(job, claim);
  report(job, "out");
  return std::atoi(argv[3]);
}
