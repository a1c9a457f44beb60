#include <doctest/doctest.h>

#include "base/time_text.hpp"

using namespace grex;
using namespace std::chrono_literals;

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

TEST_CASE("durations are shown in at most two units") {
  CHECK(format_duration(std::chrono::milliseconds(250ms)) == "250ms");
  CHECK(format_duration(std::chrono::milliseconds(4290ms)) == "4.2s");
  CHECK(format_duration(std::chrono::milliseconds(192s)) == "3m12s");
  CHECK(format_duration(std::chrono::milliseconds(2h + 5min + 9s)) == "2h5m");
  CHECK(format_duration(std::chrono::milliseconds(99h)) == "4d3h");
  CHECK(format_duration(std::chrono::milliseconds(-5s)) == "0ms");
}
