#include "base/time_text.hpp"

#include <fmt/compile.h>
#include <fmt/format.h>
#include <stdlib.h>
#include <time.h>

#include <algorithm>
#include <charconv>
#include <limits>

namespace grex {

using std::chrono::duration_cast;
using std::chrono::milliseconds;

namespace {

// Whether the C library reads no file outside of its zoneinfo for TZ. Another one may be a
// FIFO, whose reader waits forever, or a file that the caller may not read.
bool is_safe_time_zone() {
  const char* const variable = ::getenv("TZ");
  if (variable == nullptr) return true;
  std::string_view name = variable;
  if (name.starts_with(':')) name.remove_prefix(1);
  const bool is_below_zoneinfo = !name.starts_with('/') || name.starts_with("/usr/share/zoneinfo/");
  return is_below_zoneinfo && name.find("..") == std::string_view::npos && ::getenv("TZDIR") == nullptr;
}

// By how much local time is ahead of UTC. Where TZ is not safe, not even gmtime_r(3) may be
// called, which reads it, too.
std::chrono::seconds local_offset(UtcTime time) {
  const time_t seconds = std::chrono::floor<std::chrono::seconds>(time).time_since_epoch().count();
  std::tm local{};
  if (is_safe_time_zone()) (void)::localtime_r(&seconds, &local);
  return std::chrono::seconds(local.tm_gmtoff);
}

// Leaves out the second unit if there are none of it.
std::string in_two_units(milliseconds::rep first, char unit, milliseconds::rep second, char second_unit) {
  return second == 0 ? fmt::format("{}{}", first, unit) : fmt::format("{}{} {}{}", first, unit, second, second_unit);
}

}  // namespace

UtcTime utc_now() { return std::chrono::floor<milliseconds>(std::chrono::system_clock::now()); }

std::string format_utc(UtcTime time) {
  const auto day = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss clock(time - day);
  return fmt::format(FMT_COMPILE("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z"), static_cast<int>(date.year()),
                     static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()), clock.hours().count(),
                     clock.minutes().count(), clock.seconds().count(), clock.subseconds().count());
}

std::string format_local(UtcTime time, UtcTime now) {
  constexpr std::size_t date_size = std::string_view("2026-01-31").size();
  constexpr std::size_t clock_size = std::string_view("09:05:07").size();
  const std::chrono::seconds offset = local_offset(time);
  const std::string local = format_utc(time + offset);
  if (local.size() != format_utc(time).size()) return format_utc(time);  // the local year has more than four digits
  const std::string date = local.substr(0, date_size);
  const bool is_today = format_utc(now + local_offset(now)).starts_with(date);
  const std::chrono::hh_mm_ss ahead(offset);
  return fmt::format("{}{}{}{:02}:{:02}", is_today ? "" : date + " ", local.substr(date_size + 1, clock_size),
                     ahead.is_negative() ? '-' : '+', ahead.hours().count(), ahead.minutes().count());
}

std::optional<UtcTime> parse_utc(std::string_view text) {
  constexpr std::string_view shape = "dddd-dd-ddTdd:dd:dd.dddZ";
  if (text.size() != shape.size()) return std::nullopt;
  for (std::size_t i = 0; i < shape.size(); ++i) {
    const bool digit = text[i] >= '0' && text[i] <= '9';
    if (shape[i] == 'd' ? !digit : text[i] != shape[i]) return std::nullopt;
  }
  const auto number = [text](std::size_t at, std::size_t length) {
    int value = 0;
    std::from_chars(text.data() + at, text.data() + at + length, value);
    return value;
  };
  const std::chrono::year_month_day date(std::chrono::year(number(0, 4)),
                                         std::chrono::month(static_cast<unsigned>(number(5, 2))),
                                         std::chrono::day(static_cast<unsigned>(number(8, 2))));
  if (!date.ok() || number(11, 2) > 23 || number(14, 2) > 59 || number(17, 2) > 59) return std::nullopt;
  return UtcTime(std::chrono::sys_days(date)) + std::chrono::hours(number(11, 2)) +
         std::chrono::minutes(number(14, 2)) + std::chrono::seconds(number(17, 2)) + milliseconds(number(20, 3));
}

std::optional<std::chrono::nanoseconds> parse_duration(std::string_view text) {
  using seconds = std::chrono::duration<double>;
  constexpr seconds longest = std::chrono::hours(24 * 365 * 100);
  double amount = 0;
  // from_chars alone would also take "inf", "nan" and a sign.
  if (text.empty() || text.find_first_not_of("0123456789.") == 0) return std::nullopt;
  const char* const last = text.data() + text.size();
  const auto [end, error] = std::from_chars(text.data(), last, amount, std::chars_format::fixed);
  // If the number is too big or too small for a double, `amount` is unchanged.
  if (error == std::errc::result_out_of_range && text.find_first_of("123456789") < text.find('.')) {
    amount = std::numeric_limits<double>::infinity();
  }
  if (error != std::errc() && error != std::errc::result_out_of_range) return std::nullopt;

  const std::string_view unit(end, static_cast<std::size_t>(last - end));
  seconds duration(amount);
  if (unit == "ms") {
    duration /= 1000;
  } else if (unit == "m") {
    duration *= 60;
  } else if (unit == "h") {
    duration *= 3600;
  } else if (!unit.empty() && unit != "s") {
    return std::nullopt;
  }
  return duration_cast<std::chrono::nanoseconds>(std::min(duration, longest));
}

std::string format_duration(milliseconds duration) {
  const auto ms = std::max<milliseconds::rep>(duration.count(), 0);
  const auto s = ms / 1000;
  const auto tenths = ms % 1000 / 100;
  if (s < 1 && ms % 100 != 0) return fmt::format("{}ms", ms);
  if (s < 10 && tenths != 0) return fmt::format("{}.{}s", s, tenths);
  if (s < 60) return fmt::format("{}s", s);
  if (s < 3600) return in_two_units(s / 60, 'm', s % 60, 's');
  if (s < 86400) return in_two_units(s / 3600, 'h', s % 3600 / 60, 'm');
  return in_two_units(s / 86400, 'd', s % 86400 / 3600, 'h');
}

}  // namespace grex
