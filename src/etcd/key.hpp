#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/lock/tier.hpp"
#include "sys/lock/flock.hpp"

namespace grex::etcd {

/// The key of one holder or waiter: `/grex-lock/NS/TIER/E(NAME)/x/LEASE`, or `/s/LEASE` for a
/// sharer, where E is core::percent_encoded.
struct LockKey {
  std::string ns;
  core::Tier tier = core::Tier::per_pack;
  std::string name;
  sys::Mode mode = sys::Mode::exclusive;
  std::uint64_t lease = 0;
};

std::string to_text(const LockKey& key);

/// Accepts only what to_text writes, and names that a lock may have.
std::optional<LockKey> parse_key(std::string_view text);

/// What all keys of a namespace, of a lock, and of the holders and waiters of one mode begin
/// with; each ends with '/'.
std::string namespace_prefix(std::string_view ns);
std::string lock_prefix(std::string_view ns, core::Tier tier, std::string_view name);
std::string mode_prefix(std::string lock_prefix, sys::Mode mode);

/// The first key after all those that begin with a prefix, which ends with '/'.
std::string range_end(std::string prefix);

/// A lease as it is in keys and in the protocol: 16 hexadecimal digits.
std::string lease_text(std::uint64_t lease);
std::optional<std::uint64_t> parse_lease(std::string_view text);

}  // namespace grex::etcd
