#include "core/cluster/cluster.hpp"

#include <signal.h>

#include <utility>

#include "sys/process/pidfd.hpp"
#include "sys/signal/blocked_signals.hpp"

namespace grex::core {
namespace {

constexpr std::chrono::seconds reachable_within(10);
constexpr std::chrono::seconds reachable_without_wait(5);
constexpr std::chrono::seconds time_to_release(2);
constexpr std::chrono::seconds longest_delay(1);    // of an answer, after the time within which it must come
constexpr std::chrono::seconds between_keepers(1);  // so that one that always ends is not started all the time

Error keeper_error(std::string_view op) { return {ErrorKind::cluster_config, op, {}, 0}; }

bool has_keeper_ended(const ClusterFailure& failure) {
  const auto* const error = std::get_if<Error>(&failure);
  return error != nullptr && error->op == keeper_ended;
}

template <class Report>
const Report* as(const std::optional<KeeperReport>& report) {
  return report ? std::get_if<Report>(&*report) : nullptr;
}

std::optional<ClusterFailure> failure_in(const std::optional<KeeperReport>& report) {
  if (const auto* failed = as<FailedReport>(report)) return ClusterFailure(*failed);
  if (as<LostReport>(report) != nullptr) return ClusterFailure(keeper_error(locks_lost));
  return std::nullopt;
}

// How long a request may still have no answer.
struct Patience {
  bool is_busy = false;  // it has been reported as a wait, or lasts as long as a holder takes
  Deadline answer_by;    // until then, it is not known whether a lock is busy

