#pragma once

#include <sys/types.h>

#include <functional>
#include <string>
#include <string_view>

namespace grex::sys {

/// Whether the effective user was root when this program was started. Makes no system call.
bool is_root();

/// Whether a file's owner is a user other than root. A user that this user namespace does
/// not map counts as root: who it is can't be known, and root here can't act as that user.
bool is_other_user(uid_t owner);

/// What came of creating something in a directory.
struct Creation {
  int result = -1;        ///< of the call
  int err = 0;            ///< errno, if it failed
  bool as_owner = false;  ///< called with the rights of the directory's owner
};

/// Calls `create`, which creates something in an open directory. As root in another user's
/// directory, it is called with that user's rights: the directory's owner and group as
/// fsuid and fsgid, and no supplementary groups; what is created is then that user's. If
/// this process may not do so (CAP_SETUID, CAP_SETGID), it is called with its own rights.
/// `create` may run in another thread, and returns -1 with errno if it fails.
Creation create_in(int directory, const std::function<int()>& create);

/// Creates a directory in another one in this way, with the permissions that the umask
/// leaves. If there is something of that name, that is no error.
Creation create_directory_in(int above, const std::string& name);

/// Whether something could be created there in this way, as far as permissions show it.
bool may_create_in(int directory);

/// The `op` of the Error if something could not be created with the rights of the
/// directory's owner.
inline constexpr std::string_view create_as_owner = "create as owner";

}  // namespace grex::sys
