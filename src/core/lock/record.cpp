#include "core/lock/record.hpp"

#include <fmt/compile.h>
#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <limits>
#include <nlohmann/json.hpp>
#include <type_traits>

#include "base/json_text.hpp"
#include "sys/process/proc.hpp"
#include "sys/process/proc_text.hpp"

namespace grex::core {
namespace {

using json = nlohmann::ordered_json;

constexpr std::string_view cut_mark = "…";

std::string in_json_array(const std::vector<std::string>& words) {
  std::string array = "[";
  for (const std::string& word : words) {
    if (array.size() > 1) array += ',';
    array += quoted_json(word);
  }
  return array + ']';
}

// The braces and keys are constant: to build a JSON object and to dump it would take most of the
// time of a run.
std::string dump(const Record& record) {
  fmt::memory_buffer line;
  const auto out = fmt::appender(line);
  fmt::format_to(out, FMT_COMPILE(R"({{"pid":{},"start_time":{},"boot_id":{},"pid_ns":{},"host":{})"),
                 record.writer.pid, record.writer.start_time, quoted_json(record.writer.boot_id),
                 quoted_json(record.writer.pid_ns), quoted_json(record.writer.host));
  if (record.taken) fmt::format_to(out, FMT_COMPILE(R"(,"taken":{})"), *record.taken);
  fmt::format_to(
      out, FMT_COMPILE(R"(,"uid":{},"command":{},"cwd":{},"path":{},"tier":"{}","since":"{}","note":{},"verb":{})"),
      record.uid, in_json_array(record.command), quoted_json(record.cwd), quoted_json(record.path),
      name_of(record.tier), format_utc(record.since), quoted_json(record.note), quoted_json(record.verb));
  if (record.while_pid) fmt::format_to(out, FMT_COMPILE(R"(,"while_pid":{})"), *record.while_pid);
  fmt::format_to(out, "}}\n");
  return fmt::to_string(line);
}

// Cuts at the end of a character.
void cut(std::string& text, std::size_t size) {
  if (text.size() <= size) return;
  const auto is_continuation = [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) == 0x80; };
  constexpr std::size_t longest_character = 4;
  std::size_t end = size;
  while (end > 0 && size - end < longest_character && is_continuation(text[end])) --end;
  text.resize(end);
  text += cut_mark;
}

// Cuts each text that is longer than `size` bytes.
Record shortened(Record record, std::size_t size) {
  record.command.resize(std::min<std::size_t>(record.command.size(), 1));
  for (std::string& word : record.command) cut(word, size);
  for (std::string* const text : {&record.cwd, &record.path, &record.note}) cut(*text, size);
  return record;
}

// The line with as much of the longest texts as fits. How much they grow in JSON depends on
// their characters.
std::string shortened_line(const Record& record, std::size_t limit) {
  std::size_t fits = 0;
  std::size_t too_long = limit;
  while (too_long - fits > 1) {
    const std::size_t size = (fits + too_long) / 2;
    (dump(shortened(record, size)).size() <= limit ? fits : too_long) = size;
  }
  return dump(shortened(record, fits));
}

template <class T>
bool read(const json& document, const char* key, T& value) {
  const auto found = document.find(key);
  if (found == document.end()) return false;
  if constexpr (std::is_same_v<T, std::string>) {
    if (!found->is_string()) return false;
  } else if constexpr (std::is_integral_v<T>) {
    if (!found->is_number_unsigned() ||
        found->template get<std::uint64_t>() > static_cast<std::uint64_t>(std::numeric_limits<T>::max()))
      return false;
  } else if constexpr (std::is_same_v<T, UtcTime>) {
    const auto time = found->is_string() ? parse_utc(found->template get<std::string>()) : std::nullopt;
    if (time) value = *time;
    return time.has_value();
  } else if constexpr (std::is_same_v<T, std::vector<std::string>>) {
    if (!found->is_array()) return false;
    for (const auto& item : *found) {
      if (!item.is_string()) return false;
    }
  }
  if constexpr (!std::is_same_v<T, UtcTime>) value = found->template get<T>();
  return true;
}

// What may be missing, or null, is of its type, too, if it is there.
template <class T>
bool read(const json& document, const char* key, std::optional<T>& value) {
  const auto found = document.find(key);
  if (found == document.end() || found->is_null()) return true;
  return read(document, key, value.emplace());
}

bool read_release(const json& document, Record& record) {
  if (!document.contains("released")) return true;
  Release release;
  std::chrono::milliseconds::rep held = 0;
  const bool complete = read(document, "released", release.time) && read(document, "held_ms", held) &&
                        read(document, "exit_code", release.exit_code);
  release.held = std::chrono::milliseconds(held);
  record.release = release;
  return complete;
}

}  // namespace

ProcessIdentity own_number() {
  ProcessIdentity self;
  self.pid = sys::own_pid();
  self.host = sys::host_name();
  return self;
}

ProcessIdentity own_identity() {
  ProcessIdentity self = own_number();
  if (const auto stat = sys::process_file(sys::own_process, "stat"))
    self.start_time = sys::parse_start_time(*stat).value_or(0);
  self.boot_id = sys::boot_id();
  self.pid_ns = sys::process_link(sys::own_process, "ns/pid").value_or("");
  return self;
}

std::string to_line(const Record& record) {
  // Room for how it will be released.
  constexpr std::size_t release_size = 128;
  constexpr std::size_t limit = record_limit - release_size;
  std::string line = dump(record);
  if (line.size() > limit) line = shortened_line(record, limit);
  return record.release ? released_line(std::move(line), *record.release) : line;
}

std::string released_line(std::string line, const Release& release) {
  constexpr std::string_view end = "}\n";
  line.resize(line.size() - end.size());
  fmt::format_to(std::back_inserter(line), FMT_COMPILE(R"(,"released":"{}","held_ms":{},"exit_code":{}}})"),
                 format_utc(release.time), release.held.count(),
                 release.exit_code ? std::to_string(*release.exit_code) : "null");
  return line + '\n';
}

std::optional<Record> parse_record(std::string_view text) {
  if (text.size() > record_limit) return std::nullopt;
  const json document = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!document.is_object()) return std::nullopt;

  Record record;
  std::string tier;
  std::optional<std::string> path;
  const bool complete =
      read(document, "pid", record.writer.pid) && read(document, "start_time", record.writer.start_time) &&
      read(document, "boot_id", record.writer.boot_id) && read(document, "pid_ns", record.writer.pid_ns) &&
      read(document, "host", record.writer.host) && read(document, "taken", record.taken) &&
      read(document, "uid", record.uid) && read(document, "command", record.command) &&
      read(document, "cwd", record.cwd) && read(document, "path", path) && read(document, "tier", tier) &&
      read(document, "since", record.since) && read(document, "note", record.note) &&
      read(document, "verb", record.verb) && read(document, "while_pid", record.while_pid) &&
      read_release(document, record);
  const auto named_tier = tier_named(tier);
  if (!complete || record.writer.pid == 0 || !named_tier) return std::nullopt;
  record.tier = *named_tier;
  record.path = path.value_or("");
  return record;
}

Content classify(std::string_view text) {
  if (text.empty()) return Content::nothing;
  if (text.size() > record_limit) return Content::other;
  const bool has_only_nuls = text.find_first_not_of('\0') == std::string_view::npos;
  return has_only_nuls || text.starts_with("{\"pid\":") ? Content::record : Content::other;
}

}  // namespace grex::core
