#include "cli/report/events.hpp"

#include <unistd.h>

#include <algorithm>
#include <utility>

#include "base/deadline.hpp"
#include "cli/report/event_log.hpp"
#include "cli/report/json.hpp"
#include "cli/report/output.hpp"
#include "sys/file/file.hpp"
#include "sys/file/io.hpp"
#include "sys/process/proc.hpp"
#include "sys/signal/blocked_signals.hpp"
#include "sys/signal/signals.hpp"

namespace grex::cli {

using std::chrono::steady_clock;

// One event. Optional members are set only if the event has them.
struct Event {
  std::string_view name;  // a literal
  UtcTime time;
  const std::vector<EventLock>& locks;
  const std::string& host;
  const std::string& note;
  std::optional<std::chrono::milliseconds> waited = {};
  std::optional<std::chrono::milliseconds> held = {};
  std::optional<pid_t> pid = {};
  std::optional<int> exit_code = {};
  std::optional<int> signal = {};                             // with an exit code: what killed the command
  const std::vector<core::LockProcess>* processes = nullptr;  // with "inherited"
  const Failure* error = nullptr;                             // with "failed"
  const std::vector<std::string>* guards = nullptr;           // with "acquired"
  const LostLock* lost = nullptr;                             // with "restored", "moved", "lost"
  std::string_view reason = {};                               // with "lost", by a cluster: a literal
  const Failure* busy = nullptr;              // with "waiting", "lost": why the lock is busy; with "acquired": was
  const core::LockProcess* waiter = nullptr;  // with "deadlock"
  bool is_certain = false;                    // the same
};

namespace {

// How much of an event is written. A cut one has no locks, no note and no holders.
enum class Extent { all, cut };

Json locks_of(const Event& event) {
  Json locks = Json::array();
  for (const EventLock& lock : event.locks) {
    Json entry = {{"tier", core::name_of(lock.tier)}, {"path", or_null(lock.path)}, {"mode", sys::name_of(lock.mode)}};
    if (!lock.name.empty()) entry["name"] = lock.name;
    if (lock.token) entry["token"] = *lock.token;
    locks.push_back(std::move(entry));
  }
  return locks;
}

// That of the only lock that a cluster keeps.
void add_token(Json& document, const std::vector<EventLock>& locks) {
  const auto has_token = [](const EventLock& lock) { return lock.token.has_value(); };
  if (std::count_if(locks.begin(), locks.end(), has_token) != 1) return;
  document["token"] = *std::find_if(locks.begin(), locks.end(), has_token)->token;
}

Json document_of(const Event& event, Extent extent) {
  Json document = {{"event", event.name}, {"time", format_utc(event.time)}};
  if (event.lost != nullptr) document["was"] = event.lost->was;
  if (!event.reason.empty()) document["reason"] = event.reason;
  if (event.lost != nullptr && extent == Extent::all) document["files"] = event.lost->files;
  document["grex_lock_pid"] = sys::own_pid();
  document["host"] = or_null(event.host);
  if (extent == Extent::all) {
    document["note"] = or_null(event.note);
    document["locks"] = locks_of(event);
  } else {
    document["cut"] = true;
  }
  if (event.guards != nullptr) {
    document["busy"] = nullptr;
    add_token(document, event.locks);
  }
  if (event.busy != nullptr) document["busy"] = to_json(*event.busy);
  if (event.waited) document["waited_ms"] = event.waited->count();
  if (event.guards != nullptr && extent == Extent::all) document["guards"] = *event.guards;
  if (event.pid) document["pid"] = *event.pid;
  if (event.waiter != nullptr) {
    document["pid"] = or_null(event.waiter->pid);
    if (extent == Extent::all) document["command"] = or_null(event.waiter->command);
    document["certain"] = event.is_certain;
  }
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
      if (document.contains(reason) && document[reason].is_object()) document[reason].erase("holders");
    }
  }
  return document;
}

}  // namespace

EventLock event_lock_of(const core::HeldLock& lock) {
  EventLock named = {lock.tier(), lock.files().empty() ? std::string() : lock.path(), lock.mode()};
  if (lock.cluster()) {
    named.name = lock.cluster()->name;
    named.token = lock.cluster()->token;
  }
  return named;
}

void Events::open(std::optional<int> fd) {
  if (!fd) return;
  host_ = sys::host_name();
  if (*fd == STDERR_FILENO) {
    writer_ = &standard_error();  // two writers would split each other's lines
    return;
  }
  own_writer_ = std::make_unique<sys::BackgroundWriter>(*fd);
  writer_ = own_writer_.get();
  // Otherwise a daemon that the command leaves behind would keep the reader waiting.
  if (*fd > STDERR_FILENO) sys::close_on_exec(*fd);
}

void Events::open_log(std::string path, bool warns) {
  host_ = sys::host_name();
  log_ = std::make_unique<sys::LogWriter>(std::move(path));
  warns_of_log_ = warns;
}

