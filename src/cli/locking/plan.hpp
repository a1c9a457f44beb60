#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <variant>
#include <vector>

#include "cli/args/options.hpp"
#include "cli/report/events.hpp"
#include "cli/report/failure.hpp"
#include "cli/report/lock_failure.hpp"
#include "core/inspect/liveness.hpp"
#include "core/inspect/queue_position.hpp"
#include "core/lock/acquire.hpp"

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

/// Where there are more locks than descendants could be told of.
std::optional<Failure> refuse_long_stack(const Prepared& prepared);

/// How long to try for locks that are wanted since `start`, and how that is
/// told, as the options say. It borrows all of them.
core::Patience patience_of(const LockOptions& options, const GlobalOptions& global, const Events& events,
                           std::chrono::steady_clock::time_point start);

/// Says, before a wait, what stands in the way, where anyone wants to know; and
/// while it lasts, until what is returned is dropped.
std::shared_ptr<void> tell_waiting(const LockOptions& options, const GlobalOptions& global, const Events& events,
                                   core::Queue queue, FindBusy busy);

/// Of an attempt, made since `start`, that did not get its locks.
Outcome not_taken(const core::Attempt& attempt, const std::vector<core::Target>& targets, const LockOptions& options,
                  HoldersFor readers, std::chrono::steady_clock::time_point start);

/// Locks as a command holds them.
struct Taken {
  std::vector<core::HeldLock> locks;  ///< none where ancestors have them, or permits are unbounded
  core::TierStack stack;              ///< what descendants are to know
  std::chrono::milliseconds waited{0};
  std::optional<core::ProcessIdentity> writer = {};  ///< of the records; found while there was time, in a wait
  std::optional<Outcome> failed = {};                ///< then nothing is held
};

/// Takes all of the locks, or none, and tells about it as the options say.
Taken take(Prepared prepared, const LockOptions& options, const GlobalOptions& global, Events& events);

/// With the advice to use --create, where that helps.
Failure with_create_hint(Failure failure);

/// Writes into the locks' files who holds them, by which verb, and which command
/// they are held for; unless that is not wanted.
void write_records(Taken& taken, const LockOptions& options, const std::string& verb,
                   const std::vector<std::string>& command);

/// The line by which a shell takes over the stack: `export GREX_LOCK_STACK=…`.
std::string export_line(const core::TierStack& stack);

/// The paths of the locks' files, in one line.
std::string paths_of(const std::vector<core::HeldLock>& locks);

/// Who reads about busy locks.
HoldersFor readers_of(const GlobalOptions& global, const Events& events);

}  // namespace grex::cli
