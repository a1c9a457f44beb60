#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace grex::sys {

/// Reads at most `limit` bytes from the start of a file of unknown size, such as those
/// in /proc. Only for files that never block. Errors: io, with errno.
Result<std::string> read_file(const std::string& path, std::size_t limit);

/// Reads at most `limit` bytes from the start of a borrowed descriptor's file, without
/// moving the descriptor's offset. Errors: io.
Result<std::string> read_start(int fd, std::size_t limit);

/// Writes all bytes, however long it takes. A reader that is gone is an Error (EPIPE),
/// not a SIGPIPE; a file that may not grow is an Error (EFBIG), not a SIGXFSZ. Once the
/// descriptor `stop` (borrowed; -1: none) is readable, a write that would wait for a
/// reader fails with ECANCELED. Errors: io, with errno.
Result<void> write_all(int fd, std::string_view bytes, int stop = -1);

/// Whether a write of at most PIPE_BUF bytes to this descriptor would return immediately.
bool has_room(int fd);

/// Replaces the content of a borrowed, writable descriptor's file by `bytes`, which a
/// crash of the machine may lose. On failure the file is left empty, unless ftruncate(2)
/// itself failed. Errors: io.
Result<void> replace_content(int fd, std::string_view bytes);

}  // namespace grex::sys
