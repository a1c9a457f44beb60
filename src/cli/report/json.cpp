#include "cli/report/json.hpp"

#include <string.h>

#include <algorithm>
#include <cstdint>

#include "core/lock/stack_json.hpp"

namespace grex::cli {
namespace {

constexpr int document_version = 1;

Json to_json(const core::LockProcess& process, UtcTime now) {
  Json document = {
      {"pid", or_null(process.pid)},
      {"role", core::name_of(process.role)},
      {"alive", or_null(process.alive)},
      {"uid", or_null(process.uid)},
      {"user", or_null(process.user)},
      {"command", or_null(process.command)},
      {"cwd", or_null(process.cwd)},
      {"since", process.since ? Json(format_utc(*process.since)) : Json(nullptr)},
      {"held_ms", nullptr},
      {"host", or_null(process.host)},
      {"note", or_null(process.note)},
      {"verb", or_null(process.verb)},
      {"mode", cli::to_json(process.mode)},
      {"file", or_null(process.file)},
  };
  // The clock may have been set back since.
  if (process.since && *process.since <= now) document["held_ms"] = (now - *process.since).count();
  if (process.slot) document["slot"] = *process.slot;
  if (process.is_lost) document["lost"] = true;
  if (process.watched) document["while_pid"] = process.watched->pid;
  if (process.seat) {
    document["token"] = process.seat->token;
    document["lease_ms"] = process.seat->lease_left ? Json(process.seat->lease_left->count()) : Json(nullptr);
    if (process.seat->position > 0) document["position"] = process.seat->position;
  }
  return document;
}

}  // namespace

Json document_of(std::string_view verb) {
  Json document;
  document["verb"] = verb;
  document["version"] = document_version;
  return document;
}

std::string to_line(const Json& document) {
  return document.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

Json or_null(const std::string& text) { return text.empty() ? Json(nullptr) : Json(text); }

Json or_null(const std::vector<std::string>& words) { return words.empty() ? Json(nullptr) : Json(words); }

Json to_json(std::optional<sys::Mode> mode) { return mode ? Json(sys::name_of(*mode)) : Json(nullptr); }

Json to_json(const std::vector<core::LockProcess>& processes, UtcTime now) {
  Json list = Json::array();
  for (const core::LockProcess& process : processes) list.push_back(to_json(process, now));
  return list;
}

Json to_json(const Failure& failure) {
  Json error = {{"kind", name_of(failure.kind)}, {"message", failure.what}};
  if (!failure.why.empty()) error["message"] = failure.what + ": " + failure.why;
  error["path"] = or_null(failure.path);
  error["tier"] = failure.tier ? Json(core::name_of(*failure.tier)) : Json(nullptr);
  const char* const errno_name = failure.err != 0 ? ::strerrorname_np(failure.err) : nullptr;
  error["errno"] = errno_name != nullptr ? Json(errno_name) : Json(nullptr);
  if (!failure.hint.empty()) error["hint"] = failure.hint;
  if (failure.kind == ErrorKind::busy || failure.kind == ErrorKind::timeout || !failure.holders.empty()) {
    error["holders"] = to_json(failure.holders, utc_now());
  }
  if (failure.waited) error["waited_ms"] = failure.waited->count();
  if (failure.ancestor) error["ancestor"] = core::to_json(*failure.ancestor);
  return error;
}

std::string version_document(std::string_view verb) {
  Json document = document_of(verb);
  document["grex_lock_version"] = GREX_LOCK_VERSION;
  return to_line(document);
}

std::string error_document(std::string_view verb, const Failure& failure) {
  return to_line({{"verb", verb}, {"error", to_json(failure)}, {"exit_code", failure.exit_code}});
}

}  // namespace grex::cli
