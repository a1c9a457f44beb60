#include <fmt/format.h>

#include <variant>

#include "cli/args/env_defaults.hpp"
#include "cli/args/options.hpp"
#include "cli/args/parser.hpp"
#include "cli/commands/commands.hpp"
#include "cli/report/json.hpp"
#include "cli/report/output.hpp"
#include "cli/report/printable.hpp"
#include "core/lock/target.hpp"

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
std::string pattern(core::Tier tier, core::Layout layout) {
  if (core::lies_outside_target(tier) == core::Outside::yes) {
    return layout == core::Layout::flat ? core::lock_name(layout, tier, "PATH", 0)
                                        : "META/" + core::lock_name(layout, tier, "CHILD", 0);
  }
  std::string name = core::lock_name(layout, tier, {}, 0);
  if (tier == core::Tier::semaphore) name.replace(name.find("-0."), 3, "-K.");
  return "PATH/" + name;
}

// What one PATH, or any, has at one tier in one layout.
struct Files {
  std::vector<std::string> names;  // none: unbounded permits, or no place for the lock
  std::string target;              // canonical
};

std::variant<Files, Failure> find_files(core::Tier tier, core::Layout layout, const std::string& path) {
  if (path.empty()) return Files{{pattern(tier, layout)}, {}};
  std::optional<unsigned> slots;
  if (tier == core::Tier::semaphore) {
    if (auto failure = apply_default(slots)) return *failure;
  }
  const auto target = core::resolve({tier, path, slots.value_or(1), core::CreateTarget::no, layout});
  if (target) return Files{target->lock_paths(), target->path};
  if (target.error().op == core::find_meta) return Files{};
  return failure_from(target.error());
}

std::string files_text(core::Tier tier, const std::vector<std::string>& files) {
  if (files.empty()) {
    return tier == core::Tier::semaphore ? "none: permits are unbounded" : "none: no .grex/ above it";
  }
  std::string text = printable(files.front());
  if (files.size() > 1) text += fmt::format(" to {}", files.size() - 1);
  return text;
}

// One line a tier, and one more where a second layout has other files.
std::string table(const std::vector<TierRow>& rows) {
  std::string text;
  for (const TierRow& row : rows) {
    const std::string head =
        fmt::format("{}  {:<14}  {:<22}", core::ordinal_of(row.tier), core::name_of(row.tier), row.given);
    for (const auto& files : row.files) {
      const bool is_first = &files == &row.files.front();
      if (!is_first && files == row.files.front()) continue;
      text += fmt::format("{}  {}\n", is_first ? head : std::string(head.size(), ' '), files_text(row.tier, files));
    }
  }
  return text;
}

struct TiersOptions {
  GlobalOptions global;
  std::string path;
};

void define(Parser& parser, TiersOptions& options) {
  add_global_options(parser, options.global);
  add_path(parser, options.path);
  parser.set_help("Show the tiers of locks, in the order of taking them, and their files.",
                  "grex-lock tiers [OPTIONS] [PATH]",
                  "Examples:\n"
                  "  grex-lock tiers\n"
                  "  grex-lock tiers --layout both ~/ws/app");
}

}  // namespace

Outcome tiers(const Invocation& invocation) {
  TiersOptions options;
  if (auto outcome = parse(invocation, options, define)) return *outcome;
  auto& [global, path] = options;
  if (auto failure = complete(global)) return failed(*failure);

  std::string canonical;
  std::vector<TierRow> rows;
  for (const core::Tier tier : core::all_tiers) {
    TierRow row{tier, std::string(given_at(tier)), {}};
    for (const core::Layout layout : *global.layouts) {
      auto files = find_files(tier, layout, path);
      if (const auto* failure = std::get_if<Failure>(&files)) return failed(*failure);
      auto& [names, target] = std::get<Files>(files);
      if (!target.empty()) canonical = std::move(target);
      row.files.push_back(std::move(names));
    }
    rows.push_back(std::move(row));
  }
  return print(global.json ? tiers_document(canonical, rows) : table(rows));
}

}  // namespace grex::cli
