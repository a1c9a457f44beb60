#pragma once

// For each of its locks, a claimant makes a file that names the process that is in, and
// removes the file when it is done: a claim.
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

#include <string>
#include <vector>

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

struct Life {
  unsigned long long start_time = 0;
  bool has_locks = false;
};

Life life_of(int pid);

// One write of less than PIPE_BUF, so that lines of several processes do not mix.
void report(const Job& job, const char* what, const std::string& more = {});

// Reports what is wrong, and ends.
[[noreturn]] void fail(const Job& job, const std::string& why);

// Ends with holder_gone if the holder has ended, and fails if there is an overlap.
void make_claim(const Job& job, Claim& claim);

void remove_claim(const Job& job, const Claim& claim);

// From now on, this process is the holder, and the claims name it. Claims of a holder that was
// killed may have become others: then makes new ones.
void sign_claims(Job& job, std::vector<Claim>& claims);
