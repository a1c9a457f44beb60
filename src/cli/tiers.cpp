#include <fmt/format.h>

#include <CLI/App.hpp>
#include <algorithm>

#include "cli/commands.hpp"
#include "cli/options.hpp"
#include "cli/output.hpp"
#include "cli/printable.hpp"
#include "cli/report_json.hpp"
#include "core/target.hpp"

namespace grex::cli {
namespace {

std::string_view given_at(core::Tier tier) {
  switch (tier) {
    case core::Tier::workspace_sync:
    case core::Tier::semaphore:
      return "workspace directory";
    case core::Tier::per_pack:
      return "pack directory";
    case core::Tier::backend:
      return "clone destination";
    case core::Tier::manifest:
      break;
  }
  return "pack or meta directory";
}

// The files as they would be for any PATH.
std::vector<std::string> pattern(core::Tier tier) {
  if (tier == core::Tier::semaphore) return {"PATH/.grex.slot-K.lock"};
  if (core::lies_beside_target(tier) == core::Beside::yes) return {core::lock_name(tier, "PATH", 0)};
  return {"PATH/" + core::lock_name(tier, {}, 0)};
}

std::string table(const std::vector<TierRow>& rows) {
  std::string text;
  for (const TierRow& row : rows) {
    std::string files = row.files.empty() ? "none: permits are unbounded" : printable(row.files.front());
    if (row.files.size() > 1) files += fmt::format(" to {}", row.files.size() - 1);
    text +=
        fmt::format("{}  {:<14}  {:<22}  {}\n", core::ordinal_of(row.tier), core::name_of(row.tier), row.given, files);
  }
  return text;
}

}  // namespace

Outcome tiers(const Invocation& invocation) {
  GlobalOptions global;
  std::string path;
  CLI::App app("Show the tiers of locks, in the order of taking them, and their files.", "grex-lock tiers");
  add_global_options(app, global);
  app.add_option("PATH", path)->check(refuse_empty_path);
  set_help(app, "grex-lock tiers [OPTIONS] [PATH]",
           "Examples:\n"
           "  grex-lock tiers\n"
           "  grex-lock tiers ~/ws/app");
  if (auto outcome = parse(app, invocation)) return *outcome;
  if (auto failure = apply_environment(global)) return failed(*failure);

  std::string canonical;
  std::vector<TierRow> rows;
  for (const core::Tier tier : core::all_tiers) {
    TierRow row{tier, std::string(given_at(tier)), {}};
    if (path.empty()) {
      row.files = pattern(tier);
    } else {
      Slots slots = tier == core::Tier::semaphore ? default_slots() : Slots{1};
      if (slots.failure) return failed(*slots.failure);
      const auto target = core::resolve({tier, path, slots.count, core::CreateTarget::no});
      if (!target) return failed(failure_from(target.error()));
      canonical = target->path;
      row.files = target->lock_paths();
    }
    rows.push_back(std::move(row));
  }
  return print(global.json ? tiers_document(canonical, rows) : table(rows));
}

}  // namespace grex::cli
