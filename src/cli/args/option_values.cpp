#include "cli/args/option_values.hpp"

#include <fmt/format.h>

#include <cstdint>

#include "base/text.hpp"

namespace grex::cli {
namespace {

// Each slot is a file, and grex-lock tries them one by one.
constexpr unsigned max_slots = 4096;

}  // namespace

std::optional<TierCheck> tier_check_named(std::string_view name) {
  if (name == "enforce") return TierCheck::enforce;
  if (name == "warn") return TierCheck::warn;
  if (name == "off") return TierCheck::off;
  return std::nullopt;
}

std::optional<GitExclude> git_exclude_named(std::string_view name) {
  if (name == "auto") return GitExclude::automatic;
  if (name == "off") return GitExclude::off;
  return std::nullopt;
}

std::optional<bool> parse_switch(std::string_view text) {
  if (text == "1") return true;
  return text == "0" ? std::optional(false) : std::nullopt;
}

std::optional<Color> color_named(std::string_view name) {
  if (name == "auto") return Color::when_terminal;
  if (name == "always") return Color::always;
  if (name == "never") return Color::never;
  return std::nullopt;
}

std::optional<int> parse_exit_code(std::string_view text) {
  const auto code = parse_number<std::uint8_t>(text);
  return code ? std::optional<int>(*code) : std::nullopt;
}

std::optional<std::chrono::nanoseconds> parse_interval(std::string_view text) {
  constexpr std::chrono::milliseconds shortest(100);
  const auto interval = parse_duration(text);
  return interval && *interval >= shortest ? interval : std::nullopt;
}

std::optional<int> parse_natural(std::string_view text) {
  const auto number = parse_number<int>(text);
  return number && *number >= 0 ? number : std::nullopt;
}

std::optional<unsigned> parse_slots(std::string_view text) {
  const auto count = parse_number<unsigned>(text);
  return count && *count <= max_slots ? count : std::nullopt;
}

// The path may contain colons, too.
std::optional<NamedLock> parse_named_lock(std::string_view text) {
  const auto colon = text.find(':');
  if (colon == std::string_view::npos || colon + 1 == text.size()) return std::nullopt;
  const auto tier = core::tier_named(text.substr(0, colon));
  if (!tier) return std::nullopt;
  return NamedLock{*tier, std::string(text.substr(colon + 1))};
}

std::string syntax_error(std::string_view text, std::string_view description) {
  return fmt::format("'{}' is not {}", text, description);
}

}  // namespace grex::cli
