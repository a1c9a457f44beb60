#include <doctest/doctest.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "core/lock/record.hpp"

using namespace grex::core;

namespace {

Record sample() {
  Record record;
  record.writer = {42, 987654, "boot", "pid:[4026531836]", "host"};
  record.taken = 12'345'678'901;
  record.uid = 1000;
  record.command = {"make"};
  record.cwd = "/ws/app";
  record.path = "/ws/app/.grex/.grex-lock";
  record.tier = Tier::backend;
  record.since = *grex::parse_utc("2026-01-31T09:05:07.250Z");
  record.note = "nightly \"build\"\n";
  record.verb = "run";
  record.while_pid = 7;
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
  CHECK(record->taken == 12'345'678'901);
  CHECK(record->path == "/ws/app/.grex/.grex-lock");
  CHECK(record->while_pid == 7);
  CHECK_FALSE(record->release);
  CHECK(record->uid == 1000);
  CHECK(record->command == sample().command);
  CHECK(record->cwd == "/ws/app");
  CHECK(record->tier == Tier::backend);
  CHECK(record->since == sample().since);
  CHECK(record->note == sample().note);
  CHECK(record->verb == "run");
}

TEST_CASE("a record says how its lock was released, if there is an exit code or not") {
  const auto time = *grex::parse_utc("2026-01-31T10:00:00.000Z");
  for (const std::optional<int> exit_code : {std::optional(137), std::optional<int>()}) {
    Record released = sample();
    released.release = {time, std::chrono::milliseconds(4200), exit_code};
    for (const std::string& line : {released_line(to_line(sample()), *released.release), to_line(released)}) {
      const auto record = parse_record(line);
      REQUIRE(record);
      REQUIRE(record->release);
      CHECK(record->release->time == time);
      CHECK(record->release->held == std::chrono::milliseconds(4200));
      CHECK(record->release->exit_code == exit_code);
      CHECK(record->note == sample().note);
    }
  }
}

TEST_CASE("a record of grex-lock 0.1 is read") {
  const auto record =
      parse_record(R"({"pid":42,"start_time":7,"boot_id":"b","pid_ns":"n","host":"h","uid":0,"command":["make","-j8"],)"
                   R"("cwd":"/","tier":"per-pack","since":"2026-01-31T09:05:07.250Z","note":"","verb":"run"})"
                   "\n");
  REQUIRE(record);
  CHECK(record->command == std::vector<std::string>{"make", "-j8"});
  CHECK_FALSE(record->taken);
  CHECK(record->path.empty());
}

TEST_CASE("a long note is cut at the end of a character, and uses the room that there is") {
  Record record = sample();
  for (const char* const character : {"n", "\u00e9", "\u20ac", "\U0001f512"}) {
    CAPTURE(character);
    record.note.clear();
    while (record.note.size() < 10'000) record.note += character;
    for (std::size_t shift = 0; shift < 4; ++shift) {
      Record shifted = record;
      shifted.note.insert(0, shift, 'x');
      const auto parsed = parse_record(to_line(shifted));
      REQUIRE(parsed);
      CHECK(parsed->note.size() > 3'400);
      CHECK(parsed->note.find("\ufffd") == std::string::npos);
      CHECK(parsed->note.ends_with(std::string(character) + "\u2026"));
      CHECK(parsed->cwd == record.cwd);
    }
  }
}

TEST_CASE("what begins as a record does, and what a crash leaves, may be replaced by one") {
  const std::string line = to_line(sample());
  CHECK(classify("") == Content::nothing);
  for (const std::string& text :
       {line, line + "4242\n", line.substr(0, 30), std::string(4096, '\0'), std::string("{\"pid\":")}) {
    CHECK(classify(text) == Content::record);
  }
  for (const std::string& text :
       {std::string("pid=123\n"), "\n" + line, std::string("{\"pid\":") + std::string(4096, ' '),
        std::string(4097, '\0'), std::string("\0x", 2), std::string("{}")}) {
    CHECK(classify(text) == Content::other);
  }
}

TEST_CASE("a record stays within its limit and readable, whatever its fields contain") {
  Record record = sample();
  SUBCASE("a long name") { record.command = {std::string(100'000, 'x')}; }
  SUBCASE("a name that grows when escaped") { record.command = {std::string(2'000, '\x01')}; }
  SUBCASE("the arguments of grex-lock 0.1") { record.command.assign(50'000, "argument"); }
  SUBCASE("a long path") { record.path.assign(10'000, 'p'); }
  SUBCASE("a long note") { record.note.assign(100'000, 'n'); }
  SUBCASE("a long directory") { record.cwd.assign(4'096, '\x02'); }
  SUBCASE("all of them") {
    record.command = {std::string(10'000, 'c')};
    record.path.assign(10'000, '"');
    record.note.assign(10'000, '\x03');
    record.cwd.assign(4'096, 'd');
  }
  SUBCASE("bytes that are not UTF-8") { record.note = "\xff\xc3"; }
  SUBCASE("a cut within a character") { record.note.assign(5'000, '\xc3'); }
  const std::string line = to_line(record);
  const Release release{record.since, std::chrono::milliseconds::max(), 255};
  CHECK(released_line(line, release).size() <= record_limit);
  const auto parsed = parse_record(line);
  REQUIRE(parsed);
  CHECK(parsed->writer.pid == 42);
  REQUIRE_FALSE(parsed->command.empty());
  CHECK(parsed->command.front().substr(0, 4) == record.command.front().substr(0, 4));
}

// SECURITY.md: write any other bytes, of any length | 4 KiB are read, and what is not a record is ignored
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
        with("\"taken\":12345678901", "\"taken\":-1"), with("\"path\":\"", "\"path\":1,\"x\":\""),
        with("\"verb\"", "\"released\":\"x\",\"verb\""), with("backend", "x"),
        with("2026-01-31T09:05:07.250Z", "yesterday"), with("\"uid\":1000", "\"uid\":-1"),
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
