#include "cli/commands/tiers_excludes.hpp"

#include <array>

namespace grex::cli {
namespace {

constexpr std::array<std::string_view, 3> all_that_lock = {"sync", "update", "teardown"};
constexpr std::array<std::string_view, 2> those_that_clone = {"sync", "update"};

constexpr std::array<Excluded, 5> excluded = {{
    {all_that_lock, "fail", "grex sync, update and teardown of PATH, which exit with 3",
     "those of PATH/child, and jobs that lock only a pack"},
    {{}, {}, "no grex command, only other jobs, if no slot is free", {}},
    {all_that_lock, "wait", "work of grex sync, update and teardown on PATH, which waits",
     "sync and update if PATH is a declarative pack"},
    {those_that_clone, "wait", "grex's clone, fetch and checkout of PATH, which wait",
     "other work of grex sync and update"},
    {all_that_lock, "wait", "event logging of grex sync, update and teardown, which waits", "their other work"},
}};

constexpr std::string_view every_known_release = "1.1.0 and later";

}  // namespace

const Excluded& excluded_by(core::Tier tier) { return excluded.at(static_cast<std::size_t>(tier)); }

std::string_view releases_with(const core::Layouts& layouts) {
  if (layouts.size() > 1) return every_known_release;
  return core::releases_of(layouts.front());
}

std::optional<std::string_view> releases_with(const core::Layouts& layouts, core::Tier tier) {
  if (layouts.empty() || excluded_by(tier).commands.empty()) return std::nullopt;
  // Its file is the same in each layout.
  return tier == core::Tier::manifest ? every_known_release : releases_with(layouts);
}

}  // namespace grex::cli
