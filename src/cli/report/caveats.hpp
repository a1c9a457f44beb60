#pragma once

#include <string>
#include <vector>

#include "core/inspect/file_system.hpp"
#include "core/lock/held_lock.hpp"

namespace grex::cli {

/// What not to rely on where locks lie on such a file system: one line, without
/// the newline. Empty where they are as good as on a disk of this machine.
std::string weakness_line(const core::FileSystem& file_system);

/// Notes that line, where there is one, for the file of each of the locks.
void note_weaknesses(const std::vector<core::HeldLock>& locks);

}  // namespace grex::cli
