#include "cli/report/events.hpp"

#include <unistd.h>

#include "cli/report/json.hpp"
#include "cli/report/output.hpp"
#include "sys/file/file.hpp"
#include "sys/file/io.hpp"

namespace grex::cli {

using std::chrono::steady_clock;

Events::Events(std::optional<int> fd) : fd_(fd) {
  // Else a daemon that the command leaves behind would keep the reader waiting.
  if (fd_ && *fd_ > STDERR_FILENO) sys::close_on_exec(*fd_);
}

void Events::about(const std::vector<core::Target>& wanted, sys::Mode mode) {
  locks_.clear();
  for (const core::Target& target : wanted) {
    const bool is_permit = target.tier() == core::Tier::semaphore;
    if (is_permit && target.names.empty()) continue;
    locks_.push_back(
        {target.tier(), is_permit ? std::string() : target.lock_path(0), is_permit ? sys::Mode::exclusive : mode});
  }
}

void Events::about(const std::vector<core::HeldLock>& held) {
  locks_.clear();
  for (const core::HeldLock& lock : held) locks_.push_back({lock.tier(), lock.path(), lock.mode()});
}

void Events::waiting(const Failure& busy) const {
  Event waiting = event("waiting");
  waiting.busy = &busy;
  write(waiting, Patience::none);
}

void Events::acquired(std::chrono::milliseconds waited) {
  acquired_at_ = steady_clock::now();
  Event acquired = event("acquired");
  acquired.waited = waited;
  write(acquired, Patience::none);
}

void Events::started(pid_t pid) const {
  Event started = event("started");
  started.pid = pid;
  write(started, Patience::none);
}

void Events::released(int exit_code) const {
  Event released = event("released");
  released.held = std::chrono::duration_cast<std::chrono::milliseconds>(steady_clock::now() - acquired_at_);
  released.exit_code = exit_code;
  write(released, Patience::waits);
}

Outcome Events::ended(Outcome outcome) const {
  if (outcome.failure) {
    Event failed = event("failed");
    failed.error = &*outcome.failure;
    write(failed, Patience::waits);
  }
  return outcome;
}

Event Events::event(std::string name) const { return {std::move(name), core::utc_now(), locks_}; }

void Events::write(const Event& event, Patience patience) const {
  if (!fd_ || (patience == Patience::none && !sys::has_room(*fd_))) return;
  (void)sys::write_all(*fd_, event_line(event), gives_up_writing_at());
}

}  // namespace grex::cli
