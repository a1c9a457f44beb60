#pragma once

#include <string>

#include "cli/commands/status_report.hpp"
#include "cli/report/events.hpp"
#include "cli/report/failure.hpp"
#include "cli/report/lock_failure.hpp"
#include "core/inspect/liveness.hpp"

namespace grex::cli {

/// The documents of --json: one line each, newline included. Bytes that are not
/// UTF-8 become U+FFFD, since JSON can't hold them.

/// `verb` may be empty: none was named.
std::string error_document(const std::string& verb, const Failure& failure);

/// One line of --json-status-fd.
std::string event_line(const Event& event);

/// `hold`, once it holds, and `fd`: which locks, as the stack has them.
std::string held_document(const std::string& verb, const std::vector<core::HeldLock>& locks);

/// `release`: the process that has ended.
std::string release_document(const LockName& lock, pid_t pid);

/// `wait`: how long it took.
std::string wait_document(std::chrono::milliseconds waited);

std::string status_document(const StatusReport& report);

/// The answer of a probe that would be let through: the lock is free, or, with
/// --reentrant, held by an ancestor.
std::string probe_document(const LockName& lock, const std::string& path, core::LockState state, sys::Mode mode);

std::string stack_document(const std::vector<core::VerifiedEntry>& stack);

/// One row of the table of tiers.
struct TierRow {
  core::Tier tier = core::Tier::per_pack;
  std::string given;  ///< what PATH is at this tier
  /// For each layout, the lock files, or their pattern.
  std::vector<std::vector<std::string>> files;
};
std::string tiers_document(const std::string& target, const std::vector<TierRow>& rows);

}  // namespace grex::cli
