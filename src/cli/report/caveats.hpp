#pragma once

#include <string>
#include <vector>

#include "core/inspect/file_system.hpp"
#include "core/lock/held_lock.hpp"

namespace grex::cli {

/// What users must not rely on if locks lie on such a file system: one line, without
/// the newline. Empty if they are as good as on a disk of this machine.
std::string caveat_line(const core::FileSystem& file_system);

/// Notes that line, if there is one, for the file of each of the locks.
void note_caveats(const std::vector<core::HeldLock>& locks);

}  // namespace grex::cli
