#include "sys/process/reaper.hpp"

#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "base/unique_fd.hpp"

namespace grex::sys {
namespace {

// In a child of ours, async-signal-safe: its own child answers the first byte with the
// number of its parent.
[[noreturn]] void leave_orphan(int other) {
  // The orphan must not have our locks, not even for a moment.
  if (::dup2(other, STDIN_FILENO) == STDIN_FILENO) ::close_range(STDIN_FILENO + 1, ~0U, 0);
  if (::fork() != 0) ::_exit(0);
  char question = 0;
  if (::read(STDIN_FILENO, &question, 1) == 1) {
    const pid_t parent = ::getppid();
    (void)!::write(STDIN_FILENO, &parent, sizeof parent);
  }
  ::_exit(0);
}

}  // namespace

std::optional<pid_t> adopter_of_orphans() {
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0) return std::nullopt;
  const UniqueFd ours(ends[0]);
  UniqueFd theirs(ends[1]);
  const pid_t child = ::fork();
  if (child == 0) leave_orphan(theirs.get());
  theirs.reset();
  if (child < 0) return std::nullopt;
  while (::waitpid(child, nullptr, 0) < 0 && errno == EINTR) {
  }
  // Once the child has ended, its child has been adopted.
  pid_t adopter = 0;
  const bool is_answered = ::send(ours.get(), "?", 1, MSG_NOSIGNAL) == 1 &&
                           ::recv(ours.get(), &adopter, sizeof adopter, 0) == sizeof adopter;
  return is_answered ? std::optional(adopter) : std::nullopt;
}

}  // namespace grex::sys
