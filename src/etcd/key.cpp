#include "etcd/key.hpp"

#include <fmt/format.h>

#include <cassert>

#include "base/text.hpp"
#include "core/cluster/lock_name.hpp"
#include "core/cluster/percent.hpp"

namespace grex::etcd {
namespace {

constexpr std::string_view all_locks = "/grex-lock/";

}  // namespace

std::string namespace_prefix(std::string_view ns) { return std::string(all_locks).append(ns) + '/'; }

std::string lock_prefix(std::string_view ns, core::Tier tier, std::string_view name) {
  return namespace_prefix(ns).append(core::name_of(tier)) + '/' + core::percent_encoded(name) + '/';
}

std::string mode_prefix(std::string lock_prefix, sys::Mode mode) {
  return std::move(lock_prefix) + (mode == sys::Mode::exclusive ? "x/" : "s/");
}

std::string to_text(const LockKey& key) {
  return mode_prefix(lock_prefix(key.ns, key.tier, key.name), key.mode) + lease_text(key.lease);
}

std::optional<LockKey> parse_key(std::string_view text) {
  if (!text.starts_with(all_locks)) return std::nullopt;
  std::string_view rest = text.substr(all_locks.size());
  LockKey key;
  key.ns = take_until(rest, '/');
  const auto tier = core::tier_named(take_until(rest, '/'));
  auto name = core::percent_decoded(take_until(rest, '/'));
  key.mode = take_until(rest, '/') == "x" ? sys::Mode::exclusive : sys::Mode::shared;
  const auto lease = parse_lease(rest);
  if (!tier || !name || !lease || !core::check_lock_name(*name)) return std::nullopt;
  key.tier = *tier;
  key.name = std::move(*name);
  key.lease = *lease;
  return to_text(key) == text ? std::optional(std::move(key)) : std::nullopt;
}

std::string range_end(std::string prefix) {
  assert(prefix.ends_with('/'));
  prefix.back() = '/' + 1;
  return prefix;
}

std::string lease_text(std::uint64_t lease) { return fmt::format("{:016x}", lease); }

std::optional<std::uint64_t> parse_lease(std::string_view text) {
  const auto lease = parse_number<std::uint64_t>(text, 16);
  return lease && lease_text(*lease) == text ? lease : std::nullopt;
}

}  // namespace grex::etcd
