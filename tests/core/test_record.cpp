#include <doctest/doctest.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "core/lock/record.hpp"

using namespace grex::core;

namespace {

Record sample() {
  Record record;
  record.writer = {42, 987654, "boot", "pid:[4026531836]", "host"};
  record.uid = 1000;
  record.command = {"make", "-j8", "a b"};
  record.cwd = "/ws/app";
  record.tier = Tier::backend;
  record.since = *grex::parse_utc("2026-01-31T09:05:07.250Z");
  record.note = "nightly \"build\"\n";
  record.verb = "run";
  return record;
}

}  // namespace

TEST_CASE("a record is one line of JSON and is read back unchanged") {
  const std::string line = to_line(sample());
  CHECK(line.back() == '\n');
  CHECK(line.find('\n') == line.size() - 1);
  const auto record = parse_record(line);
  REQUIRE(record);
  CHECK(record->writer.pid == 42);
  CHECK(record->writer.start_time == 987654);
  CHECK(record->writer.boot_id == "boot");
  CHECK(record->writer.pid_ns == "pid:[4026531836]");
  CHECK(record->writer.host == "host");
  CHECK(record->uid == 1000);
  CHECK(record->command == sample().command);
  CHECK(record->cwd == "/ws/app");
  CHECK(record->tier == Tier::backend);
  CHECK(record->since == sample().since);
  CHECK(record->note == sample().note);
  CHECK(record->verb == "run");
}

TEST_CASE("a record stays within its limit and readable, whatever its fields contain") {
  Record record = sample();
  SUBCASE("a long argument") { record.command = {"echo", std::string(100'000, 'x')}; }
  SUBCASE("many arguments") { record.command.assign(50'000, "argument"); }
  SUBCASE("arguments that grow when escaped") { record.command.assign(2'000, std::string(3, '\x01')); }
  SUBCASE("many empty arguments") { record.command.assign(50'000, ""); }
  SUBCASE("a long note") { record.note.assign(100'000, 'n'); }
  SUBCASE("a long directory") { record.cwd.assign(4'096, '\x02'); }
  SUBCASE("all of them") {
    record.command.assign(10'000, "argument");
    record.note.assign(10'000, '\x03');
    record.cwd.assign(4'096, 'd');
  }
  SUBCASE("bytes that are not UTF-8") { record.note = "\xff\xc3"; }
  SUBCASE("a cut within a character") { record.note.assign(5'000, '\xc3'); }
  const std::string line = to_line(record);
  CHECK(line.size() <= record_limit);
  const auto parsed = parse_record(line);
  REQUIRE(parsed);
  CHECK(parsed->writer.pid == 42);
  REQUIRE_FALSE(parsed->command.empty());
  CHECK(parsed->command.front() == record.command.front());
}

// SECURITY.md: any other bytes, of any length | 4 KiB are looked at, and what is no record is none
TEST_CASE("any other bytes are not a record") {
  const std::string good = to_line(sample());
  const auto with = [&good](const std::string& from, const std::string& to) {
    std::string text = good;
    return text.replace(text.find(from), from.size(), to);
  };
  for (const std::string& text :
       {std::string(), std::string("\0\0\0", 3), std::string("4242\n"), std::string("{}"), std::string("[]"),
        good.substr(0, good.size() / 2), std::string(5'000, '['), with("\"pid\":42", "\"pid\":\"42\""),
        with("\"pid\":42", "\"pid\":0"), with("\"pid\":42", "\"pid\":99999999999"), with("[\"make\"", "[1"),
        with("backend", "x"), with("2026-01-31T09:05:07.250Z", "yesterday"), with("\"uid\":1000", "\"uid\":-1"),
        with("\"uid\":1000", "\"uid\":4294967296"), with("\"verb\":\"run\"", "\"verb\":null")}) {
    CAPTURE(text);
    CHECK_FALSE(parse_record(text));
  }
}

TEST_CASE("a process's own identity is complete") {
  const ProcessIdentity self = own_identity();
  CHECK(self.pid == ::getpid());
  CHECK(self.start_time > 0);
  CHECK(self.boot_id.size() == 36);
  CHECK(self.pid_ns.starts_with("pid:["));
}
