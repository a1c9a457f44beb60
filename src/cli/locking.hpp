#pragma once

#include <chrono>
#include <optional>
#include <variant>
#include <vector>

#include "cli/events.hpp"
#include "cli/failure.hpp"
#include "cli/lock_failure.hpp"
#include "cli/options.hpp"
#include "core/acquire.hpp"
#include "core/liveness.hpp"

namespace grex::cli {

/// Locks that a command may take: the tier order has been checked.
struct Prepared {
  std::vector<core::Target> targets;   ///< in the order of taking them
  core::TierStack stack;               ///< the ancestors' live locks
  std::vector<LockName> already_ours;  ///< --reentrant: an ancestor holds them
};

/// From options to locks that may be taken. Nothing has been made or locked,
/// but, with --create, the missing directories.
std::variant<Prepared, Failure> prepare(const LockOptions& options, const GlobalOptions& global);

/// The ancestors' locks as the environment tells them, not verified.
std::variant<core::TierStack, Failure> inherited_stack();

/// Those of them that are live; -v tells of the others.
std::variant<core::TierStack, Failure> live_stack(const LockOptions& options);

/// Whether a lock may be taken below the locks of the stack; `files` are its
/// existing lock files. A Failure means no; else whether an ancestor has it
/// (--reentrant).
std::variant<bool, Failure> is_already_ours(const LockName& lock, const std::vector<sys::FileId>& files,
                                            const core::TierStack& stack, const LockOptions& options);

/// Locks as a command holds them.
struct Taken {
  std::vector<core::HeldLock> locks;  ///< none where ancestors have them, or permits are unbounded
  core::TierStack stack;              ///< what descendants are to know
  std::chrono::milliseconds waited{0};
  std::optional<Failure> failure = {};
  bool interrupted_by_user = false;
};

/// Takes all of the locks, or none, waiting as long as the options allow, and
/// tells about it as they choose.
Taken take(Prepared prepared, const LockOptions& options, const GlobalOptions& global, Events& events);

/// With the advice to use --create, where that helps.
Failure with_create_hint(Failure failure);

/// The Outcome of locks that could not be taken.
Outcome not_taken(const Taken& taken);

/// Writes into the locks' files who holds them, by which verb, and which command
/// they are held for; unless that is not wanted.
void write_records(Taken& taken, const LockOptions& options, const std::string& verb,
                   const std::vector<std::string>& command);

/// The paths of the locks' files, in one line.
std::string paths_of(const std::vector<core::HeldLock>& locks);

/// Who reads about busy locks.
HoldersFor readers_of(const GlobalOptions& global, const Events& events);

}  // namespace grex::cli
