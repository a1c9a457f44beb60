#pragma once

#include <string>
#include <string_view>

#include "base/result.hpp"

namespace grex::sys {

/// Appends a line, which ends with a newline, to a file that any number of processes of
/// this user append to: opens it, creating it with the permissions that the umask leaves,
/// and writes the line in one write(2), so that lines stay whole; one that a full disk has cut
/// is ended first. `path` is absolute.
///
/// The file must be regular, ours, and have one name; no link at the end of the path is
/// followed. As root, no other user may be able to change where the path leads. May take
/// forever on a file system that doesn't answer.
///
/// Errors: unsafe-file (ELOOP: a symlink; EMLINK: a second name; 0: of another type; or, as
/// root, `writable_step`), permission (also with `check_owner`), not-found, system, io.
Result<void> append_to_log(const std::string& path, std::string_view line);

}  // namespace grex::sys
