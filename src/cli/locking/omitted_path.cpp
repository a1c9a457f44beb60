#include "cli/locking/omitted_path.hpp"

#include <fmt/format.h>

#include <optional>
#include <string_view>
#include <utility>

#include "core/lock/search_upwards.hpp"

namespace grex::cli {
namespace {

// A workspace, or the destination of a clone, lies elsewhere, and a wrong lock would
// exclude no process.
bool may_be_omitted(core::Tier tier) { return tier == core::Tier::per_pack || tier == core::Tier::manifest; }

Failure no_default_failure(core::Tier tier) {
  const std::string_view wanted = tier == core::Tier::backend ? "destination of the clone" : "workspace";
  return usage_failure(fmt::format("PATH is missing at tier {}", core::name_of(tier)),
                       fmt::format("name the {}; '.' is the current directory", wanted));
}

Failure no_pack_failure(const std::optional<core::SearchStop>& stop) {
  const char* const hint = "name the pack, or cd into it ('.' is the current directory)";
  if (!stop) return usage_failure("PATH is missing, and the current directory is not in a pack", hint);
  const bool is_unsafe = stop->reason == core::SearchStop::Reason::unsafe;
  return usage_failure(fmt::format("PATH is missing, and the search for a pack stopped at {}, {}", stop->directory,
                                   is_unsafe ? "which other users can write to" : "which cannot be read"),
                       hint);
}

}  // namespace

bool may_omit_path(core::Tier tier) { return may_be_omitted(tier) && !core::find_enclosing_pack().found.empty(); }

Result<std::string, Failure> omitted_path(core::Tier tier, Verbosity verbosity) {
  if (!may_be_omitted(tier)) return no_default_failure(tier);
  core::SearchResult enclosing = core::find_enclosing_pack();
  if (enclosing.found.empty()) return no_pack_failure(enclosing.stop);
  sys::Directory& pack = enclosing.found.front();
  if (verbosity != Verbosity::quiet) note("no PATH given: using pack " + pack.path);
  return std::move(pack.access_path);
}

}  // namespace grex::cli
