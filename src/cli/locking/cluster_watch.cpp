#include "cli/locking/cluster_watch.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/boot_clock.hpp"
#include "base/exit_code.hpp"
#include "cli/report/held_text.hpp"
#include "cli/report/output.hpp"
#include "core/cluster/lease_times.hpp"

namespace grex::cli {
namespace {

constexpr std::uint64_t time_if_asked = 10'000'000'000;  // ns

std::string why_lost(core::LossReason reason, std::chrono::seconds silence) {
  switch (reason) {
    case core::LossReason::unanswered:
      break;
    case core::LossReason::asked:
      return "another process asked for it";
    case core::LossReason::expired:
      return "the cluster has ended its lease";
    case core::LossReason::deleted:
      return "its key in the cluster is gone";
  }
  return fmt::format("the cluster has not answered for {} s", silence.count());
}

constexpr const char* no_keeper = "grex-lock-etcd has ended, and could not be started again";

}  // namespace

Result<void> ClusterWatch::prepare() {
  auto timer = sys::BootTimer::create();
  if (!timer) return timer.error();
  timer_.emplace(std::move(*timer));
  names_ = cluster_names_of(acquired_.locks);
  return {};
}

void ClusterWatch::begin(pid_t command) {
  acquired_.cluster->started(command);
  look();
}

void ClusterWatch::look() {
  core::Cluster& cluster = *acquired_.cluster;
  if (const auto lost = cluster.look()) lose(lost->reason);
  const std::uint64_t now = boot_clock_now();
  if (now >= core::term_time(cluster.lease_end(), cluster.lease_time())) lose(core::LossReason::unanswered);
  set_timer();
}

// A later loss may leave less time than an earlier one, but is not why the command was stopped.
void ClusterWatch::lose(core::LossReason reason) {
  const core::Cluster& cluster = *acquired_.cluster;
  const std::uint64_t now = boot_clock_now();
  std::uint64_t end_by = core::kill_time(cluster.lease_end(), cluster.lease_time());
  if (reason == core::LossReason::asked) end_by = std::min(end_by, now + time_if_asked);
  if (reason == core::LossReason::expired || reason == core::LossReason::deleted) end_by = 0;
  if (loss_) {
    loss_->end_by = std::min(loss_->end_by, end_by);
    return;
  }
  const auto lease = static_cast<std::uint64_t>(std::chrono::nanoseconds(cluster.lease_time()).count());
  const std::uint64_t answered = cluster.lease_end() > lease ? cluster.lease_end() - lease : now;
  const std::chrono::nanoseconds silence(now > answered ? now - answered : 0);
  loss_ = Loss{reason, std::chrono::duration_cast<std::chrono::seconds>(silence), end_by};
  events_.lost(name_of(reason));
}

std::chrono::nanoseconds ClusterWatch::time_to_end() const {
  const std::uint64_t now = boot_clock_now();
  return std::chrono::nanoseconds(loss_->end_by > now ? loss_->end_by - now : 0);
}

std::chrono::nanoseconds ClusterWatch::time_left() const {
  const std::uint64_t now = boot_clock_now();
  const std::uint64_t end = core::kill_time(acquired_.cluster->lease_end(), acquired_.cluster->lease_time());
  return std::chrono::nanoseconds(end > now ? end - now : 0);
}

void ClusterWatch::set_timer() const {
  const core::Cluster& cluster = *acquired_.cluster;
  if (loss_ && time_to_end() == std::chrono::nanoseconds::zero()) return;
  timer_->set(loss_ ? loss_->end_by : core::term_time(cluster.lease_end(), cluster.lease_time()));
}

Failure ClusterWatch::failure(const std::string& stopped) const {
  Failure failure;
  failure.kind = ErrorKind::lost;
  failure.what = "lost";
  failure.path = names_;
  const bool lacks_keeper = loss_->reason == core::LossReason::unanswered && acquired_.cluster->retry_at();
  failure.why = lacks_keeper ? no_keeper : why_lost(loss_->reason, loss_->silence);
  if (!stopped.empty()) failure.why += "; " + stopped;
  failure.exit_code = exit_code::lost;
  return failure;
}

void finish_cluster_release(Acquired& acquired, const std::string& names, const LockOptions& options) {
  if (!acquired.cluster || names.empty() || acquired.cluster->finish_release()) return;
  if (options.verbosity == Verbosity::quiet) return;
  note(fmt::format("not yet released: {}: the cluster has not answered; its lease ends within {} s", names,
                   std::chrono::ceil<std::chrono::seconds>(acquired.cluster->lease_time()).count()));
}

}  // namespace grex::cli
