#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace grex {

using UtcTime = std::chrono::sys_time<std::chrono::milliseconds>;

UtcTime utc_now();

/// RFC 3339 in UTC with milliseconds: 2026-01-31T09:05:07.250Z.
std::string format_utc(UtcTime time);

/// Accepts only what format_utc writes.
std::optional<UtcTime> parse_utc(std::string_view text);

/// A duration as users write it: `5`, `0.25` (seconds), `250ms`, `2s`, `2m`, `1h`.
/// More than 100 years counts as 100 years. nullopt for anything else.
std::optional<std::chrono::nanoseconds> parse_duration(std::string_view text);

/// A duration as people read it, in at most two units: 250ms, 4.2s, 3m12s, 2h5m,
/// 4d3h.
std::string format_duration(std::chrono::milliseconds duration);

}  // namespace grex
