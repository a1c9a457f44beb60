#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "base/time_text.hpp"
#include "cli/report/output.hpp"
#include "core/lock/layout.hpp"
#include "core/lock/tier.hpp"

namespace grex::cli {

enum class TierCheck { enforce, warn, off };

enum class GitExclude { automatic, off };

/// A lock that the user has named.
struct NamedLock {
  core::Tier tier = core::Tier::per_pack;
  std::string path;
  bool operator==(const NamedLock&) const = default;
};

/// The syntax of a value, on the command line or in the environment: its parser, which
/// returns nullopt on a syntax error, and its description in messages.
template <class Value>
struct ValueSyntax {
  std::optional<Value> (*parse)(std::string_view text);
  std::string_view description;
};

std::optional<TierCheck> tier_check_named(std::string_view name);
std::optional<GitExclude> git_exclude_named(std::string_view name);
std::optional<bool> parse_switch(std::string_view text);
std::optional<Color> color_named(std::string_view name);
std::optional<int> parse_exit_code(std::string_view text);
std::optional<std::chrono::nanoseconds> parse_interval(std::string_view text);
std::optional<int> parse_natural(std::string_view text);
std::optional<unsigned> parse_slots(std::string_view text);
std::optional<NamedLock> parse_named_lock(std::string_view text);

inline constexpr ValueSyntax<core::Tier> tier_syntax = {core::tier_named,
                                                        "workspace-sync, semaphore, per-pack, backend or manifest"};
inline constexpr ValueSyntax<core::Layouts> layout_syntax = {core::layouts_named, "flat, nested or both"};
inline constexpr ValueSyntax<TierCheck> tier_check_syntax = {tier_check_named, "enforce, warn or off"};
inline constexpr ValueSyntax<GitExclude> git_exclude_syntax = {git_exclude_named, "auto or off"};
inline constexpr ValueSyntax<bool> switch_syntax = {parse_switch, "1 or 0"};
inline constexpr ValueSyntax<Color> color_syntax = {color_named, "auto, always or never"};
inline constexpr ValueSyntax<std::chrono::nanoseconds> duration_syntax = {
    parse_duration, "a duration such as 5, 0.25, 250ms, 2m or 1h"};
inline constexpr ValueSyntax<std::chrono::nanoseconds> interval_syntax = {parse_interval, "a duration from 0.1s up"};
inline constexpr ValueSyntax<int> exit_code_syntax = {parse_exit_code, "a number from 0 to 255"};
inline constexpr ValueSyntax<int> natural_syntax = {parse_natural, "a number from 0 up"};
inline constexpr ValueSyntax<unsigned> slots_syntax = {parse_slots, "a number of permits from 0 to 4096"};
inline constexpr ValueSyntax<NamedLock> lock_syntax = {
    parse_named_lock, "TIER:PATH, where TIER is workspace-sync, semaphore, per-pack, backend or manifest"};

/// The message for a syntax error.
std::string syntax_error(std::string_view text, std::string_view description);

}  // namespace grex::cli
