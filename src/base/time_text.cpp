#include "base/time_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <limits>

namespace grex {

using std::chrono::duration_cast;
using std::chrono::milliseconds;

UtcTime utc_now() { return std::chrono::floor<milliseconds>(std::chrono::system_clock::now()); }

std::string format_utc(UtcTime time) {
  const auto day = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss clock(time - day);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", static_cast<int>(date.year()),
                     static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()), clock.hours().count(),
                     clock.minutes().count(), clock.seconds().count(), clock.subseconds().count());
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
  if (s < 1) return fmt::format("{}ms", ms);
  if (s < 60) return fmt::format("{}.{}s", s, ms % 1000 / 100);
  if (s < 3600) return fmt::format("{}m{}s", s / 60, s % 60);
  if (s < 86400) return fmt::format("{}h{}m", s / 3600, s % 3600 / 60);
  return fmt::format("{}d{}h", s / 86400, s % 86400 / 3600);
}

}  // namespace grex
