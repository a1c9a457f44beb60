// The command that the chaos test runs under its locks. It counts overlaps without
// asking grex-lock or flock(2): see claims.hpp.
//
// usage: claimant EVENTS JOB STATUS MICROSECONDS HOLDER|chain CLAIM...
//
// EVENTS is the descriptor for lines about what happens. MICROSECONDS is how long to
// stay in, half of it on the processor. HOLDER is the process that has the locks, 0
// for this one. A CLAIM is DIRECTORY:N, if N processes may be in at a time, or
// DIRECTORY:shared, if any number may be in as long as all are shared.
//
// With `chain`, this process only waits for its work, which goes from one short process to
// the next: a list of processes is out of date before each of them has been read.

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "chaos/claims.hpp"

namespace {

constexpr int bad_usage = 64;

// Other jobs will use the stack of this one, also when it is no longer true.
void report_stack(const Job& job) {
  constexpr std::size_t fits_in_a_line = 3500;  // of PIPE_BUF bytes, as report() needs it
  const char* const stack = std::getenv("GREX_LOCK_STACK");
  if (stack != nullptr && std::string_view(stack).size() < fits_in_a_line) report(job, "stack", stack);
}

// Forks. The child signs the claims; the parent returns false when it has, or is gone.
bool continue_in_child(Job& job, std::vector<Claim>& claims, std::array<int, 2>& until_closed) {
  if (::pipe2(until_closed.data(), O_CLOEXEC) != 0) fail(job, "cannot make a pipe");
  const bool is_child = ::fork() == 0;
  ::close(until_closed[is_child ? 0 : 1]);
  if (is_child) sign_claims(job, claims);
  return is_child;
}

void wait_until_closed(int fd) {
  char byte = 0;
  while (::read(fd, &byte, 1) < 0 && errno == EINTR) {
  }
}

// Returns in the last process of the chain.
void stay_in_as_chain(Job& job, std::vector<Claim>& claims, std::chrono::microseconds time) {
  using std::chrono::steady_clock;
  const auto end = steady_clock::now() + time;
  while (steady_clock::now() < end) {
    std::array<int, 2> signed_by_child{};
    if (!continue_in_child(job, claims, signed_by_child)) {
      wait_until_closed(signed_by_child[0]);
      std::_Exit(0);
    }
    ::close(signed_by_child[1]);
    ::usleep(200);
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
  const bool is_chain = argv[5] == std::string_view("chain");
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
  const std::chrono::microseconds time(std::atoi(argv[4]));
  if (is_chain) {
    std::array<int, 2> chain{};
    if (!continue_in_child(job, claims, chain)) {
      wait_until_closed(chain[0]);
      return std::atoi(argv[3]);
    }
    stay_in_as_chain(job, claims, time);
  } else {
    stay_in(time);
  }
  for (const Claim& claim : claims) remove_claim(job, claim);
  report(job, "out");
  return std::atoi(argv[3]);
}
