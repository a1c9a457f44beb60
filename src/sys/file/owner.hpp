#pragma once

#include <sys/types.h>

namespace grex::sys {

/// Whether the effective user was root when this program was started. Makes no system call.
bool is_root();

/// Whether a file's owner is a user other than root. A user that this user namespace does
/// not map counts as root: who it is can't be known.
bool is_other_user(uid_t owner);

}  // namespace grex::sys
