#include <doctest/doctest.h>
#include <stdlib.h>
#include <time.h>

#include <optional>
#include <string>

#include "base/time_text.hpp"

using namespace grex;
using namespace std::chrono_literals;

namespace {

// A time zone that needs no file: an hour ahead of UTC, two in summer.
constexpr const char* berlin = "CET-1CEST,M3.5.0,M10.5.0/3";

class TimeZone {
 public:
  explicit TimeZone(const char* name) { set(name); }
  ~TimeZone() { set(before_ ? before_->c_str() : nullptr); }
  TimeZone(const TimeZone&) = delete;
  TimeZone& operator=(const TimeZone&) = delete;

 private:
  static std::optional<std::string> current() {
    const char* const name = ::getenv("TZ");
    return name == nullptr ? std::nullopt : std::optional<std::string>(name);
  }
  static void set(const char* name) {
    (void)(name == nullptr ? ::unsetenv("TZ") : ::setenv("TZ", name, 1));
    ::tzset();
  }

  std::optional<std::string> before_ = current();
};

}  // namespace

TEST_CASE("durations are read as people write them") {
  CHECK(parse_duration("5") == 5s);
  CHECK(parse_duration("0.25") == 250ms);
  CHECK(parse_duration(".5") == 500ms);
  CHECK(parse_duration("250ms") == 250ms);
  CHECK(parse_duration("3s") == 3s);
  CHECK(parse_duration("2m") == 2min);
  CHECK(parse_duration("1.5h") == 90min);
  CHECK(parse_duration("0") == 0s);
}

TEST_CASE("any other text is refused as a duration") {
  for (const char* const text :
       {"", " ", "x", "-1", "+1", "1x", "1 s", "1e3", "inf", "nan", "ms", "1msx", "0x10", "1,5", "."}) {
    CAPTURE(text);
    CHECK_FALSE(parse_duration(text));
  }
}

TEST_CASE("a very long duration is cut to a hundred years") {
  CHECK(parse_duration("99999999999h") == parse_duration("876000h"));
  CHECK(parse_duration(std::string(400, '9')) == 876000h);
  CHECK(parse_duration(std::string(400, '9') + "ms") == 876000h);
}

TEST_CASE("a duration too small to represent is zero") {
  CHECK(parse_duration("0.0000000001") == 0s);
  CHECK(parse_duration("0." + std::string(400, '0') + "1") == 0s);
  CHECK(parse_duration("." + std::string(400, '0') + "1h") == 0s);
}

TEST_CASE("times are written and read as RFC 3339 in UTC with milliseconds") {
  const UtcTime time = std::chrono::sys_days(std::chrono::year(2024) / 2 / 29) + 23h + 59min + 7s + 5ms;
  CHECK(format_utc(time) == "2024-02-29T23:59:07.005Z");
  CHECK(parse_utc("2024-02-29T23:59:07.005Z") == time);
  for (const char* const text : {"", "2024-02-29", "2024-02-30T00:00:00.000Z", "2024-13-01T00:00:00.000Z",
                                 "2024-02-29T24:00:00.000Z", "2024-02-29T23:59:60.000Z", "2024-02-29T23:59:07.005+",
                                 "2024-02-29 23:59:07.005Z", "2024-02-29T23:59:07.005Zx", "-024-02-29T23:59:07.005Z"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_utc(text));
  }
}

TEST_CASE("people read times in local time with its offset, and the date only of another day") {
  const UtcTime evening = std::chrono::sys_days(std::chrono::year(2026) / 11 / 23) + 22h + 59min + 54s + 821ms;
  const UtcTime summer = std::chrono::sys_days(std::chrono::year(2026) / 7 / 1) + 9h;
  {
    const TimeZone zone(berlin);
    CHECK(format_local(evening, evening) == "23:59:54+01:00");
    CHECK(format_local(evening, evening + 6s) == "2026-11-23 23:59:54+01:00");  // past midnight there
    CHECK(format_local(evening + 6s, evening) == "2026-11-24 00:00:00+01:00");
    CHECK(format_local(evening, evening + std::chrono::days(365)) == "2026-11-23 23:59:54+01:00");
    CHECK(format_local(summer, summer) == "11:00:00+02:00");
  }
  {
    const TimeZone zone("NST3:30");
    CHECK(format_local(evening, evening + 6s) == "19:29:54-03:30");
  }
  const TimeZone zone("UTC0");
  CHECK(format_local(evening, evening + 6s) == "22:59:54+00:00");
}

TEST_CASE("a TZ that names a file outside zoneinfo is not read") {
  const UtcTime noon = std::chrono::sys_days(std::chrono::year(2026) / 11 / 23) + 12h;
  const TimeZone zone(berlin);
  // tzset(3), which has been called, is what reads a file.
  for (const char* const name : {"/tmp/zone", ":/tmp/zone", "../tmp/zone", "Europe/../../../../tmp/zone",
                                 "/usr/share/zoneinfo/../../../tmp/zone", "/usr/share/zoneinfo"}) {
    CAPTURE(name);
    ::setenv("TZ", name, 1);
    CHECK(format_local(noon, noon) == "12:00:00+00:00");
  }
  ::setenv("TZ", berlin, 1);
  CHECK(format_local(noon, noon) == "13:00:00+01:00");
  ::setenv("TZDIR", "/tmp", 1);
  CHECK(format_local(noon, noon) == "12:00:00+00:00");
  ::unsetenv("TZDIR");
}

TEST_CASE("durations are shown in at most two units, from ten seconds on in whole ones") {
  const auto shown = [](std::chrono::milliseconds duration) { return format_duration(duration); };
  CHECK(shown(250ms) == "250ms");
  CHECK(shown(200ms) == "0.2s");
  CHECK(shown(3290ms) == "3.2s");
  CHECK(shown(2s) == "2s");
  CHECK(shown(9999ms) == "9.9s");
  CHECK(shown(12900ms) == "12s");
  CHECK(shown(125s) == "2m 5s");
  CHECK(shown(120s) == "2m");
  CHECK(shown(1h + 3min + 59s) == "1h 3m");
  CHECK(shown(99h) == "4d 3h");
  CHECK(shown(-5s) == "0s");
}
