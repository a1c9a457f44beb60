#include "cli/args/option_values.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "base/nearest_word.hpp"
#include "base/text.hpp"
#include "cli/report/printable.hpp"

namespace grex::cli {
namespace {

// Each slot is a file, and grex-lock tries them one by one.
constexpr unsigned max_slots = 4096;

std::vector<std::string_view> split_names(std::string_view names) {
  std::vector<std::string_view> split;
  while (!names.empty()) {
    split.push_back(take_until(names, ','));
    names.remove_prefix(std::min<std::size_t>(names.size(), 1));  // the space
  }
  return split;
}

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

std::optional<IfLost> if_lost_named(std::string_view name) {
  if (name == "restore") return IfLost::restore;
  if (name == "warn") return IfLost::warn;
  if (name == "stop") return IfLost::stop;
  return std::nullopt;
}

std::optional<ExportForm> export_form_named(std::string_view name) {
  if (name == "shell") return ExportForm::shell;
  if (name == "env") return ExportForm::env;
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

std::optional<std::chrono::nanoseconds> parse_lease(std::string_view text) {
  const auto lease = parse_duration(text);
  return lease && *lease >= std::chrono::seconds(10) && *lease <= std::chrono::minutes(10) ? lease : std::nullopt;
}

std::optional<std::uint64_t> parse_token(std::string_view text) { return parse_number<std::uint64_t>(text); }

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

std::optional<std::string> parse_absolute_path(std::string_view text) {
  return text.starts_with('/') ? std::optional<std::string>(text) : std::nullopt;
}

SyntaxError syntax_error(std::string_view text, const SyntaxText& syntax) {
  const bool has_names = !syntax.names.empty();
  std::string why =
      has_names ? fmt::format("unknown {} '{}'", syntax.what, text) : fmt::format("'{}' is not {}", text, syntax.what);
  if (text.empty()) return {std::move(why), unset_hint};
  const auto nearest = nearest_word(text, split_names(syntax.names));
  return {std::move(why), nearest ? fmt::format("did you mean {}?", *nearest) : valid_values(syntax)};
}

SyntaxError named_lock_error(std::string_view text) {
  std::string_view path = text;
  const std::string_view tier = take_until(path, ':');
  const bool has_tier = tier.size() < text.size() && !tier.empty();
  if (has_tier && !core::tier_named(tier)) return syntax_error(tier, tier_syntax.text);
  if (has_tier) return {fmt::format("PATH is empty in '{}'", text), unset_hint};
  path = tier.empty() ? path : tier;
  std::string_view after_equals = path;
  const std::string_view typed_tier = take_until(after_equals, '=');
  if (!after_equals.empty() && core::tier_named(typed_tier)) {
    return {fmt::format("no ':' in '{}'", text),
            "try: " + shell_line({"-l", fmt::format("{}:{}", typed_tier, after_equals)})};
  }
  return {fmt::format("no tier in '{}'", text),
          path.empty() ? unset_hint : "try: " + shell_line({"-l", "per-pack:" + std::string(path)})};
}

std::string valid_values(const SyntaxText& syntax) {
  return syntax.names.empty() ? std::string(syntax.example) : fmt::format("{}s: {}", syntax.what, syntax.names);
}

}  // namespace grex::cli
