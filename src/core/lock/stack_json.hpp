#pragma once

#include <nlohmann/json.hpp>

#include "core/lock/tier_stack.hpp"

namespace grex::core {

/// An entry as in GREX_LOCK_STACK and in the documents of --json.
nlohmann::ordered_json to_json(const StackEntry& entry);

}  // namespace grex::core
