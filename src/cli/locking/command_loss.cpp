#include "cli/locking/command_loss.hpp"

#include <fmt/format.h>

#include <utility>

namespace grex::cli {

CommandLoss::CommandLoss(Acquired& acquired, const LockOptions& options, IfLost if_lost, Audience audience,
                         const Events& events)
    : watch_(acquired, options, if_lost, audience, events) {
  if (if_lost == IfLost::stop) descendants_.emplace();
}

void CommandLoss::watch(pid_t command, std::vector<sys::TimedWork*>& works) {
  command_ = command;
  works.push_back(&watch_);
  if (!descendants_) return;
  descendants_->set_command(command);
  works.push_back(this);
}

void CommandLoss::reap_adopted() const {
  if (descendants_) descendants_->reap_adopted();
}

std::optional<Deadline> CommandLoss::due() const {
  if (!watch_.must_stop()) return std::nullopt;
  return is_stopped_ ? descendants_->due() : Deadline();  // immediately
}

void CommandLoss::do_now() {
  if (!std::exchange(is_stopped_, true)) descendants_->begin();
  descendants_->do_now();
}

std::string CommandLoss::finish_stop(const sys::ForwardedSignals& signals) {
  const bool have_ended = descendants_->finish(signals);
  std::string text = is_stopped_ ? fmt::format("CMD (pid {}) was stopped", command_) : std::string();
  if (!have_ended) text += (text.empty() ? "" : ", but ") + std::string("some of its processes could not be ended");
  return text;
}

}  // namespace grex::cli
