#pragma once

#include <chrono>
#include <optional>
#include <variant>

#include "cli/failure.hpp"
#include "cli/options.hpp"
#include "core/acquire.hpp"
#include "core/liveness.hpp"

namespace grex::cli {

/// A lock that a command may take: the tier order has been checked.
struct Prepared {
  core::LockRequest request;
  core::Target target;
  core::TierStack stack;      ///< the ancestors' live locks
  bool already_ours = false;  ///< --reentrant: nothing is to be taken
};

/// From options to a lock that may be taken. Nothing has been made or locked,
/// but, with --create, the missing directories.
std::variant<Prepared, Failure> prepare(const LockOptions& options);

/// The ancestors' locks as the environment tells them, not verified.
std::variant<core::TierStack, Failure> inherited_stack();

/// The environment variable that carries them.
inline constexpr const char* stack_variable = "GREX_LOCK_STACK";

/// A lock as a command holds it.
struct Taken {
  std::optional<core::HeldLock> lock;  ///< none where an ancestor has it, or permits are unbounded
  core::TierStack stack;               ///< what descendants are to know
  std::chrono::milliseconds waited{0};
  std::optional<Failure> failure = {};
  bool interrupted_by_user = false;
};

/// Takes the lock, waiting as long as the options allow.
Taken take(Prepared prepared, const LockOptions& options, const GlobalOptions& global);

/// What stands against a lock, with who holds it, where anyone will read that.
Failure busy_failure(const core::Target& target, const LockOptions& options, const GlobalOptions& global);

}  // namespace grex::cli
