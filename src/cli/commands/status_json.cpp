#include "cli/commands/status_json.hpp"

#include "cli/report/json.hpp"

namespace grex::cli {
namespace {

// Why the state is unknown.
Json reason_of(const core::FileReport& file) {
  if (file.state == core::LockState::unknown && file.lease) return "leased";
  if (file.state != core::LockState::unknown || !file.why_unknown) return nullptr;
  return file.why_unknown->kind == ErrorKind::unsafe_file ? "unsafe" : name_of(file.why_unknown->kind);
}

// Who held the lock last, if that is known.
Json last_of(const core::FileReport& file) {
  if (!file.last) return nullptr;
  const auto& [process, release] = *file.last;
  return {
      {"pid", or_null(process.pid)},
      {"uid", or_null(process.uid)},
      {"user", or_null(process.user)},
      {"command", or_null(process.command)},
      {"cwd", or_null(process.cwd)},
      {"since", process.since ? Json(format_utc(*process.since)) : Json(nullptr)},
      {"released", format_utc(release.time)},
      {"held_ms", release.held.count()},
      {"exit_code", or_null(release.exit_code)},
      {"host", or_null(process.host)},
      {"note", or_null(process.note)},
      {"verb", or_null(process.verb)},
  };
}

// In which layout a lock has this file.
std::string_view layout_of(const core::ReportedFile& file, const core::LockReport& lock) {
  if (lock.is_old) return "old";
  return core::has_file_per_layout(lock.tier) ? core::name_of(file.layout) : "both";
}

Json files_of(const core::LockReport& lock) {
  Json files = Json::array();
  for (const core::ReportedFile& file : lock.files) {
    files.push_back({{"path", file.path}, {"layout", layout_of(file, lock)}, {"state", core::name_of(file.state)}});
  }
  return files;
}

Json to_json(const core::LockReport& lock, UtcTime now) {
  Json document = {
      {"tier", core::name_of(lock.tier)},
      {"engine", lock.cluster ? "etcd" : "file"},
      {"target", or_null(lock.target)},
      {"path", lock.cluster ? Json(nullptr) : Json(lock.path)},
      {"files", files_of(lock)},
      {"state", core::name_of(lock.merged.state)},
      {"reason", reason_of(lock.merged)},
      {"mode", cli::to_json(lock.merged.mode)},
      {"evidence", core::name_of(lock.merged.evidence)},
      {"holders", cli::to_json(lock.merged.holders, now)},
      {"waiters", cli::to_json(lock.merged.waiters, now)},
      {"record", core::name_of(lock.merged.record)},
      {"last", last_of(lock.merged)},
      {"file_system", lock.file_system ? Json(lock.file_system->type) : Json(nullptr)},
      {"weakness", lock.file_system ? Json(core::name_of(lock.file_system->caveat)) : Json(nullptr)},
  };
  if (lock.cluster) {
    document["name"] = lock.path;
    document["namespace"] = lock.cluster->ns;
  } else if (lock.tier == core::Tier::semaphore) {
    document["slots"] = lock.slots;
    document["used"] = lock.used;
  }
  return document;
}

}  // namespace

std::string status_document(const StatusReport& report) {
  Json document = document_of("status");
  document["version"] = 2;  // since a lock with two files is one entry
  document["host"] = or_null(report.host);
  document["taken_at"] = format_utc(report.taken_at);
  document["complete"] = report.is_complete;
  Json& locks = document["locks"] = Json::array();
  for (const core::LockReport& lock : report.locks) locks.push_back(to_json(lock, report.taken_at));
  for (const core::DeadlockReport& deadlock : report.deadlocks) {
    Json pids = Json::array();
    for (const core::StuckProcess& stuck : deadlock) pids.push_back(or_null(stuck.process.pid));
    document["deadlocks"].push_back(std::move(pids));
  }
  if (report.unseen) document["unnamed"] = report.unseen->files + report.unseen->unreachable;
  return to_line(document);
}

}  // namespace grex::cli
