// The holder record: read from a file that other users may write to, and written with
// any command, directory and note.

#include "core/lock/record.hpp"

#include "fuzz.hpp"

using namespace grex;
using fuzz::require;

namespace {

bool is_same(const core::Record& a, const core::Record& b) {
  return a.writer.pid == b.writer.pid && a.writer.start_time == b.writer.start_time &&
         a.writer.boot_id == b.writer.boot_id && a.writer.pid_ns == b.writer.pid_ns && a.writer.host == b.writer.host &&
         a.uid == b.uid && a.command == b.command && a.cwd == b.cwd && a.tier == b.tier && a.since == b.since &&
         a.note == b.note && a.verb == b.verb && a.taken == b.taken && a.path == b.path && a.while_pid == b.while_pid &&
         a.release.has_value() == b.release.has_value();
}

bool is_one_line(const std::string& line) { return line.find('\n') == line.size() - 1; }

void check_reading(std::string_view text) {
  const auto record = core::parse_record(text);
  if (!record) return;
  require(text.size() <= core::record_limit && record->writer.pid > 0);
  const std::string line = core::to_line(*record);
  require(is_one_line(line));
  if (line.size() > core::record_limit) return;  // fields that are never long, such as the host, are not cut
  const auto again = core::parse_record(line);
  require(again.has_value());
  // The line may be longer than the text, by the newline and by other escapes.
  if (text.size() < core::record_limit / 2) require(is_same(*again, *record));
}

// Repeats a short input until its record must be cut.
std::string repeated(std::string_view text) {
  std::string all(text);
  while (!text.empty() && all.size() <= core::record_limit) all += text;
  return all;
}

void check_writing(const std::string& command, const std::string& cwd, const std::string& note) {
  core::Record record;
  record.writer = {42, 987654, "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0", "pid:[4026531836]", "host"};
  record.command = fuzz::split(command, '\0');
  record.cwd = cwd;
  record.path = cwd;
  record.note = note;
  record.verb = "run";
  const std::string line = core::to_line(record);
  require(line.size() <= core::record_limit && is_one_line(line));
  const auto read = core::parse_record(line);
  require(read && read->writer.pid == record.writer.pid && read->verb == record.verb);
  require(core::classify(line) == core::Content::record);
  const core::Release release{record.since, std::chrono::milliseconds::max(), 255};
  const std::string released = core::released_line(line, release);
  require(released.size() <= core::record_limit && is_one_line(released));
  require(core::parse_record(released) && core::parse_record(released)->release);
  require(read->command.size() <= record.command.size());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = fuzz::text_of(data, size);
  check_reading(text);
  const std::string once(text);
  const std::string often = repeated(text);
  check_writing(often, once, once);
  check_writing(once, often, often);
  return 0;
}
