#include "etcd/keeper_loop.hpp"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <type_traits>
#include <utility>
#include <variant>

#include "base/boot_clock.hpp"
#include "base/text.hpp"
#include "core/cluster/lease_times.hpp"
#include "etcd/due.hpp"
#include "sys/process/proc.hpp"

namespace grex::etcd {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using std::chrono::seconds;

// After a request of another process, grex-lock waits so long before SIGKILL; the keeper longer.
constexpr seconds grace_after_request(11);
// Processes may start others while they are being killed.
constexpr milliseconds between_kills(50);
// Processes that outlive SIGKILL for so long can't be killed.
constexpr seconds time_to_die(10);

template <class Request>
constexpr bool may_interrupt =
    std::is_same_v<Request, core::StartedRequest> || std::is_same_v<Request, core::CancelRequest> ||
    std::is_same_v<Request, core::ReleaseRequest>;

bool needs_no_turn(const core::KeeperRequest& request) {
  return std::visit([](const auto& each) { return may_interrupt<std::decay_t<decltype(each)>>; }, request);
}

// Whether it ends the request that has no answer yet.
bool is_last_answer(const core::KeeperReport& report) {
  if (const auto* const listed = std::get_if<core::ListedReport>(&report)) return listed->is_last;
  return !std::holds_alternative<core::WaitingReport>(report);
}

}  // namespace

Result<KeeperDescriptors> KeeperDescriptors::open() {
  UniqueFd socket(core::keeper_socket);
  UniqueFd pipe(core::keeper_pipe);
  for (const int fd : {socket.get(), pipe.get(), core::keeper_deadline}) ::fcntl(fd, F_SETFD, FD_CLOEXEC);
  auto deadline = sys::SharedDeadline::open(UniqueFd(core::keeper_deadline));
  if (!deadline) return deadline.error();
  auto timer = sys::BootTimerFd::create();
  if (!timer) return timer.error();
  return KeeperDescriptors{sys::LineSocket(std::move(socket), core::longest_keeper_line), std::move(pipe),
                           std::move(*deadline), std::move(*timer)};
}

KeeperLoop::KeeperLoop(KeeperDescriptors descriptors)
    : fds_(std::move(descriptors)), job_(fds_.pipe.get(), sys::parent_pid()) {}

void KeeperLoop::run(Engine& engine) {
  engine_ = &engine;
  while (!is_released_ || !caller_gone_) {
    wait();
    engine.advance();
    const std::uint64_t now = boot_clock_now();
    note_in_time(now);
    lose_in_time(now);
    kill_in_time(now);
    end_if_possible(now);
  }
  engine_ = nullptr;
}

// After grex-lock, the others are waited for: first those that were noted, then the pipe.
void KeeperLoop::wait() {
  fds_.timer.set(next_due());
  std::vector<pollfd> news = {{fds_.timer.fd(), POLLIN, 0}};
  const auto wanted = static_cast<short>(POLLIN | (fds_.socket.has_unsent() ? POLLOUT : 0));
  news.push_back({caller_gone_ ? -1 : fds_.socket.fd(), wanted, 0});
  news.push_back({caller_gone_ && !pipe_gone_ ? fds_.pipe.get() : -1, POLLIN, 0});
  if (caller_gone_) {
    for (const int fd : job_.pidfds()) news.push_back({fd, POLLIN, 0});
  }
  engine_->wait(news);
  if ((news[1].revents & POLLOUT) != 0) fds_.socket.flush();
  if ((news[1].revents & ~POLLOUT) != 0) read_socket();
  if (news[2].revents != 0) drain_pipe();
}

std::optional<std::uint64_t> KeeperLoop::next_due() const {
  auto due = earlier(engine_->due(), earlier(note_at_, kill_next_));
  if (is_held_ && !is_releasing_ && !loss_) due = earlier(due, core::term_time(deadline_, ttl_));
  if (is_held_ && !is_releasing_ && loss_ && !kill_next_) due = earlier(due, kill_time_of(*loss_));
  return due;
}

void KeeperLoop::read_socket() {
  auto input = fds_.socket.read();
  for (UniqueFd& fd : input.descriptors) pidfds_.push_back(std::move(fd));
  for (const std::string& line : input.lines) take(line);
  if (input.has_ended) caller_ended();
}

void KeeperLoop::take(const std::string& line) {
  const auto request = core::parse_keeper_request(line);
  if (const auto protocol = core::protocol_of(line); protocol && *protocol != core::keeper_protocol) {
    return refuse(core::ClusterFault::cluster_config, "grex-lock-etcd speaks protocol " +
                                                          std::to_string(core::keeper_protocol) + ", and grex-lock " +
                                                          std::to_string(*protocol));
  }
  if (!request) return refuse(core::ClusterFault::internal, "a request was not understood");
  if (has_pending_ && !needs_no_turn(*request)) {
    return refuse(core::ClusterFault::internal, "a request came before the answer to another one");
  }
  if (const auto* const started = std::get_if<core::StartedRequest>(&*request)) return take_command(*started);
  if (const auto* const adopt = std::get_if<core::AdoptRequest>(&*request)) take_over(*adopt);
  if (std::holds_alternative<core::ReleaseRequest>(*request)) return release_for_caller();
  has_pending_ = true;
  engine_->begin(*request);
}

