#include "sys/signal/blocked_signals.hpp"

#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace grex::sys {
namespace {

// For signals of this process, even those already pending. The caller must block them.
UniqueFd open_signalfd(const sigset_t& signals) {
  return UniqueFd(::signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK));
}

}  // namespace

Result<SignalReader> SignalReader::open(const sigset_t& signals) {
  UniqueFd fd = open_signalfd(signals);
  if (!fd.is_open()) return Error{ErrorKind::system, "signalfd", {}, errno};
  return SignalReader(std::move(fd));
}

std::optional<ReceivedSignal> SignalReader::next() const {
  signalfd_siginfo info{};
  if (::read(fd_.get(), &info, sizeof info) != sizeof info) return std::nullopt;
  return received_signal(static_cast<int>(info.ssi_signo), info.ssi_code);
}

Result<BlockedSignals> BlockedSignals::begin() {
  const sigset_t signals = unignored_signals();
  auto reader = SignalReader::open(signals);
  if (!reader) return reader.error();
  BlockedSignals blocked(std::move(*reader));
  ::sigprocmask(SIG_BLOCK, &signals, &blocked.old_mask_);
  return blocked;
}

DeferredStop::DeferredStop() {
  const sigset_t stop = set_of({SIGTSTP});
  if (is_ignored(SIGTSTP) || is_blocked(SIGTSTP)) return;
  fd_ = open_signalfd(stop);
  if (fd_.is_open()) ::sigprocmask(SIG_BLOCK, &stop, nullptr);
}

DeferredStop::~DeferredStop() {
  if (!fd_.is_open()) return;
  const sigset_t stop = set_of({SIGTSTP});
  ::sigprocmask(SIG_UNBLOCK, &stop, nullptr);  // a pending one stops us here
}

SignalSuppressor::SignalSuppressor(int signal)
    : only_it_(set_of({signal})), was_pending_(is_pending(signal)), block_(only_it_) {}

SignalSuppressor::~SignalSuppressor() {
  if (!was_pending_) (void)take_signal(only_it_);
}

}  // namespace grex::sys
