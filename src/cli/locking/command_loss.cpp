#include "cli/locking/command_loss.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "sys/process/proc.hpp"
#include "sys/process/proc_text.hpp"
#include "sys/signal/signals.hpp"

namespace grex::cli {
namespace {

constexpr std::chrono::seconds time_after_request(10);

bool has_ended(pid_t pid) {
  const auto stat = sys::process_file(pid, "stat");
  return !stat || sys::has_ended(*stat);
}

}  // namespace

CommandLoss::CommandLoss(Acquired& acquired, const LockOptions& options, IfLost if_lost, Audience audience,
                         const Events& events)
    : acquired_(acquired), files_(acquired, options, if_lost, audience, events) {
  if (acquired.cluster) cluster_.emplace(acquired, events);
  if (if_lost == IfLost::stop || cluster_) descendants_.emplace();
  if (cluster_) keeper_ = acquired.cluster->keeper();
}

Result<void, Failure> CommandLoss::prepare() {
  if (!cluster_) return {};
  if (auto prepared = cluster_->prepare(); !prepared) return failure_from(prepared.error());
  look_at_cluster();
  return cluster_->must_stop() ? cluster_->failure("CMD was not started") : Result<void, Failure>();
}

void CommandLoss::watch(pid_t command, std::vector<sys::TimedWork*>& works) {
  command_ = command;
  works.push_back(&files_);
  if (!descendants_) return;
  descendants_->set_command(command);
  works.push_back(this);
  if (cluster_) cluster_->begin(command);
}

void CommandLoss::reap_adopted() const {
  if (descendants_) descendants_->reap_adopted();
}

void CommandLoss::look_at_cluster() {
  if (!cluster_) return;
  cluster_->look();
  if (keeper_ == acquired_.cluster->keeper()) return;
  keeper_ = acquired_.cluster->keeper();  // another one, which must not be stopped with the command
  descendants_->leave_alone(keeper_);
}

bool CommandLoss::must_stop() const { return files_.must_stop() || (cluster_ && cluster_->must_stop()); }

std::chrono::nanoseconds CommandLoss::time_to_end() const {
  return cluster_ && cluster_->must_stop() ? cluster_->time_to_end() : time_after_request;
}

std::optional<Deadline> CommandLoss::due() const {
  if (!must_stop()) return cluster_ ? cluster_->due() : std::nullopt;
  return is_stopped_ ? descendants_->due() : Deadline();  // immediately
}

void CommandLoss::do_now() {
  look_at_cluster();
  if (!must_stop()) return;
  is_stopped_ = true;
  descendants_->begin(time_to_end());
  descendants_->do_now();
}

std::vector<pid_t> CommandLoss::reap_and_find_left() {
  if (!descendants_) return {};
  descendants_->set_command(0);
  descendants_->reap_adopted();
  return descendants_->running();
}

void CommandLoss::wait_for(const std::vector<pid_t>& remaining, const sys::ForwardedSignals& signals) {
  const auto have_ended = [&remaining] { return std::all_of(remaining.begin(), remaining.end(), has_ended); };
  descendants_->set_command(0);
  while (!have_ended() && !must_stop()) {
    const auto signal = signals.wait(due());
    look_at_cluster();
    reap_adopted();
    if (!signal || !sys::is_termination_signal(signal->number)) continue;
    (void)descendants_->finish(std::min<std::chrono::nanoseconds>(time_after_request, cluster_->time_left()), signals);
    look_at_cluster();
    return;
  }
}

void CommandLoss::finish_stop(const sys::ForwardedSignals& signals) {
  have_all_ended_ = descendants_->finish(time_to_end(), signals);
}

std::string CommandLoss::what_was_stopped() const {
  std::string text = is_stopped_ ? fmt::format("CMD (pid {}) was stopped", command_) : std::string();
  if (!have_all_ended_)
    text += (text.empty() ? "" : ", but ") + std::string("some of its processes could not be ended");
  return text;
}

Failure CommandLoss::failure() const {
  return cluster_ && cluster_->must_stop() ? cluster_->failure(what_was_stopped()) : files_.failure(what_was_stopped());
}

}  // namespace grex::cli
