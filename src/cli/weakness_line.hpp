#pragma once

#include <string>

#include "core/file_system.hpp"

namespace grex::cli {

/// What not to rely on where locks lie on such a file system: one line, without
/// the newline. Empty where they are as good as on a disk of this machine.
std::string weakness_line(const core::FileSystem& file_system);

/// Notes that line of the lock's file, where there is one. `fd` is borrowed.
void note_weakness(int fd, const std::string& path);

}  // namespace grex::cli
