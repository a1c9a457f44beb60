#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "base/time_text.hpp"
#include "core/lock/layout.hpp"
#include "core/lock/tier.hpp"

namespace grex::cli {

enum class Color { when_terminal, always, never };
enum class TierCheck { enforce, warn, off };

/// A lock that the user has named.
struct NamedLock {
  core::Tier tier = core::Tier::per_pack;
  std::string path;
  bool operator==(const NamedLock&) const = default;
};

/// The form of a value, on the command line or in the environment: how its text
/// is read (nullopt: not at all), and what it has to be.
template <class Value>
struct Form {
  std::optional<Value> (*parse)(std::string_view text);
  std::string_view description;
};

std::optional<TierCheck> tier_check_named(std::string_view name);
std::optional<Color> color_named(std::string_view name);
std::optional<int> parse_exit_code(std::string_view text);
std::optional<std::chrono::nanoseconds> parse_interval(std::string_view text);
std::optional<int> parse_natural(std::string_view text);
std::optional<unsigned> parse_slots(std::string_view text);
std::optional<NamedLock> parse_named_lock(std::string_view text);

inline constexpr Form<core::Tier> tier_form = {core::tier_named,
                                               "workspace-sync, semaphore, per-pack, backend or manifest"};
inline constexpr Form<core::Layouts> layout_form = {core::layouts_named, "flat, nested or both"};
inline constexpr Form<TierCheck> tier_check_form = {tier_check_named, "enforce, warn or off"};
inline constexpr Form<Color> color_form = {color_named, "auto, always or never"};
inline constexpr Form<std::chrono::nanoseconds> duration_form = {core::parse_duration,
                                                                 "a duration such as 5, 0.25, 250ms, 2m or 1h"};
inline constexpr Form<std::chrono::nanoseconds> interval_form = {parse_interval, "a duration from 0.1s up"};
inline constexpr Form<int> exit_code_form = {parse_exit_code, "a number from 0 to 255"};
inline constexpr Form<int> natural_form = {parse_natural, "a number from 0 up"};
inline constexpr Form<unsigned> slots_form = {parse_slots, "a number of permits from 0 to 4096"};
inline constexpr Form<NamedLock> lock_form = {
    parse_named_lock, "TIER:PATH, where TIER is workspace-sync, semaphore, per-pack, backend or manifest"};

/// What is wrong with a text that the form does not understand.
std::string not_of_form(std::string_view text, std::string_view description);

}  // namespace grex::cli
