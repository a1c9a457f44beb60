#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/time_text.hpp"
#include "cli/report/failure.hpp"
#include "core/inspect/file_report.hpp"
#include "sys/lock/flock.hpp"

namespace grex::cli {

/// The type of --json documents and events. Keys keep their order.
using Json = nlohmann::ordered_json;

/// The start of a command's document: its verb, and the version of its format.
Json document_of(std::string_view verb);

/// One line, newline included. Bytes that are not UTF-8 become U+FFFD, since JSON
/// can't hold them.
std::string to_line(const Json& document);

template <class T>
Json or_null(const std::optional<T>& value) {
  return value ? Json(*value) : Json(nullptr);
}
Json or_null(const std::string& text);
Json or_null(const std::vector<std::string>& words);
Json to_json(std::optional<sys::Mode> mode);

/// Holders or waiters; `now` is when they were inspected.
Json to_json(const std::vector<core::LockProcess>& processes, UtcTime now);

/// The value of `error` in a document or an event.
Json to_json(const Failure& failure);

/// The document of --version; `verb` is empty if no command was given.
std::string version_document(std::string_view verb);

/// The whole document of a command that failed; `verb` is empty if none was given.
std::string error_document(std::string_view verb, const Failure& failure);

}  // namespace grex::cli