// Until the cluster says something else, the locks are held for as long as the last keeper wrote.
void KeeperLoop::take_over(const core::AdoptRequest& adopt) {
  job_.include_earlier();
  is_held_ = true;
  deadline_ = fds_.deadline.load();
  ttl_ = adopt.ttl;
}

void KeeperLoop::take_command(const core::StartedRequest& started) {
  if (pidfds_.empty()) return refuse(core::ClusterFault::internal, "`started` came without a descriptor");
  job_.set_command(started.pid, std::move(pidfds_.front()));
  pidfds_.pop_front();
  note_at_ = boot_clock_now() + in_ns(ttl_ / 3);
}

void KeeperLoop::refuse(core::ClusterFault kind, std::string why) {
  fds_.socket.send(core::to_line(core::KeeperReport(core::FailedReport{kind, {}, std::move(why), {}})));
}

void KeeperLoop::drain_pipe() {
  std::array<char, 4096> discarded;
  pipe_gone_ = ::read(fds_.pipe.get(), discarded.data(), discarded.size()) == 0;
}

void KeeperLoop::caller_ended() {
  caller_gone_ = true;
  if (!is_held_) return release();
  job_.note_descendants();
  if (loss_) job_.send(SIGTERM);
}

void KeeperLoop::report(core::KeeperReport report) {
  if (const auto* const lost = std::get_if<core::LostReport>(&report)) {
    has_pending_ = false;
    return lose(lost->reason);
  }
  if (is_last_answer(report)) has_pending_ = false;
  if (std::holds_alternative<core::HeldReport>(report)) is_held_ = true;
  if (std::holds_alternative<core::ReleasedReport>(report) && is_releasing_) {
    is_held_ = false;
    is_released_ = true;
    if (!is_release_requested_) return;
  }
  if (!caller_gone_) fds_.socket.send(core::to_line(report));
}

// What a lease that was lost does later, no process can rely on: it has begun to end.
void KeeperLoop::renewed(std::uint64_t deadline, nanoseconds ttl) {
  if (loss_ && loss_->reason != core::LossReason::asked) return;
  ttl_ = ttl;
  deadline_ = deadline;
  fds_.deadline.store(deadline);
}

void KeeperLoop::note_in_time(std::uint64_t now) {
  if (!note_at_ || now < *note_at_) return;
  job_.note_descendants();
  note_at_ = now + in_ns(ttl_ / 3);
}

void KeeperLoop::lose_in_time(std::uint64_t now) {
  if (!is_held_ || loss_ || is_releasing_ || now < core::term_time(deadline_, ttl_)) return;
  lose(core::LossReason::unanswered);
}

void KeeperLoop::lose(core::LossReason reason) {
  const bool is_gone = reason == core::LossReason::expired || reason == core::LossReason::deleted;
  const std::uint64_t now = boot_clock_now();
  if (loss_ && !is_gone) return;
  const std::uint64_t kill_at = is_gone ? now : now + in_ns(grace_after_request);
  const bool was_reported = loss_.has_value();
  loss_ = Loss{reason, now, kill_at};
  kill_next_ = std::nullopt;
  const core::KeeperReport report =
      core::LostReport{reason, reason == core::LossReason::unanswered ? engine_->trouble() : std::string()};
  if (!caller_gone_ && !was_reported) fds_.socket.send(core::to_line(report));
  if (!caller_gone_ || is_gone) return;
  job_.note_descendants();
  job_.note_by_pipe();
  job_.send(SIGTERM);
}

std::uint64_t KeeperLoop::kill_time_of(const Loss& loss) const {
  const std::uint64_t at_end = core::kill_time(deadline_, ttl_);
  return loss.reason == core::LossReason::unanswered ? at_end : std::min(loss.kill_at, at_end);
}

void KeeperLoop::kill_in_time(std::uint64_t now) {
  if (!loss_ || !is_held_ || is_releasing_) return;
  if (now < (kill_next_ ? *kill_next_ : kill_time_of(*loss_))) return;
  job_.note_descendants();
  job_.note_by_pipe();
  job_.send(SIGKILL);
  const bool must_repeat = !job_.has_ended() || (caller_gone_ && !pipe_gone_);
  kill_next_ = now + in_ns(must_repeat ? between_kills : nanoseconds(time_to_die));
}

bool KeeperLoop::has_given_up(const Loss& loss, std::uint64_t now) const {
  return now > std::max(kill_time_of(loss), loss.since) + in_ns(time_to_die);
}

// The locks of processes that can't be killed are lost anyway.
void KeeperLoop::end_if_possible(std::uint64_t now) {
  if (!is_held_ || is_releasing_) return;
  // A grex-lock that did not react to the request of another process is stopped.
  const bool was_killed = loss_ && loss_->reason == core::LossReason::asked && kill_next_;
  if (was_killed && job_.has_ended()) return release();
  if (!caller_gone_) return;
  const bool have_ended = job_.has_ended() && pipe_gone_;
  if (have_ended || (loss_ && has_given_up(*loss_, now))) release();
}

void KeeperLoop::release_for_caller() {
  is_release_requested_ = true;
  if (is_released_) return fds_.socket.send(core::to_line(core::KeeperReport(core::ReleasedReport{})));
  release();
}

void KeeperLoop::release() {
  if (is_releasing_) return;
  is_releasing_ = true;
  has_pending_ = true;
  engine_->begin(core::ReleaseRequest{});
}

}  // namespace grex::etcd
