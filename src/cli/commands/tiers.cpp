#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "cli/args/env_defaults.hpp"
#include "cli/args/options.hpp"
#include "cli/args/parser.hpp"
#include "cli/commands/commands.hpp"
#include "cli/commands/tiers_excludes.hpp"
#include "cli/report/json.hpp"
#include "cli/report/output.hpp"
#include "cli/report/printable.hpp"
#include "core/lock/git_block.hpp"
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

// The lock files of any PATH.
std::string pattern(core::Tier tier, core::Layout layout) {
  if (core::is_sibling_lock(tier)) {
    return layout == core::Layout::flat ? "PARENT/" + core::lock_name(layout, tier, "NAME", 0)
                                        : "META/" + core::lock_name(layout, tier, "CHILD", 0);
  }
  std::string name = core::lock_name(layout, tier, {}, 0);
  if (tier == core::Tier::semaphore) name.replace(name.find("-0."), 3, "-K.");
  return "PATH/" + name;
}

struct TierRow {
  core::Tier tier = core::Tier::per_pack;
  std::string_view given;                       // what PATH is at this tier
  std::vector<std::vector<std::string>> files;  // for each layout, the lock files or their pattern
};

// The lock files of one PATH, or of any, at one tier in one layout.
struct Files {
  std::vector<std::string> names;  // empty: slots have no limit, or the lock has no place
  std::string target;              // canonical
};

Result<Files, Failure> find_files(core::Tier tier, core::Layout layout, const std::string& path) {
  if (path.empty()) return Files{{pattern(tier, layout)}, {}};
  const unsigned slots = tier == core::Tier::semaphore ? shown_slots() : 1;
  const auto target = core::resolve({.tier = tier, .path = path, .slots = slots, .layouts = {layout}});
  if (target) return Files{target->files.front().paths(), target->path};
  if (target.error().op == core::find_meta || target.error().op == core::no_destination) return Files{};
  return failure_from(target.error());
}

std::string files_text(core::Tier tier, const std::vector<std::string>& files) {
  if (files.empty()) {
    return tier == core::Tier::semaphore ? "none: no limit" : "none: no .grex/pack.yaml above";
  }
  std::string text = printable(files.front());
  if (files.size() > 1) text += fmt::format(" to {}", files.size() - 1);
  return text;
}

// The lines below a tier's files.
std::string excludes_text(core::Tier tier) {
  const Excluded& excluded = excluded_by(tier);
  std::string text = fmt::format("   {:<14}  {}\n", "excludes", excluded.what);
  if (!excluded.but_not.empty()) text += fmt::format("   {:<14}  {}\n", "but not", excluded.but_not);
  return text;
}

// Below the table.
std::string releases_text(const core::Layouts& layouts) {
  const bool has_both = layouts.size() > 1;
  const std::string_view layout = has_both ? "both" : layouts.front() == core::Layout::flat ? "flat" : "nested";
  return fmt::format("layout {}: the lock files of grex {}\n", layout, releases_with(layouts));
}

Json excludes_json(const TierRow& row, const core::Layouts& layouts) {
  const Excluded& excluded = excluded_by(row.tier);
  core::Layouts used;
  for (std::size_t i = 0; i < layouts.size(); ++i) {
    if (!row.files.at(i).empty()) used.push_back(layouts[i]);
  }
  std::string text(excluded.what);
  if (!excluded.but_not.empty()) text += fmt::format("; but not {}", excluded.but_not);
  return {{"commands", excluded.commands},
          {"effect", or_null(std::string(excluded.effect))},
          {"releases", or_null(releases_with(used, row.tier))},
          {"text", std::move(text)}};
}

// For each tier a line, another one if a second layout has other files, and what it
// excludes.
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
    text += excludes_text(row.tier);
  }
  return text;
}

std::string document_of_tiers(const std::string& target, const std::vector<TierRow>& rows,
                              const core::Layouts& layouts) {
  Json tiers = Json::array();
  for (const TierRow& row : rows) {
    Json files = Json::array();
    for (const auto& names : row.files) {
      for (const std::string& name : names) {
        if (std::find(files.begin(), files.end(), name) == files.end()) files.push_back(name);
      }
    }
    tiers.push_back({{"ordinal", core::ordinal_of(row.tier)},
                     {"name", core::name_of(row.tier)},
                     {"given", row.given},
                     {"lock_files", std::move(files)},
                     {"excludes", excludes_json(row, layouts)}});
  }
  Json document = document_of("tiers");
  document["target"] = or_null(target);
  document["tiers"] = std::move(tiers);
  return to_line(document);
}

std::string document_of_patterns() {
  Json document = document_of("tiers");
  document["gitignore"] = core::lock_file_patterns();
  return to_line(document);
}

struct TiersOptions {
  GlobalOptions global;
  std::string path;
  bool gitignore = false;
};

void define(Parser& parser, TiersOptions& options) {
  add_path(parser, options.path);
  parser.begin_group("Options");
  add_layout_option(parser, options.global);
  parser.add_flag("--gitignore", options.gitignore, "print patterns that match lock files, for git");
  add_output_options(parser, options.global);
  add_help_options(parser);
  parser.set_help("List the tiers in the order in which locks are taken.",
                  "grex-lock tiers [OPTIONS] [PATH]\n       (with PATH: its lock files)",
                  "Example: grex-lock tiers ~/ws/app");
}

}  // namespace

Outcome tiers(const CommandLine& line, Events&) {
  TiersOptions options;
  if (const auto parsed = parse(line, options, define); !has_options(parsed)) return outcome_of(parsed);
  const auto& [global, path, gitignore] = options;
  if (gitignore && !path.empty()) {
    return usage_failure("--gitignore takes no PATH", {});
  }
  if (gitignore) return print(global.json ? document_of_patterns() : core::lock_file_pattern_lines());
  if (auto applied = apply_env_defaults(options.global); !applied) return applied.error();

  std::string canonical;
  std::vector<TierRow> rows;
  for (const core::Tier tier : core::all_tiers) {
    TierRow row{tier, given_at(tier), {}};
    for (const core::Layout layout : *global.layouts) {
      auto files = find_files(tier, layout, path);
      if (!files) return files.error();
      if (!files->target.empty()) canonical = std::move(files->target);
      row.files.push_back(std::move(files->names));
    }
    rows.push_back(std::move(row));
  }
  if (global.json) return print(document_of_tiers(canonical, rows, *global.layouts));
  return print(table(rows) + releases_text(*global.layouts));
}

}  // namespace grex::cli
