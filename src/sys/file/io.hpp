#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace grex::sys {

/// At most `limit` bytes from the start of a file such as those of /proc,
/// whose size is not known beforehand; only for files that never block.
/// Errors: io, with errno.
Result<std::string> read_file(const std::string& path, std::size_t limit);

/// At most `limit` bytes of a borrowed descriptor, from offset 0, its own
/// offset untouched. Errors: io.
Result<std::string> read_start(int fd, std::size_t limit);

/// Writes all of it, whatever it takes. A reader that is gone is an Error
/// (EPIPE), not a SIGPIPE, and so is a file that may not grow (EFBIG). Once the
/// descriptor `unless` is readable (-1: none; borrowed), a reader who does not
/// read is not waited for. Errors: io, with errno (ECANCELED then).
Result<void> write_all(int fd, std::string_view bytes, int unless = -1);

/// Whether a write to this descriptor would be taken at once.
bool has_room(int fd);

/// Makes `bytes` the whole content of a borrowed, writable descriptor's file, for
/// as long as the machine is up. On failure the file is left empty. Errors: io.
Result<void> replace_content(int fd, std::string_view bytes);

}  // namespace grex::sys
