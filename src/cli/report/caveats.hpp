#pragma once

#include <string>
#include <vector>

#include "core/inspect/file_system.hpp"
#include "core/lock/held_lock.hpp"

namespace grex::cli {

/// How locks on this file system are weaker than on a local disk: one line, without
/// the newline. Empty if they are not.
std::string caveat_line(const core::FileSystem& file_system);

}  // namespace grex::cli
