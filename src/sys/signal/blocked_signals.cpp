#include "sys/signal/blocked_signals.hpp"

#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>

#include "sys/signal/signals.hpp"

namespace grex::sys {

Result<HeldBackSignals> HeldBackSignals::begin() {
  const sigset_t ending = heeded_signals();
  UniqueFd fd(::signalfd(-1, &ending, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!fd.is_open()) return Error{ErrorKind::system, "signalfd", {}, errno};
  ::sigprocmask(SIG_BLOCK, &ending, nullptr);
  return HeldBackSignals(std::move(fd));
}

std::optional<WaitEnd> HeldBackSignals::next() const {
  signalfd_siginfo info{};
  if (::read(fd_.get(), &info, sizeof info) != sizeof info) return std::nullopt;
  return WaitEnd{Acquire::cancelled, static_cast<int>(info.ssi_signo), info.ssi_code == SI_KERNEL};
}

void heed_sigterm() {
  struct sigaction heed {};
  heed.sa_handler = SIG_DFL;
  ::sigaction(SIGTERM, &heed, nullptr);
}

}  // namespace grex::sys