void Events::set_locks(const std::vector<core::Target>& wanted) {
  if (!is_open()) return;
  began_at_ = steady_clock::now();
  const std::lock_guard locked(mutex_);
  locks_.clear();
  for (const core::Target& target : wanted) {
    const bool has_file = !target.files.empty() && !target.files.front().names.empty();
    if (!has_file && !target.wants_cluster()) continue;  // no limit
    const bool is_slot = target.tier() == core::Tier::semaphore;
    locks_.push_back({target.tier(), is_slot || !has_file ? std::string() : target.shown_path(), target.mode(),
                      target.wants_cluster() ? target.request.cluster_name : std::string()});
  }
}

void Events::set_locks(const std::vector<core::HeldLock>& held) {
  if (!is_open()) return;
  const std::lock_guard locked(mutex_);
  locks_.clear();
  for (const core::HeldLock& lock : held) locks_.push_back(event_lock_of(lock));
}

void Events::set_locks(std::vector<EventLock> wanted) {
  began_at_ = steady_clock::now();
  const std::lock_guard locked(mutex_);
  locks_ = std::move(wanted);
}

void Events::still_waiting(const Failure& busy) const {
  const std::lock_guard locked(mutex_);
  last_busy_ = busy;
}

void Events::waiting(const Failure& busy) const {
  still_waiting(busy);
  Event waiting = event("waiting");
  waiting.busy = &busy;
  write(waiting);
}

void Events::acquired(std::chrono::milliseconds waited, const std::vector<std::string>& guards) {
  acquired_at_ = steady_clock::now();
  is_acquired_ = true;
  waited_ = waited;
  Event acquired = event("acquired");
  acquired.waited = waited;
  acquired.guards = &guards;
  std::optional<Failure> busy;
  {
    const std::lock_guard locked(mutex_);
    busy = last_busy_;
  }
  if (busy) acquired.busy = &*busy;
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

void Events::lost(std::string_view reason) const {
  Event lost = event("lost");
  lost.reason = reason;
  write(lost);
}

void Events::deadlock(const core::LockProcess& waiter, bool is_certain) const {
  Event deadlock = event("deadlock");
  deadlock.waiter = &waiter;
  deadlock.is_certain = is_certain;
  write(deadlock);
}

void Events::failed(const Failure& failure) const {
  Event failed = event("failed");
  failed.error = &failure;
  failed.waited = is_acquired_ || !began_at_ ? waited_ : elapsed_since(*began_at_);
  write(failed);
}

Event Events::event(std::string_view name) const { return {name, utc_now(), locks_, host_, note_}; }

void Events::write(const Event& event) const {
  const std::lock_guard locked(mutex_);
  for (const Extent extent : {Extent::all, Extent::cut}) {
    if (writer_ == nullptr || writer_->write(to_line(document_of(event, extent)))) break;
  }
  for (const Extent extent : {Extent::all, Extent::cut}) {
    if (log_ == nullptr || log_->write(to_line(without_arguments(document_of(event, extent))))) break;
  }
  warn_of_log();
}

void Events::warn_of_log() const {
  const auto error = log_ == nullptr ? std::nullopt : log_->take_error();
  if (error && warns_of_log_) note(log_warning(*error));
}

void Events::write(const LostLock& lost, std::string_view name) const {
  const std::vector<EventLock> locks = {lost.lock};
  Event event = {name, utc_now(), locks, host_, note_};
  event.lost = &lost;
  if (lost.busy) event.busy = &*lost.busy;
  write(event);
}

void Events::finish(const sys::WriteEnds& ends) {
  if (writer_ != nullptr) writer_->finish(ends);
  finish_log(ends);
}

void Events::finish_log(const sys::WriteEnds& ends) {
  if (log_ == nullptr) return;
  log_->finish(ends);
  warn_of_log();
}

void Events::leave_caller() {
  writer_ = nullptr;
  own_writer_.reset();
}

namespace {

// Calls `finish` with what ends the last wait for readers.
template <class Finish>
void finish_within_a_second(Finish finish) {
  const auto signals = sys::SignalReader::open(sys::unignored_signals());
  sys::WriteEnds ends;
  ends.deadline = Deadline::clock::now() + std::chrono::seconds(1);
  if (signals) ends.stops[0] = signals->fd();
  finish(ends);
}

}  // namespace

void finish_output(Events& events) {
  if (events.is_idle() && standard_error().is_idle()) return;
  finish_within_a_second([&events](const sys::WriteEnds& ends) {
    events.finish(ends);
    standard_error().finish(ends);
  });
}

void finish_log(Events& events) {
  if (events.is_idle()) return;
  finish_within_a_second([&events](const sys::WriteEnds& ends) { events.finish_log(ends); });
}

}  // namespace grex::cli
