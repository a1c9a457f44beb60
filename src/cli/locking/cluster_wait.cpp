#include "cli/locking/cluster_wait.hpp"

#include <fmt/format.h>

#include <cstdint>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "base/boot_clock.hpp"
#include "cli/locking/announce.hpp"
#include "cli/locking/busy.hpp"
#include "cli/report/cluster_failure.hpp"
#include "cli/report/holder_text.hpp"
#include "cli/report/printable.hpp"

namespace grex::cli {
namespace {

Failure busy_in_cluster(const core::Queue& queue, const LockOptions& options) {
  const BusyReport report = busy_report_of(options);
  Failure failure;
  failure.kind = ErrorKind::busy;
  failure.what = "busy";
  failure.path = queue.name;
  failure.exit_code = report.exit_code;
  failure.tier = queue.tier;
  failure.is_printed = report.is_printed;
  failure.holders = holders_in(queue);
  failure.why = failure.holders.empty() ? "its holder has just released it"
                                        : "held by " + holder_text(failure.holders, utc_now());
  return failure;
}

// `status` shows a lock without PATH only by its name.
std::string status_line_of(const ClusterOptions& options) {
  std::vector<std::string> words;
  if (options.url) words = {"--cluster", *options.url};
  words.insert(words.end(), {"--name", options.name.value()});
  return own_line("status", std::move(words));
}

}  // namespace

// What the keeper has reported last.
struct ClusterWaitAnnouncer::Seen {
  std::mutex mutex;  // guards the next two
  core::WaitingReport waiting;
  std::uint64_t changes = 0;
  std::optional<sys::SharedDeadline> lease_end;
  std::chrono::nanoseconds lease{0};

  // How long the cluster has not answered, in whole seconds; 0 if that is not unusual.
  [[nodiscard]] std::chrono::seconds silence() const {
    const std::uint64_t end = lease_end ? lease_end->load() : 0;
    if (end == 0) return std::chrono::seconds(0);
    const std::chrono::nanoseconds left(static_cast<std::int64_t>(end - boot_clock_now()));
    const auto silence = std::chrono::floor<std::chrono::seconds>(lease - left);
    return silence > lease / 2 ? silence : std::chrono::seconds(0);  // it is asked after a third of the lease
  }
};

void ClusterWaitAnnouncer::waits(const core::WaitingReport& waiting, const sys::SharedDeadline& lease_end) {
  if (!seen_) {
    seen_ = std::make_shared<Seen>();
    if (auto shared = lease_end.share()) seen_->lease_end = std::move(*shared);
    seen_->lease = lease_;
  }
  {
    const std::lock_guard lock(seen_->mutex);
    seen_->waiting = waiting;
    ++seen_->changes;
  }
  if (progress_) return;
  WaitedLock waited = {1, [seen = seen_](const StopToken&) {
                         const std::lock_guard lock(seen->mutex);
                         core::QueuePosition position;
                         position.waiters = seen->waiting.position - 1;
                         position.changes = seen->changes + static_cast<std::uint64_t>(seen->silence().count());
                         return position;
                       }};
  if (options_.cluster.name == waiting.queue.name) waited.status_line = status_line_of(options_.cluster);
  const auto find_busy = [seen = seen_, options = options_](const StopToken&) {
    const std::lock_guard lock(seen->mutex);
    Failure busy = busy_in_cluster(seen->waiting.queue, options);
    if (const auto silence = seen->silence(); silence.count() > 0) {
      busy.why = fmt::format("the cluster has not answered for {} s", silence.count());
      busy.holders.clear();  // by now, it may be another one
    }
    return busy;
  };
  progress_ = announce_wait(options_, global_, events_, std::move(waited), find_busy(never_stop), find_busy);
}

Failure failure_in_cluster(const core::ClusterEnd& end, const LockOptions& options,
                           std::optional<std::chrono::steady_clock::time_point> start) {
  const sys::WaitEnd& wait = end.end;
  if (wait.outcome == sys::Acquire::cancelled) {
    return cancelled_failure({end.queue.tier, end.queue.name}, wait.signal, busy_report_of(options));
  }
  Failure failure = busy_in_cluster(end.queue, options);
  if (start) failure.waited = elapsed_since(*start);
  if (wait.outcome != sys::Acquire::timed_out) return failure;
  return timeout_failure(std::move(failure), options.timeout.value_or(std::chrono::nanoseconds(0)));
}

}  // namespace grex::cli
