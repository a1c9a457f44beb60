#pragma once

#include <nlohmann/json.hpp>

#include "core/lock/tier_stack.hpp"

namespace grex::core {

/// One entry as GREX_LOCK_STACK and the documents of --json have it.
nlohmann::ordered_json to_json(const StackEntry& entry);

}  // namespace grex::core
