#pragma once

namespace grex::sys {

/// Whether the kernel itself answers for the file system of a borrowed descriptor: no process
/// and no other machine has to. If one has to, it is asked, so this should be called while it
/// is known to answer. False if it can't be known.
bool is_on_local_file_system(int fd);

}  // namespace grex::sys
