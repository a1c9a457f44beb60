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

/// Local time for people: 17:11:54+01:00 on the day of `now`, 2026-11-23 17:11:54+01:00 on any
/// other. UTC if TZ names a file that is not in /usr/share/zoneinfo.
std::string format_local(UtcTime time, UtcTime now);

/// Accepts only what format_utc writes.
std::optional<UtcTime> parse_utc(std::string_view text);

/// A duration as users write it: `5`, `0.25` (seconds), `250ms`, `2s`, `2m`, `1h`.
/// More than 100 years counts as 100 years. nullopt for anything else.
std::optional<std::chrono::nanoseconds> parse_duration(std::string_view text);

/// A duration as people read it, in at most two units: 250ms, 0.2s, 3.2s, 12s, 2m 5s, 1h 3m,
/// 4d 3h.
std::string format_duration(std::chrono::milliseconds duration);

}  // namespace grex