  [[nodiscard]] std::optional<Deadline> deadline(const ClusterWait& wait) const {
    return is_busy ? wait.deadline : answer_by;
  }
};

// How a request without an answer has ended by now, if it has.
std::optional<Result<sys::WaitEnd, ClusterFailure>> end_of(const Patience& patience, const ClusterWait& wait,
                                                           const std::optional<sys::ReceivedSignal>& signal) {
  if (signal && signal->number != SIGTSTP) return sys::WaitEnd{sys::Acquire::cancelled, *signal};
  if (!has_passed(patience.deadline(wait))) return std::nullopt;
  if (patience.is_busy) return sys::WaitEnd{sys::Acquire::timed_out};
  return ClusterFailure(Error{ErrorKind::unreachable, keeper_silent, {}, 0});
}

}  // namespace

Result<void> Cluster::connect() {
  if (connection_) return {};
  auto started = KeeperConnection::start();
  if (!started) return started.error();
  connection_.emplace(std::move(*started));
  return {};
}

ClusterPlace Cluster::place(const ClusterWait& wait) const {
  std::chrono::milliseconds timeout = wait.waits ? reachable_within : reachable_without_wait;
  if (wait.deadline) timeout = std::chrono::milliseconds(milliseconds_left(wait.deadline));
  return {settings_.endpoints, settings_.ns, timeout};
}

// Its next report; nullopt if `stop` is readable or the deadline has passed before.
Result<std::optional<KeeperReport>, ClusterFailure> Cluster::next(std::optional<Deadline> deadline, int stop) {
  KeeperReport report;
  for (bool has_waited = false;; has_waited = true) {
    switch (connection_->receive(report)) {
      case KeeperConnection::News::report:
        return std::optional(std::move(report));
      case KeeperConnection::News::closed:
        return ClusterFailure(keeper_error(keeper_ended));
      case KeeperConnection::News::invalid:
        return ClusterFailure(keeper_error(keeper_garbled));
      case KeeperConnection::News::none:
        break;
    }
    if (has_waited) return std::optional<KeeperReport>();
    connection_->wait(stop, deadline);
  }
}

// Gives up the request that has no answer yet, and waits until it can't take a lock any more. Returns
// an answer that came before that.
std::optional<KeeperReport> Cluster::cancel() {
  connection_->send(CancelRequest{});
  std::optional<KeeperReport> answer;
  const Deadline deadline = Deadline::clock::now() + time_to_release;
  for (auto report = next(deadline, -1); report && *report; report = next(deadline, -1)) {
    if (as<ReleasedReport>(*report) != nullptr) return answer;
    if (as<WaitingReport>(*report) == nullptr) answer = std::move(*report);
  }
  return answer;
}

// A stopped process must not get a lock that others wait for. It queues again when it goes on.
std::optional<KeeperReport> Cluster::stop_during(const KeeperRequest& request) {
  auto answer = cancel();
  if (answer) {
    (void)::raise(SIGTSTP);  // stops when it is not blocked any more
    return answer;
  }
  sys::stop_self();
  connection_->send(request);
  return std::nullopt;
}

Result<std::optional<KeeperReport>, ClusterFailure> Cluster::ask(const KeeperRequest& request, const ClusterWait& wait,
                                                                 ClusterEnd& end) {
  if (!fits_keeper_line(to_line(request))) return ClusterFailure(Error{ErrorKind::usage, request_too_long, {}, 0});
  if (auto connected = connect(); !connected) return ClusterFailure(connected.error());
  auto answer = ask_and_wait(request, wait, end);
  Deadline replace_from = Deadline::clock::now();
  while (!answer && has_keeper_ended(answer.error()) && has_passed(replace_from)) {
    if (!replace_keeper()) break;
    replace_from = Deadline::clock::now() + between_keepers;
    end = {};
    answer = ask_and_wait(request, wait, end);
  }
  if (wait.observer != nullptr) wait.observer->wait_ends();
  return answer;
}

// Hands the lease to a keeper that has just been started. Its answer is a HeldReport, or says why not.
void Cluster::ask_to_adopt() { connection_->send(AdoptRequest{keeper_protocol, place({}), ttl_, lease_, keys_}); }

// A keeper that was killed. What it waited for is in front of the other one until its lease ends.
bool Cluster::replace_keeper() {
  if (!connection_->restart()) return false;
  if (!has_locks()) return true;
  ask_to_adopt();
  const auto answer = next(Deadline::clock::now() + reachable_without_wait, -1);
  return answer && as<HeldReport>(*answer) != nullptr;
}

Result<std::optional<KeeperReport>, ClusterFailure> Cluster::ask_and_wait(const KeeperRequest& request,
                                                                          const ClusterWait& wait, ClusterEnd& end) {
  sigset_t awaited = sys::unignored_signals();
  if (!sys::is_ignored(SIGTSTP) && !sys::is_blocked(SIGTSTP)) sigaddset(&awaited, SIGTSTP);
  const sys::SignalBlock block(awaited);
  const auto signals = sys::SignalReader::open(awaited);
  if (!signals) return ClusterFailure(signals.error());
  connection_->send(request);
  const auto begin = [&] {
    const bool is_break = std::holds_alternative<BreakRequest>(request);
    return Patience{is_break, Deadline::clock::now() + place(wait).timeout + longest_delay};
  };
  Patience patience = begin();
  for (;;) {
    auto report = next(patience.deadline(wait), signals->fd());
    if (!report) return report.error();
    const auto signal = *report ? std::nullopt : signals->next();
    if (signal && signal->number == SIGTSTP) {
      *report = stop_during(request);
      patience = begin();
    }
    if (const auto* waiting = as<WaitingReport>(*report)) {
      patience.is_busy = true;
      end.queue = waiting->queue;
      if (wait.observer != nullptr) wait.observer->waits(*waiting, connection_->shared_lease_end());
      continue;
    }
    if (auto failure = failure_in(*report)) return std::move(*failure);
    if (const auto* busy = as<BusyReport>(*report)) end = {{sys::Acquire::busy}, busy->queue, {}};
    if (*report) return report;
    const auto ended = end_of(patience, wait, signal);
    if (!ended) continue;
    if (!*ended) return ended->error();
    end.end = **ended;
    (void)cancel();
    return report;
  }
}

Result<ClusterEnd, ClusterFailure> Cluster::acquire(const std::vector<ClusterLock>& locks, const ClusterWait& wait) {
  const IfBusy if_taken = wait.waits ? IfBusy::wait : IfBusy::give_up;
  KeeperRequest request;
  if (has_locks()) {
    request = MoreRequest{place(wait).timeout, if_taken, locks};
  } else {
    request = AcquireRequest{keeper_protocol, place(wait), settings_.lease, if_taken, locks};
  }
  ClusterEnd end;
  const auto answer = ask(request, wait, end);
  if (!answer) return answer.error();
  if (!*answer || as<BusyReport>(*answer) != nullptr) return end;
  const auto* const held = as<HeldReport>(*answer);
  if (held == nullptr || held->keys.size() != locks.size()) return ClusterFailure(keeper_error(keeper_garbled));
  keys_.insert(keys_.end(), held->keys.begin(), held->keys.end());
  id_ = held->cluster;
  lease_ = held->lease;
  ttl_ = held->ttl;
  caveat_ = held->caveat;
  return ClusterEnd{{sys::Acquire::held}, {}, held->keys};
}

Result<ClusterEnd, ClusterFailure> Cluster::probe(const std::vector<ClusterLock>& locks) {
  ClusterWait wait;
  wait.waits = false;
  return ask_whether_free(ProbeRequest{keeper_protocol, place(wait), locks}, wait);
}

Result<ClusterEnd, ClusterFailure> Cluster::wait(const std::vector<ClusterLock>& locks, const ClusterWait& wait) {
  return ask_whether_free(WaitRequest{keeper_protocol, place(wait), locks}, wait);
}

Result<ClusterEnd, ClusterFailure> Cluster::ask_whether_free(const KeeperRequest& request, const ClusterWait& wait) {
  ClusterEnd end;
  const auto answer = ask(request, wait, end);
  if (!answer) return answer.error();
  if (!*answer || as<BusyReport>(*answer) != nullptr) return end;
  if (as<FreeReport>(*answer) == nullptr) return ClusterFailure(keeper_error(keeper_garbled));
  return ClusterEnd{{sys::Acquire::held}, {}, {}};
}

Result<std::vector<ListedLock>, ClusterFailure> Cluster::list(const std::vector<ClusterLock>& locks) {
  ClusterWait wait;
  wait.waits = false;
  ClusterEnd end;
  auto answer = ask(ListRequest{keeper_protocol, place(wait), locks}, wait, end);
  std::vector<ListedLock> all;
  while (answer) {
    const auto* const listed = as<ListedReport>(*answer);
    if (listed == nullptr) return ClusterFailure(keeper_error(*answer ? keeper_garbled : keeper_silent));
    all.insert(all.end(), listed->locks.begin(), listed->locks.end());
    if (listed->is_last) return all;
    answer = next(Deadline::clock::now() + reachable_without_wait, -1);
  }
  return answer.error();
}

Result<Cluster::Broken, ClusterFailure> Cluster::break_lock(const HeldKey& key, std::optional<Deadline> deadline) {
  ClusterWait wait;
  wait.deadline = deadline;
  ClusterEnd end;
  const auto answer = ask(BreakRequest{keeper_protocol, place({}), key}, wait, end);
  if (!answer) return answer.error();
  if (!*answer) return Broken{end.end, {}};
  const auto* const released = as<ReleasedReport>(*answer);
  if (released == nullptr) return ClusterFailure(keeper_error(keeper_garbled));
  return Broken{{sys::Acquire::held}, *released};
}

void Cluster::started(pid_t command) {
  command_ = command;
  connection_->announce_news();
  report_start();
}

// If the command has ended, the keeper need not know it.
void Cluster::report_start() {
  if (command_ == 0) return;
  const auto process = sys::open_process(command_);
  if (process) connection_->send(StartedRequest{command_}, process->get());
}

std::optional<LostReport> Cluster::look() {
  while (!has_ended_ || adopt()) {
    KeeperReport report;
    switch (connection_->receive(report)) {
      case KeeperConnection::News::none:
        return std::nullopt;
      case KeeperConnection::News::closed:
      case KeeperConnection::News::invalid:
        has_ended_ = true;
        break;
      case KeeperConnection::News::report:
        if (auto* const lost = std::get_if<LostReport>(&report)) return std::move(*lost);
        has_ended_ = std::holds_alternative<FailedReport>(report);  // it could not adopt the lease
        break;
    }
  }
  return std::nullopt;
}

std::optional<Deadline> Cluster::retry_at() const {
  return has_ended_ ? std::optional(adopted_at_ + between_keepers) : std::nullopt;
}

bool Cluster::adopt() {
  const Deadline now = Deadline::clock::now();
  if (now < adopted_at_ + between_keepers) return false;
  adopted_at_ = now;
  if (!connection_->restart()) return false;
  connection_->announce_news();
  has_ended_ = false;
  ask_to_adopt();
  report_start();
  return true;
}

void Cluster::release() {
  if (connection_) connection_->send(ReleaseRequest{});
}

bool Cluster::finish_release() {
  if (!connection_) return true;
  const Deadline deadline = Deadline::clock::now() + time_to_release;
  for (bool is_replaced = false;; is_replaced = true) {
    auto report = next(deadline, -1);
    while (report && *report && as<ReleasedReport>(*report) == nullptr) report = next(deadline, -1);
    if (const auto* released = report ? as<ReleasedReport>(*report) : nullptr) {
      keys_.clear();
      return released->ok;
    }
    if (report || is_replaced || !replace_keeper()) return false;
    release();
  }
}

void Cluster::disconnect() {
  if (has_locks()) {
    release();
    (void)finish_release();
  }
  connection_.reset();
  keys_.clear();
  has_ended_ = false;
}

}  // namespace grex::core
