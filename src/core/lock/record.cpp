#include "core/lock/record.hpp"

#include <limits>
#include <nlohmann/json.hpp>
#include <type_traits>

#include "sys/process/proc.hpp"
#include "sys/process/proc_text.hpp"

namespace grex::core {
namespace {

using json = nlohmann::ordered_json;

constexpr std::string_view cut_mark = "…";

std::string dump(const Record& record) {
  json document;
  document["pid"] = record.writer.pid;
  document["start_time"] = record.writer.start_time;
  document["boot_id"] = record.writer.boot_id;
  document["pid_ns"] = record.writer.pid_ns;
  document["host"] = record.writer.host;
  document["uid"] = record.uid;
  document["command"] = record.command;
  document["cwd"] = record.cwd;
  document["tier"] = name_of(record.tier);
  document["since"] = format_utc(record.since);
  document["note"] = record.note;
  document["verb"] = record.verb;
  return document.dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
}

void cut(std::string& text, std::size_t size) {
  if (text.size() <= size) return;
  text.resize(size);
  text += cut_mark;
}

// Keeps as many leading arguments as fit into about `size` bytes.
void cut(std::vector<std::string>& command, std::size_t size) {
  constexpr std::size_t quotes_and_comma = 3;
  std::size_t left = size;
  for (std::size_t i = 0; i < command.size(); ++i) {
    const std::size_t needed = command[i].size() + quotes_and_comma;
    if (needed <= left) {
      left -= needed;
      continue;
    }
    cut(command[i], left);
    command.resize(i + 1);
  }
}

template <class T>
bool read(const json& document, const char* key, T& value) {
  const auto found = document.find(key);
  if (found == document.end()) return false;
  if constexpr (std::is_same_v<T, std::string>) {
    if (!found->is_string()) return false;
  } else if constexpr (std::is_unsigned_v<T>) {
    if (!found->is_number_unsigned() || found->template get<std::uint64_t>() > std::numeric_limits<T>::max())
      return false;
  } else if constexpr (std::is_same_v<T, std::vector<std::string>>) {
    if (!found->is_array()) return false;
    for (const auto& item : *found) {
      if (!item.is_string()) return false;
    }
  }
  value = found->template get<T>();
  return true;
}

}  // namespace

ProcessIdentity own_identity() {
  ProcessIdentity self;
  self.pid = sys::own_pid();
  if (const auto stat = sys::process_file(sys::own_process, "stat"))
    self.start_time = sys::parse_start_time(*stat).value_or(0);
  self.boot_id = sys::boot_id();
  self.pid_ns = sys::process_link(sys::own_process, "ns/pid").value_or("");
  self.host = sys::host_name();
  return self;
}

std::string to_line(const Record& record) {
  std::string line = dump(record);
  // Control characters grow sixfold in JSON, so try until a size fits.
  for (std::size_t size = record_limit / 2; line.size() > record_limit && size > 1; size /= 2) {
    Record shorter = record;
    cut(shorter.command, size);
    if (size < record_limit / 4) {
      cut(shorter.note, size);
      cut(shorter.cwd, size);
    }
    line = dump(shorter);
  }
  return line;
}

std::optional<Record> parse_record(std::string_view text) {
  if (text.size() > record_limit) return std::nullopt;
  const json document = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!document.is_object()) return std::nullopt;

  Record record;
  unsigned pid = 0;
  std::string tier;
  std::string since;
  const bool complete =
      read(document, "pid", pid) && read(document, "start_time", record.writer.start_time) &&
      read(document, "boot_id", record.writer.boot_id) && read(document, "pid_ns", record.writer.pid_ns) &&
      read(document, "host", record.writer.host) && read(document, "uid", record.uid) &&
      read(document, "command", record.command) && read(document, "cwd", record.cwd) && read(document, "tier", tier) &&
      read(document, "since", since) && read(document, "note", record.note) && read(document, "verb", record.verb);
  const auto named_tier = tier_named(tier);
  const auto time = parse_utc(since);
  if (!complete || pid == 0 || pid > std::numeric_limits<pid_t>::max() || !named_tier || !time) return std::nullopt;
  record.writer.pid = static_cast<pid_t>(pid);
  record.tier = *named_tier;
  record.since = *time;
  return record;
}

}  // namespace grex::core
