#include "sys/vigil.hpp"

#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "sys/signals.hpp"

namespace grex::sys {
namespace {

Result<bool> input_has_ended() {
  std::array<char, 4096> thrown_away;
  const ssize_t n = ::read(STDIN_FILENO, thrown_away.data(), thrown_away.size());
  if (n >= 0) return n == 0;
  const int err = errno;
  if (err == EINTR || err == EAGAIN) return false;
  if (err == EBADF) return true;  // closed from the beginning
  return Error{ErrorKind::io, "read", "standard input", err};
}

// The time left, rounded up to what poll(2) can count, or without end.
int left_ms(std::optional<Deadline> deadline) {
  if (!deadline) return -1;
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(*deadline - Deadline::clock::now()).count();
  constexpr std::chrono::milliseconds::rep longest = std::chrono::milliseconds(std::chrono::hours(24)).count();
  return static_cast<int>(std::clamp<std::chrono::milliseconds::rep>(left, 0, longest));
}

}  // namespace

Result<Vigil> Vigil::begin() {
  struct sigaction heed {};
  heed.sa_handler = SIG_DFL;
  ::sigaction(SIGTERM, &heed, nullptr);
  const sigset_t ending = heeded_signals();
  ::sigprocmask(SIG_BLOCK, &ending, nullptr);
  UniqueFd fd(::signalfd(-1, &ending, SFD_CLOEXEC));
  if (!fd.is_open()) return Error{ErrorKind::system, "signalfd", {}, errno};
  return Vigil(std::move(fd));
}

Result<void> Vigil::keep(const VigilEnds& ends) const {
  // poll(2) passes over descriptors below 0.
  std::array<pollfd, 3> news = {
      {{signals_.get(), POLLIN, 0}, {ends.pidfd, POLLIN, 0}, {ends.input ? STDIN_FILENO : -1, POLLIN, 0}}};
  for (;;) {
    if (::poll(news.data(), news.size(), left_ms(ends.deadline)) < 0) {
      const int err = errno;
      if (err == EINTR) continue;
      return Error{ErrorKind::system, "poll", {}, err};
    }
    if (news[0].revents != 0 || news[1].revents != 0) return {};
    if (news[2].revents != 0) {
      const auto ended = input_has_ended();
      if (!ended) return ended.error();
      if (*ended) return {};
    }
    if (ends.deadline && Deadline::clock::now() >= *ends.deadline) return {};
  }
}

}  // namespace grex::sys
