#include "chaos/claims.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>

namespace {

std::string content_of(const std::string& path) {
  std::array<char, 1024> text;
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return {};
  const ssize_t size = ::read(fd, text.data(), text.size());
  ::close(fd);
  return {text.data(), size > 0 ? static_cast<std::size_t>(size) : 0};
}

bool has_locks(const Identity& process) {
  const Life life = life_of(process.pid);
  return life.has_locks && life.start_time == process.start_time;
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

// False if the process that had signed it was killed, and another job has the claim since.
bool sign_claim(const Job& job, const Job& before, const Claim& claim) {
  const ClaimsLock lock(job, claim.directory);
  if (content_of(claim.file) != text_of_claim(before)) {
    if (has_locks(before.holder)) fail(job, "lost " + claim.file);
    return false;
  }
  const std::string text = text_of_claim(job);
  const int fd = ::open(claim.file.c_str(), O_WRONLY | O_TRUNC | O_CLOEXEC);
  if (::write(fd, text.data(), text.size()) < 0) fail(job, "cannot sign " + claim.file);
  ::close(fd);
  return true;
}

}  // namespace

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

void report(const Job& job, const char* what, const std::string& more) {
  const std::string line = std::string(what) + " " + job.name + " " + more + "\n";
  if (::write(job.events, line.data(), line.size()) < 0) std::perror("claimant: events");
}

[[noreturn]] void fail(const Job& job, const std::string& why) {
  report(job, "wrong", why);
  std::_Exit(overlap_found);
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

void sign_claims(Job& job, std::vector<Claim>& claims) {
  const Job before = job;
  job.holder = {::getpid(), life_of(::getpid()).start_time};
  for (Claim& claim : claims) {
    if (!sign_claim(job, before, claim)) make_claim(job, claim);
  }
}
