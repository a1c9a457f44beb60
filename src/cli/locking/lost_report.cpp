#include "cli/locking/lost_report.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/exit_code.hpp"

namespace grex::cli {
namespace {

std::string paths_of(const LostChange& change) { return fmt::format("{}", fmt::join(change.lock.files, ", ")); }

std::string why_lost(const LostChange& change) {
  if (!change.lock.busy) return change.why;
  const std::string& holder = change.lock.busy->why;
  return fmt::format("{}, and another process locked the new one{}{}", change.why, holder.empty() ? "" : ": ", holder);
}

}  // namespace

std::string line_about(const LostChange& change) {
  switch (change.kind) {
    case LostChange::Kind::moved:
      break;
    case LostChange::Kind::restored:
      return fmt::format("warning: lock file was {}: {}: {}locked again; this lock ends with grex-lock",
                         change.lock.was, paths_of(change), change.is_created ? "created and " : "");
    case LostChange::Kind::lost:
      return fmt::format("lock lost: {}: {}", paths_of(change), why_lost(change));
  }
  return {};
}

Failure lost_failure(const LostChange& change, std::string hint) {
  Failure failure;
  failure.kind = ErrorKind::lost;
  failure.what = "lock lost";
  failure.path = paths_of(change);
  failure.why = change.why;  // nothing was restored, so no other process can be in the way
  failure.hint = std::move(hint);
  failure.exit_code = exit_code::lost;
  failure.tier = change.lock.lock.tier;
  return failure;
}

}  // namespace grex::cli
