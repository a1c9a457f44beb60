#include "sys/process/descendants.hpp"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <algorithm>
#include <chrono>

#include "sys/process/pidfd.hpp"
#include "sys/process/proc.hpp"
#include "sys/process/proc_text.hpp"
#include "sys/signal/signals.hpp"

namespace grex::sys {
namespace {

constexpr std::chrono::seconds time_to_die(1);

}  // namespace

DescendantsEnd::DescendantsEnd() {
  if (own_pid_in_proc() == own_pid()) others_ = children_with_start(own_pid());
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
}

DescendantsEnd::~DescendantsEnd() { ::prctl(PR_SET_CHILD_SUBREAPER, 0); }

void DescendantsEnd::leave_alone(pid_t child) {
  const auto stat = process_file(child, "stat");
  const auto started = stat ? parse_start_time(*stat) : std::nullopt;
  if (started) others_.insert({child, *started});
}

void DescendantsEnd::begin(std::chrono::nanoseconds time_to_end) {
  const Deadline now = Deadline::clock::now();
  const Deadline kill_at = now + std::max<std::chrono::nanoseconds>(time_to_end, {});
  if (kill_at_ && *kill_at_ <= kill_at) return;
  kill_at_ = kill_at;
  due_ = now;
}

void DescendantsEnd::do_now() {
  const Deadline now = Deadline::clock::now();
  const bool must_kill = now >= *kill_at_;
  signal_new(must_kill ? SIGKILL : SIGTERM);
  // In the meantime, they may start others.
  due_ = must_kill ? now + std::chrono::milliseconds(100) : std::min(now + std::chrono::seconds(1), *kill_at_);
}

std::vector<NumberedProcess> DescendantsEnd::find() const {
  const pid_t self = own_pid();
  if (own_pid_in_proc() != self) return {};
  return descendants_of({&self, 1}, others_, running_processes());
}

void DescendantsEnd::signal_new(int signal) {
  const std::vector<NumberedProcess> found = find();
  if (found.empty() && command_ > 0) {
    ::kill(command_, signal);
    if (signal == SIGTERM) ::kill(command_, SIGCONT);
  }
  for (const NumberedProcess& process : found) {
    if (signal == SIGTERM && std::find(asked_.begin(), asked_.end(), process) != asked_.end()) continue;
    const UniqueFd opened = open_numbered(process);
    if (!opened.is_open()) continue;
    (void)signal_process(opened.get(), signal);
    if (signal != SIGTERM) continue;
    (void)signal_process(opened.get(), SIGCONT);  // a stopped process doesn't respond
    asked_.push_back(process);
  }
}

std::vector<pid_t> DescendantsEnd::running() const {
  const std::vector<NumberedProcess> found = find();
  std::vector<pid_t> pids(found.size());
  std::transform(found.begin(), found.end(), pids.begin(), [](const NumberedProcess& process) { return process.pid; });
  return pids;
}

void DescendantsEnd::reap_adopted() const {
  siginfo_t child{};
  while (::waitid(P_ALL, 0, &child, WEXITED | WNOHANG | WNOWAIT) == 0 && child.si_pid != 0) {
    if (child.si_pid == command_) return;
    ::waitid(P_PID, static_cast<id_t>(child.si_pid), nullptr, WEXITED | WNOHANG);
    child = {};
  }
}

bool DescendantsEnd::finish(std::chrono::nanoseconds time_to_end, const ForwardedSignals& signals) {
  command_ = 0;
  begin(time_to_end);
  for (;;) {
    const bool have_ended = find().empty();
    reap_adopted();  // after looking: the last ones may be zombies by now
    if (have_ended) return true;
    const Deadline now = Deadline::clock::now();
    if (now >= *kill_at_ + time_to_die) return false;
    do_now();
    const auto news = signals.wait(due_);
    if (news && is_termination_signal(news->number)) kill_at_ = std::min(*kill_at_, now);
  }
}

}  // namespace grex::sys
