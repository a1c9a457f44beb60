#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/time_text.hpp"
#include "cli/report/held_text.hpp"
#include "cli/report/output.hpp"
#include "core/lock/layout.hpp"
#include "core/lock/tier.hpp"

namespace grex::cli {

enum class TierCheck { enforce, warn, off };

enum class GitExclude { automatic, off };

/// What to do about a lock file that was removed or replaced.
enum class IfLost { restore, warn, stop };

/// A lock that the user has named.
struct NamedLock {
  core::Tier tier = core::Tier::per_pack;
  std::string path;
  bool operator==(const NamedLock&) const = default;
};

/// The hint for an empty word.
inline constexpr const char* unset_hint = "is a variable unset?";

/// The syntax of a value in messages.
struct SyntaxText {
  std::string_view what;          ///< "a duration"; or, of values that have names, "tier"
  std::string_view names = {};    ///< all of the names: "auto, always, never"
  std::string_view example = {};  ///< a hint: "for example …"
};

/// The syntax of a value, on the command line or in the environment. The parser returns
/// nullopt on a syntax error.
template <class Value>
struct ValueSyntax {
  std::optional<Value> (*parse)(std::string_view text);
  SyntaxText text;
};

std::optional<TierCheck> tier_check_named(std::string_view name);
std::optional<GitExclude> git_exclude_named(std::string_view name);
std::optional<IfLost> if_lost_named(std::string_view name);
std::optional<ExportForm> export_form_named(std::string_view name);
std::optional<bool> parse_switch(std::string_view text);
std::optional<Color> color_named(std::string_view name);
std::optional<int> parse_exit_code(std::string_view text);
std::optional<std::chrono::nanoseconds> parse_interval(std::string_view text);
std::optional<std::chrono::nanoseconds> parse_lease(std::string_view text);
std::optional<int> parse_natural(std::string_view text);

/// A fencing token.
std::optional<std::uint64_t> parse_token(std::string_view text);
std::optional<unsigned> parse_slots(std::string_view text);
std::optional<NamedLock> parse_named_lock(std::string_view text);
std::optional<std::string> parse_absolute_path(std::string_view text);

inline constexpr ValueSyntax<core::Tier> tier_syntax = {
    core::tier_named, {"tier", "workspace-sync, semaphore, per-pack, backend, manifest"}};
inline constexpr ValueSyntax<core::Layouts> layout_syntax = {core::layouts_named, {"layout", "both, flat, nested"}};
inline constexpr ValueSyntax<TierCheck> tier_check_syntax = {tier_check_named, {"action", "enforce, warn, off"}};
inline constexpr ValueSyntax<GitExclude> git_exclude_syntax = {git_exclude_named, {"value", "auto, off"}};
inline constexpr ValueSyntax<IfLost> if_lost_syntax = {if_lost_named, {"action", "restore, warn, stop"}};
inline constexpr ValueSyntax<ExportForm> export_syntax = {export_form_named, {"form", "shell, env"}};
inline constexpr ValueSyntax<bool> switch_syntax = {parse_switch, {"1 or 0"}};
inline constexpr ValueSyntax<Color> color_syntax = {color_named, {"value", "auto, always, never"}};
inline constexpr std::string_view duration_units = "units: ms, s (default), m, h; for example 0.25 or 2m";
inline constexpr ValueSyntax<std::chrono::nanoseconds> duration_syntax = {parse_duration,
                                                                          {"a duration", {}, duration_units}};
inline constexpr ValueSyntax<std::chrono::nanoseconds> interval_syntax = {
    parse_interval, {"a duration of 0.1s or more", {}, duration_units}};
inline constexpr ValueSyntax<std::chrono::nanoseconds> lease_syntax = {
    parse_lease, {"a duration of 10s to 10m", {}, duration_units}};
inline constexpr ValueSyntax<int> exit_code_syntax = {parse_exit_code, {"a number from 0 to 255"}};
inline constexpr ValueSyntax<int> descriptor_syntax = {parse_natural, {"a descriptor (a number)"}};
inline constexpr ValueSyntax<int> pid_syntax = {parse_natural, {"a process ID (a number)"}};
inline constexpr ValueSyntax<std::uint64_t> token_syntax = {parse_token, {"a token (a number)"}};
inline constexpr ValueSyntax<unsigned> slots_syntax = {parse_slots, {"a number from 0 to 4096"}};
inline constexpr ValueSyntax<std::string> absolute_path_syntax = {parse_absolute_path, {"an absolute path"}};

/// Why a value is refused, and a hint, which may be empty.
struct SyntaxError {
  std::string why;
  std::string hint;
};

/// What is wrong with a text that has a syntax error.
SyntaxError syntax_error(std::string_view text, const SyntaxText& syntax);

/// The same for the value of -l, which parse_named_lock refuses.
SyntaxError named_lock_error(std::string_view text);

/// What a value looks like, as a hint; may be empty.
std::string valid_values(const SyntaxText& syntax);

}  // namespace grex::cli
