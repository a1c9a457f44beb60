#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <optional>

namespace grex::etcd {

/// Times of CLOCK_BOOTTIME in nanoseconds, as base/boot_clock.hpp gives them; nullopt: never.
using Due = std::optional<std::uint64_t>;

constexpr std::uint64_t in_ns(std::chrono::nanoseconds time) { return static_cast<std::uint64_t>(time.count()); }

constexpr Due earlier(Due a, Due b) { return a && b ? std::min(*a, *b) : a ? a : b; }

constexpr bool is_due(Due due, std::uint64_t now) { return due && *due <= now; }

}  // namespace grex::etcd
