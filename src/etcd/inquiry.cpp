#include "etcd/inquiry.hpp"

#include <algorithm>
#include <utility>

#include "base/boot_clock.hpp"
#include "etcd/call_last.hpp"

namespace grex::etcd {
namespace {

// A watch may lose an event.
constexpr std::chrono::seconds between_inquiries(10);
constexpr std::chrono::seconds while_waiting(60);

}  // namespace

Inquiry::Inquiry(Gateway& gateway, core::ClusterPlace place, std::vector<core::ClusterLock> locks, core::IfBusy if_busy,
                 std::function<void(core::KeeperReport)> report)
    : gateway_(gateway),
      place_(std::move(place)),
      locks_(std::move(locks)),
      if_busy_(if_busy),
      report_(std::move(report)) {
  begin_next();
}

void Inquiry::begin_next() {
  look_at_ = boot_clock_now() + in_ns(between_inquiries);
  const TurnEvents events = {
      [this](core::WaitingReport report) {
        if (if_busy_ == core::IfBusy::wait) return report_(std::move(report));
        call_last(report_, core::KeeperReport(core::BusyReport{std::move(report.queue)}));
      },
      [this] {
        if (++next_ < locks_.size()) return begin_next();
        call_last(report_, core::KeeperReport(core::FreeReport{}));
      },
      [this](core::FailedReport failure) { call_last(report_, core::KeeperReport(std::move(failure))); }};
  const Patience patience = {place_.timeout, std::max<std::chrono::nanoseconds>(place_.timeout, while_waiting)};
  turn_.emplace(gateway_, place_.ns, locks_[next_], 0, patience, events);
}

void Inquiry::advance(std::uint64_t now) {
  turn_->advance(now);
  if (!is_due(look_at_, now)) return;
  look_at_ = now + in_ns(between_inquiries);
  turn_->look();
}

}  // namespace grex::etcd
