#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "core/lock/tier.hpp"

namespace grex::core {

/// The size of the longest name of a lock in a cluster, in bytes.
inline constexpr std::size_t longest_lock_name = 512;

/// Why a text is not the name of a lock.
enum class NameFault { empty, too_long, has_nul, outside_root };

/// Whether it may be one; any other bytes may.
Result<void, NameFault> check_lock_name(std::string_view name);

/// The name of the lock of a path: what follows the root; `.` for the root itself. Both are
/// absolute, and canonical as the kernel names them.
Result<std::string, NameFault> lock_name_of(std::string_view path, std::string_view root);

/// For people.
std::string_view explanation_of(NameFault fault);

/// The order in which every process takes the locks of a cluster: by tier, then by the bytes of
/// the name. For ClusterLock and the like.
constexpr auto takes_before = [](const auto& a, const auto& b) {
  if (a.tier != b.tier) return ordinal_of(a.tier) < ordinal_of(b.tier);
  return std::string_view(a.name) < std::string_view(b.name);  // bytes as unsigned (char_traits)
};

}  // namespace grex::core
