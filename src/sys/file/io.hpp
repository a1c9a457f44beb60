#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "base/deadline.hpp"
#include "base/result.hpp"
#include "base/unique_fd.hpp"

namespace grex::sys {

/// Reads at most `limit` bytes from the start of a file of unknown size, such as those
/// in /proc. Only for files that never block. Errors: io, with errno.
Result<std::string> read_file(const std::string& path, std::size_t limit);

/// Reads at most `limit` bytes from the start of a borrowed descriptor's file, without
/// moving the descriptor's offset. Errors: io.
Result<std::string> read_start(int fd, std::size_t limit);

/// The same for a file that another process may be writing: reads again until two reads
/// agree, at most 5 times. nullopt if they don't, or the file can't be read.
std::optional<std::string> read_stable_start(int fd, std::size_t limit);

/// The two ends of a pipe.
struct Pipe {
  UniqueFd reading;
  UniqueFd writing;
};

/// Errors: system.
Result<Pipe> make_pipe();

/// Waits until there is something to read from one of these, which may be -1 (none), or the
/// deadline has passed. May return earlier.
void wait_for_input(int fd, int other, std::optional<Deadline> deadline);

/// Sends this process a SIGIO whenever there is something new to read from a socket (O_ASYNC in
/// fcntl(2)).
void announce_input(int socket);

/// What ends a write that waits for its reader.
struct WriteEnds {
  std::optional<Deadline> deadline = {};
  std::array<int, 2> stops = {-1, -1};  ///< when one of these is readable; borrowed; -1: none
};

/// Writes all bytes. A reader that is gone is an Error (EPIPE), not a SIGPIPE; a file that
/// may not grow is an Error (EFBIG), not a SIGXFSZ. If one of `ends` happens first, the
/// Error is ECANCELED. Errors: io, with errno.
Result<void> write_all(int fd, std::string_view bytes, const WriteEnds& ends = {});

/// Writes as many of the bytes as it can without waiting for a reader, and returns their
/// number. Before Linux 6.4, it waits if another process fills a pipe at the same moment.
/// Errors: as write_all.
Result<std::size_t> write_available(int fd, std::string_view bytes);

/// Writes `bytes` over the start of a borrowed, writable descriptor's file, in one write,
/// and leaves what follows as it is. On failure the file is left empty, unless ftruncate(2)
/// itself failed. Not for a descriptor that appends. Errors: io.
Result<void> overwrite_start(int fd, std::string_view bytes);

/// Replaces the content of a borrowed, writable descriptor's file by `bytes`, which a
/// crash of the machine may lose. Fails as overwrite_start.
Result<void> replace_content(int fd, std::string_view bytes);

/// Replaces the end of a file, `before`, which begins at `offset`, by `after`, in one
/// write, so that readers see the one or the other. If `before` is empty, `after` is
/// appended, also to what other processes have appended since. On failure, `before` is
/// restored. `fd` is borrowed, and must be writable. Errors: io.
Result<void> replace_end(int fd, std::size_t offset, std::string_view before, std::string_view after);

}  // namespace grex::sys
