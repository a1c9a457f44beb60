#include "cli/report/json.hpp"

#include <string.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/lock/stack_json.hpp"

namespace grex::cli {
namespace {

using json = nlohmann::ordered_json;

constexpr int document_version = 1;

std::string line_of(const json& document) {
  return document.dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
}

template <class T>
json or_null(const std::optional<T>& value) {
  return value ? json(*value) : json(nullptr);
}

json or_null(const std::string& text) { return text.empty() ? json(nullptr) : json(text); }

json mode_json(std::optional<sys::Mode> mode) { return mode ? json(sys::name_of(*mode)) : json(nullptr); }

json party_json(const core::Party& party, core::UtcTime now) {
  json document = {
      {"pid", or_null(party.pid)},
      {"role", core::name_of(party.role)},
      {"alive", or_null(party.alive)},
      {"uid", or_null(party.uid)},
      {"user", or_null(party.user)},
      {"command", party.command.empty() ? json(nullptr) : json(party.command)},
      {"cwd", or_null(party.cwd)},
      {"since", party.since ? json(core::to_text(*party.since)) : json(nullptr)},
      {"held_ms", nullptr},
      {"host", or_null(party.host)},
      {"note", or_null(party.note)},
      {"verb", or_null(party.verb)},
      {"mode", mode_json(party.mode)},
  };
  // The clock may have been set back since.
  if (party.since) document["held_ms"] = std::max<std::int64_t>((now - *party.since).count(), 0);
  if (party.slot) document["slot"] = *party.slot;
  return document;
}

json parties_json(const std::vector<core::Party>& parties, core::UtcTime now) {
  json list = json::array();
  for (const core::Party& party : parties) list.push_back(party_json(party, now));
  return list;
}

json error_json(const Failure& failure) {
  json error = {{"kind", name_of(failure.kind)}, {"message", failure.what}};
  if (!failure.why.empty()) error["message"] = failure.what + ": " + failure.why;
  error["path"] = or_null(failure.path);
  error["tier"] = failure.tier ? json(core::name_of(*failure.tier)) : json(nullptr);
  const char* const errno_name = failure.err != 0 ? ::strerrorname_np(failure.err) : nullptr;
  error["errno"] = errno_name != nullptr ? json(errno_name) : json(nullptr);
  if (!failure.hint.empty()) error["hint"] = failure.hint;
  if (failure.kind == ErrorKind::busy || failure.kind == ErrorKind::timeout || !failure.holders.empty()) {
    error["holders"] = parties_json(failure.holders, core::utc_now());
  }
  if (failure.ancestor) error["ancestor"] = core::to_json(*failure.ancestor);
  return error;
}

}  // namespace

std::string error_document(const std::string& verb, const Failure& failure) {
  return line_of({{"verb", verb}, {"error", error_json(failure)}, {"exit_code", failure.exit_code}});
}

std::string event_line(const Event& event) {
  json locks = json::array();
  for (const EventLock& lock : event.locks) {
    locks.push_back(
        {{"tier", core::name_of(lock.tier)}, {"path", or_null(lock.path)}, {"mode", sys::name_of(lock.mode)}});
  }
  json document = {{"event", event.name}, {"time", core::to_text(event.time)}, {"locks", std::move(locks)}};
  if (event.busy != nullptr) document["busy"] = error_json(*event.busy);
  if (event.waited) document["waited_ms"] = event.waited->count();
  if (event.pid) document["pid"] = *event.pid;
  if (event.held) document["held_ms"] = event.held->count();
  if (event.error != nullptr) document["error"] = error_json(*event.error);
  if (event.error != nullptr) document["exit_code"] = event.error->exit_code;
  if (event.exit_code) document["exit_code"] = *event.exit_code;
  return line_of(document);
}

std::string held_document(const std::string& verb, const std::vector<core::HeldLock>& locks) {
  json entries = json::array();
  for (const core::HeldLock& lock : locks) entries.push_back(core::to_json(lock.stack_entry()));
  return line_of({{"verb", verb}, {"version", document_version}, {"locks", std::move(entries)}});
}

std::string release_document(const LockName& lock, pid_t pid) {
  return line_of({{"verb", "release"},
                  {"version", document_version},
                  {"tier", core::name_of(lock.tier)},
                  {"target", lock.target},
                  {"path", lock.path},
                  {"pid", pid}});
}

std::string wait_document(std::chrono::milliseconds waited) {
  return line_of({{"verb", "wait"}, {"version", document_version}, {"waited_ms", waited.count()}});
}

std::string status_document(const StatusReport& report) {
  json locks = json::array();
  for (const core::LockReport& lock : report.locks) {
    json document = {
        {"tier", core::name_of(lock.tier)},
        {"target", lock.target},
        {"path", lock.path},
        {"state", core::name_of(lock.file.state)},
        {"mode", mode_json(lock.file.mode)},
        {"evidence", core::name_of(lock.file.evidence)},
        {"holders", parties_json(lock.file.holders, report.taken_at)},
        {"waiters", parties_json(lock.file.waiters, report.taken_at)},
        {"record", core::name_of(lock.file.record)},
        {"file_system", lock.file_system ? json(lock.file_system->type) : json(nullptr)},
        {"weakness", lock.file_system ? json(core::name_of(lock.file_system->weakness)) : json(nullptr)},
    };
    if (lock.tier == core::Tier::semaphore) {
      document["slots"] = lock.slots;
      document["used"] = lock.used;
    }
    locks.push_back(std::move(document));
  }
  json document = {{"verb", "status"},
                   {"version", document_version},
                   {"host", or_null(report.host)},
                   {"taken_at", core::to_text(report.taken_at)},
                   {"locks", std::move(locks)}};
  for (const core::DeadlockReport& deadlock : report.deadlocks) {
    json pids = json::array();
    for (const core::StuckProcess& process : deadlock) pids.push_back(or_null(process.party.pid));
    document["deadlocks"].push_back(std::move(pids));
  }
  if (report.unseen) {
    document["unnamed"] = report.unseen->files;
    document["complete"] = report.unseen->is_nothing();
  }
  return line_of(document);
}

std::string probe_document(const LockName& lock, const std::string& path, core::LockState state, sys::Mode mode) {
  return line_of({{"verb", "probe"},
                  {"version", document_version},
                  {"tier", core::name_of(lock.tier)},
                  {"target", lock.target},
                  {"path", path},
                  {"state", core::name_of(state)},
                  {"mode", sys::name_of(mode)}});
}

std::string stack_document(const std::vector<core::VerifiedEntry>& stack) {
  json entries = json::array();
  for (const auto& [entry, liveness] : stack) {
    entries.push_back(core::to_json(entry));
    entries.back()["live"] = liveness == core::Liveness::live;
  }
  return line_of({{"verb", "stack"}, {"version", document_version}, {"entries", std::move(entries)}});
}

std::string tiers_document(const std::string& target, const std::vector<TierRow>& rows) {
  json tiers = json::array();
  for (const TierRow& row : rows) {
    json files = json::array();
    for (const auto& names : row.files) {
      for (const std::string& name : names) {
        if (std::find(files.begin(), files.end(), name) == files.end()) files.push_back(name);
      }
    }
    tiers.push_back({{"ordinal", core::ordinal_of(row.tier)},
                     {"name", core::name_of(row.tier)},
                     {"given", row.given},
                     {"lock_files", std::move(files)}});
  }
  return line_of(
      {{"verb", "tiers"}, {"version", document_version}, {"target", or_null(target)}, {"tiers", std::move(tiers)}});
}

}  // namespace grex::cli
