#pragma once

#include <string>

#include "cli/failure.hpp"
#include "cli/status_report.hpp"
#include "core/liveness.hpp"

namespace grex::cli {

/// The documents of --json: one line each, newline included. Bytes that are not
/// UTF-8 become U+FFFD, since JSON can't hold them.

/// `verb` may be empty: none was named.
std::string error_document(const std::string& verb, const Failure& failure);

std::string status_document(const StatusReport& report);

/// The answer of a probe that would be let through: the lock is free, or, with
/// --reentrant, held by an ancestor.
std::string probe_document(const core::Target& target, const std::string& path, core::LockState state, sys::Mode mode);

std::string stack_document(const std::vector<core::VerifiedEntry>& stack);

/// One row of the table of tiers.
struct TierRow {
  core::Tier tier = core::Tier::per_pack;
  std::string given;               ///< what PATH is at this tier
  std::vector<std::string> files;  ///< lock files, or their pattern
};
std::string tiers_document(const std::string& target, const std::vector<TierRow>& rows);

}  // namespace grex::cli
