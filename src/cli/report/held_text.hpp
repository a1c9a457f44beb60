#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/lock/held_lock.hpp"
#include "core/lock/tier_stack.hpp"

namespace grex::cli {

/// The line that a shell evaluates to take over the stack: `export GREX_LOCK_STACK=…`.
std::string export_line(const core::TierStack& stack);

/// The --json document of a command that holds these files.
std::string held_document(std::string_view verb, const core::TierStack& held);

/// The paths of the locks' first files, separated by commas.
std::string paths_of(const std::vector<core::HeldLock>& locks);

}  // namespace grex::cli
