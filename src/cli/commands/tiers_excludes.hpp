#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "core/lock/layout.hpp"
#include "core/lock/tier.hpp"

namespace grex::cli {

/// What the exclusive lock of a tier excludes of grex. `what` and `but_not` are phrases
/// for people, in which PATH is the locked one.
struct Excluded {
  std::span<const std::string_view> commands;  ///< of grex: those that fail or wait, at least in part
  std::string_view effect;                     ///< "fail" or "wait"; empty without commands
  std::string_view what;
  std::string_view but_not;  ///< may be empty
};

const Excluded& excluded_by(core::Tier tier);

/// The releases of grex that use the lock files of these layouts, such as "1.1.0 and
/// later"; `layouts` must not be empty.
std::string_view releases_with(const core::Layouts& layouts);

/// The same for the lock files of one tier; nullopt if there are none, or grex uses none.
std::optional<std::string_view> releases_with(const core::Layouts& layouts, core::Tier tier);

}  // namespace grex::cli
