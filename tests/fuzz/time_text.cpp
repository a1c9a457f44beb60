// Durations as users write them, and the times in holder records.

#include "base/time_text.hpp"

#include <stdlib.h>

#include <algorithm>
#include <cmath>

#include "fuzz.hpp"

using namespace grex;
using fuzz::require;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;

namespace {

constexpr double longest = 100.0 * 365 * 24 * 3600;  // seconds

// The seconds of a text with the syntax of a duration.
double seconds_of(const std::string& text) {
  char* unit = nullptr;
  const double amount = ::strtod(text.c_str(), &unit);
  const std::string_view name = unit;
  const double factor = name == "ms" ? 0.001 : name == "m" ? 60 : name == "h" ? 3600 : 1;
  return std::min(amount * factor, longest);
}

void check_duration(std::string_view text) {
  const auto duration = parse_duration(text);
  if (!duration) return;
  require(*duration >= nanoseconds::zero() && *duration <= std::chrono::hours(24 * 365 * 100));
  require(text.find_first_not_of("0123456789.smh") == std::string_view::npos);
  const double seconds = std::chrono::duration<double>(*duration).count();
  const double expected = seconds_of(std::string(text));
  constexpr double nanosecond = 1e-9;
  require(std::abs(seconds - expected) <= nanosecond + expected * 1e-12);
  const std::string shown = format_duration(std::chrono::duration_cast<milliseconds>(*duration));
  require(!shown.empty() && shown.find_first_not_of("0123456789.smhd ") == std::string::npos);
}

void check_time(std::string_view text) {
  const auto time = parse_utc(text);
  require(!time || format_utc(*time) == text);
}

// Every time of the years 0 to 9999.
void check_time(std::uint64_t number) {
  using namespace std::chrono_literals;
  constexpr UtcTime first = std::chrono::sys_days(std::chrono::year(0) / 1 / 1);
  constexpr UtcTime end = std::chrono::sys_days(std::chrono::year(10000) / 1 / 1);
  const auto span = static_cast<std::uint64_t>((end - first).count());
  const UtcTime time = first + milliseconds(static_cast<std::int64_t>(number % span));
  require(parse_utc(format_utc(time)) == time);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = fuzz::text_of(data, size);
  if (text.find('\0') == std::string_view::npos) check_duration(text);
  check_time(text);
  std::uint64_t number = 0;
  for (const char c : text) number = number * 256 + static_cast<unsigned char>(c);
  check_time(number);
  return 0;
}
