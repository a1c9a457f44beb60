#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/lock/held_lock.hpp"
#include "core/lock/tier_stack.hpp"

namespace grex::cli {

/// The line by which a shell takes over the stack: `export GREX_LOCK_STACK=…`.
std::string export_line(const core::TierStack& stack);

/// The document of --json that lists the locks that a command holds, as the stack
/// does.
std::string held_document(std::string_view verb, const std::vector<core::HeldLock>& locks);

/// The paths of the locks' files, in one line.
std::string paths_of(const std::vector<core::HeldLock>& locks);

}  // namespace grex::cli
