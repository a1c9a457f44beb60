#include "cli/report/events.hpp"

#include <unistd.h>

#include "base/deadline.hpp"
#include "cli/report/json.hpp"
#include "cli/report/output.hpp"
#include "sys/file/file.hpp"
#include "sys/file/io.hpp"
#include "sys/signal/blocked_signals.hpp"
#include "sys/signal/signals.hpp"

namespace grex::cli {

using std::chrono::steady_clock;

// One event. Optional members are set only if the event has them.
struct Event {
  std::string_view name;  // a literal
  UtcTime time;
  const std::vector<EventLock>& locks;
  std::optional<std::chrono::milliseconds> waited = {};
  std::optional<std::chrono::milliseconds> held = {};
  std::optional<pid_t> pid = {};
  std::optional<int> exit_code = {};
  std::optional<int> signal = {};                             // with an exit code: what killed the command
  const std::vector<core::LockProcess>* processes = nullptr;  // with "inherited"
  const Failure* error = nullptr;                             // with "failed"
  const std::vector<std::string>* guards = nullptr;           // with "acquired"
  const Failure* busy = nullptr;                              // with "waiting": why the lock is busy
};

namespace {

// How much of an event is written. A cut one has no locks and no holders.
enum class Extent { all, cut };

Json locks_of(const Event& event) {
  Json locks = Json::array();
  for (const EventLock& lock : event.locks) {
    locks.push_back(
        {{"tier", core::name_of(lock.tier)}, {"path", or_null(lock.path)}, {"mode", sys::name_of(lock.mode)}});
  }
  return locks;
}

std::string to_line(const Event& event, Extent extent) {
  Json document = {{"event", event.name}, {"time", format_utc(event.time)}};
  if (extent == Extent::all) document["locks"] = locks_of(event);
  if (extent == Extent::cut) document["cut"] = true;
  if (event.busy != nullptr) document["busy"] = to_json(*event.busy);
  if (event.waited) document["waited_ms"] = event.waited->count();
  if (event.guards != nullptr && extent == Extent::all) document["guards"] = *event.guards;
  if (event.pid) document["pid"] = *event.pid;
  if (event.held) document["held_ms"] = event.held->count();
  if (event.processes != nullptr && extent == Extent::all)
    document["processes"] = to_json(*event.processes, event.time);
  if (event.error != nullptr) document["error"] = to_json(*event.error);
  if (event.error != nullptr) document["exit_code"] = event.error->exit_code;
  if (event.exit_code) {
    document["exit_code"] = *event.exit_code;
    document["signal"] = event.signal ? Json(sys::name_of_signal(*event.signal)) : Json(nullptr);
  }
  if (extent == Extent::cut) {
    for (const char* const reason : {"busy", "error"}) {
      if (document.contains(reason)) document[reason].erase("holders");
    }
  }
  return cli::to_line(document);
}

}  // namespace

void Events::open(std::optional<int> fd) {
  if (!fd) return;
  if (*fd == STDERR_FILENO) {
    writer_ = &standard_error();  // two writers would split each other's lines
    return;
  }
  own_writer_ = std::make_unique<sys::BackgroundWriter>(*fd);
  writer_ = own_writer_.get();
  // Otherwise a daemon that the command leaves behind would keep the reader waiting.
  if (*fd > STDERR_FILENO) sys::close_on_exec(*fd);
}

void Events::set_locks(const std::vector<core::Target>& wanted) {
  locks_.clear();
  for (const core::Target& target : wanted) {
    if (target.files.front().names.empty()) continue;
    const bool is_slot = target.tier() == core::Tier::semaphore;
    locks_.push_back({target.tier(), is_slot ? std::string() : target.shown_path(), target.mode()});
  }
}

void Events::set_locks(const std::vector<core::HeldLock>& held) {
  locks_.clear();
  for (const core::HeldLock& lock : held) locks_.push_back({lock.tier(), lock.path(), lock.mode()});
}

void Events::waiting(const Failure& busy) const {
  Event waiting = event("waiting");
  waiting.busy = &busy;
  write(waiting);
}

void Events::acquired(std::chrono::milliseconds waited, const std::vector<std::string>& guards) {
  acquired_at_ = steady_clock::now();
  Event acquired = event("acquired");
  acquired.waited = waited;
  acquired.guards = &guards;
  write(acquired);
}

void Events::started(pid_t pid) const {
  Event started = event("started");
  started.pid = pid;
  write(started);
}

void Events::released(int exit_code, std::optional<int> signal) const {
  Event released = event("released");
  released.held = elapsed_since(acquired_at_);
  released.exit_code = exit_code;
  released.signal = signal;
  write(released);
}

void Events::inherited(const std::vector<core::LockProcess>& processes, int exit_code,
                       std::optional<int> signal) const {
  Event inherited = event("inherited");
  inherited.held = elapsed_since(acquired_at_);
  inherited.processes = &processes;
  inherited.exit_code = exit_code;
  inherited.signal = signal;
  write(inherited);
}

void Events::failed(const Failure& failure) const {
  Event failed = event("failed");
  failed.error = &failure;
  write(failed);
}

Event Events::event(std::string_view name) const { return {name, utc_now(), locks_}; }

void Events::write(const Event& event) const {
  if (writer_ == nullptr) return;
  if (!writer_->write(to_line(event, Extent::all))) writer_->write(to_line(event, Extent::cut));
}

void Events::finish(const sys::WriteEnds& ends) {
  if (writer_ != nullptr) writer_->finish(ends);
}

void finish_output(Events& events) {
  if (events.is_idle() && standard_error().is_idle()) return;
  const auto signals = sys::SignalReader::open(sys::unignored_signals());
  sys::WriteEnds ends;
  ends.deadline = Deadline::clock::now() + std::chrono::seconds(1);
  if (signals) ends.stops[0] = signals->fd();
  events.finish(ends);
  standard_error().finish(ends);
}

}  // namespace grex::cli
