#pragma once

#include <poll.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "core/cluster/keeper_protocol.hpp"

namespace grex::etcd {

/// What an engine says. It calls these from begin() and advance() only.
class EngineObserver {
 public:
  EngineObserver() = default;
  EngineObserver(const EngineObserver&) = delete;
  EngineObserver& operator=(const EngineObserver&) = delete;
  virtual ~EngineObserver() = default;

  /// For grex-lock, as the protocol says. `lost` only with the reasons that the cluster knows.
  virtual void report(core::KeeperReport report) = 0;

  /// The lease lasts until `deadline`, in nanoseconds of CLOCK_BOOTTIME; `ttl` is its whole
  /// length. Called before `held`.
  virtual void renewed(std::uint64_t deadline, std::chrono::nanoseconds ttl) = 0;
};

/// A lock engine: does what grex-lock requests, and renews the lease on its own while there is
/// one, also of locks that it has reported as lost. Works in one thread, without blocking: the
/// keeper waits with wait(), then calls advance().
class Engine {
 public:
  Engine() = default;
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;
  virtual ~Engine() = default;

  /// Begins to do it; its answers come to the observer. Never `started`; and while another one
  /// has no answer yet, only `cancel` and `release`. Every `release` is answered within seconds,
  /// whether or not the cluster answers.
  virtual void begin(const core::KeeperRequest& request) = 0;

  /// When advance() must be called at the latest, in nanoseconds of CLOCK_BOOTTIME.
  [[nodiscard]] virtual std::optional<std::uint64_t> due() const = 0;

  /// Waits until one of the descriptors is ready, as poll(2) does, or the engine has something
  /// to do because of one of its own.
  virtual void wait(std::span<pollfd> others) = 0;

  /// Goes on with what is possible now.
  virtual void advance() = 0;

  /// Why the lease was not renewed, for people; empty if it was.
  [[nodiscard]] virtual std::string trouble() const = 0;
};

}  // namespace grex::etcd
